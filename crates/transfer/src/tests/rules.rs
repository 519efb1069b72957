//! The rules of docs/transfer.md as rows: an answer's head and what is made of it.

use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use skyhaul_model::Backoff;
use url::Url;

use crate::Cost;
use crate::answer::Answer;
use crate::ask::{Ask, DigestKnown, Guard, Held, Slot};
use crate::extents::Extents;
use crate::judge::{Judgement, Subject, judge};
use crate::validator::Validators;

/// Five of nine bytes are held, under the tag "t".
fn held(total: Option<u64>) -> Held {
    Held {
        written: Extents::prefix_of(5, 0),
        synced: Extents::default(),
        total,
        validators: Validators { etag: Some("\"t\"".into()), ..Validators::default() },
        final_url: "https://a.example/d/x.gz?token=1".into(),
        server_digest: None,
        refusals: 0,
        slot: Slot::One,
        serial: 0,
        changes: 0,
    }
}

fn rest() -> Ask {
    Ask::Rest { from: 5, guard: Guard::IfRange("\"t\"".into()) }
}

fn guarded(guard: Guard) -> Ask {
    Ask::Rest { from: 5, guard }
}

/// A row's question, with what most rows have in common.
struct Case {
    name: &'static str,
    answered: &'static str,
    size: Option<u64>,
    digest: DigestKnown,
    held: Option<Held>,
    other: Option<Held>,
}

impl Default for Case {
    fn default() -> Self {
        let (name, answered) = ("x.gz", "https://a.example/d/x.gz");
        Self { name, answered, size: None, digest: DigestKnown::No, held: Some(held(Some(9))), other: None }
    }
}

/// Headers as lines.
fn lines(text: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in text.split('|').filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(": ").unwrap();
        headers.append(name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap());
    }
    headers
}

/// A judgement in short.
fn judged(case: &Case, ask: &Ask, status: u16, headers: &str) -> String {
    let asked: Url = format!("https://a.example/d/{}", case.name).parse().unwrap();
    let url: Url = case.answered.parse().unwrap();
    let headers = lines(headers);
    let answer = Answer { status: StatusCode::from_u16(status).unwrap(), headers: &headers, url: &url };
    let (name, size, digest) = (case.name, case.size, case.digest);
    let subject = Subject {
        asked: &asked,
        name,
        size,
        digest,
        held: case.held.as_ref(),
        other: case.other.as_ref(),
        published: None,
    };
    match judge(ask, &answer, &subject) {
        Judgement::AppendAt(span) => format!("append {}..{} of {:?}", span.from, span.end, span.total),
        Judgement::StartOver { total } => format!("start over {total:?}"),
        Judgement::GoBack => "go back".to_owned(),
        Judgement::Unchanged => "unchanged".to_owned(),
        Judgement::AlreadyWhole { total } => format!("whole {total}"),
        Judgement::AskAnew { why } => {
            assert_ne!(*ask, Ask::Whole, "asking anew must end: {why}");
            "anew".to_owned()
        }
        Judgement::Retry(blow) => {
            let backoff = if blow.backoff == Backoff::Doubtful { " doubtful" } else { "" };
            let cost = if blow.cost == Cost::RetryAfter { " later" } else { "" };
            format!("retry {}{backoff}{cost}", blow.error.kind)
        }
        Judgement::Refuse(error) => format!("refuse {}", error.kind),
    }
}

const GOOD: &str = "content-range: bytes 5-8/9|content-length: 4|etag: \"t\"";
const APPENDED: &str = "append 5..9 of Some(9)";

#[test]
fn parts() {
    let table = [
        ("rule 2: as asked", GOOD, APPENDED),
        ("rule 8: another tag", "content-range: bytes 5-8/9|etag: \"u\"", "anew"),
        ("rule 8: the tag turned weak", "content-range: bytes 5-8/9|etag: W/\"t\"", "anew"),
        ("rule 18: begins too early", "content-range: bytes 4-8/9|etag: \"t\"", "anew"),
        ("rule 18: begins too late", "content-range: bytes 6-8/9|etag: \"t\"", "anew"),
        ("rule 18: begins at the start", "content-range: bytes 0-8/9|etag: \"t\"", "anew"),
        (
            "rule 19: ends early",
            "content-range: bytes 5-6/9|content-length: 2|etag: \"t\"",
            "append 5..7 of Some(9)",
        ),
        ("rule 20: another total", "content-range: bytes 5-8/10|etag: \"t\"", "anew"),
        ("rule 20: total untold", "content-range: bytes 5-8/*|etag: \"t\"", APPENDED),
        ("rule 20: beyond the known total", "content-range: bytes 5-9/*|etag: \"t\"", "anew"),
        ("rule 21: last before first", "content-range: bytes 5-4/9|etag: \"t\"", "anew"),
        ("rule 21: total not behind last", "content-range: bytes 5-9/9|etag: \"t\"", "anew"),
        ("rule 21: overflow", "content-range: bytes 5-18446744073709551615/*|etag: \"t\"", "anew"),
        ("rule 22: another length", "content-range: bytes 5-8/9|content-length: 9|etag: \"t\"", "anew"),
        (
            "rule 22: no sensible length",
            "content-range: bytes 5-8/9|content-length: 4, 5|etag: \"t\"",
            "anew",
        ),
        ("rule 23: another unit", "content-range: lines 5-8/9|etag: \"t\"", "anew"),
        ("rule 24: no Content-Range", "content-length: 4|etag: \"t\"", "anew"),
        ("rule 24: an unsatisfied one", "content-range: bytes */9|etag: \"t\"", "anew"),
        (
            "rule 26: multipart",
            "content-type: multipart/byteranges; boundary=x|content-range: bytes 5-8/9|etag: \"t\"",
            "anew",
        ),
        (
            "rule 28: no length at all",
            "content-range: bytes 5-8/9|transfer-encoding: chunked|etag: \"t\"",
            APPENDED,
        ),
        ("rule 29: a coding", "content-range: bytes 5-8/9|content-encoding: br|etag: \"t\"", "anew"),
        (
            "rule 29: the file's own coding",
            "content-range: bytes 5-8/9|content-encoding: gzip|etag: \"t\"",
            APPENDED,
        ),
        (
            "rule 30: no coding by name",
            "content-range: bytes 5-8/9|content-encoding: none|etag: \"t\"",
            APPENDED,
        ),
        (
            "rule 31: a page",
            "content-range: bytes 5-8/9|content-type: text/html; charset=utf-8|etag: \"t\"",
            "retry wrong_content doubtful",
        ),
    ];
    for (row, headers, expected) in table {
        assert_eq!(judged(&Case::default(), &rest(), 206, headers), expected, "{row}");
    }
}

#[test]
fn parts_in_other_lights() {
    let elsewhere = || Case { answered: "https://b.example/d/x.gz", ..Case::default() };
    let proven = || Case { digest: DigestKnown::Yes, ..elsewhere() };
    let token = Case { answered: "https://a.example/d/x.gz?token=2", ..Case::default() };
    let unknown = || Case { held: Some(held(None)), ..Case::default() };
    let sized = Case { size: Some(12), held: Some(held(None)), ..Case::default() };
    let nothing = Case { held: None, ..Case::default() };
    let if_match = || guarded(Guard::IfMatch("\"t\"".into()));
    let table = [
        ("rule 7: If-Match and the tag", Case::default(), if_match(), GOOD, APPENDED),
        ("rule 7: If-Match and no tag", Case::default(), if_match(), "content-range: bytes 5-8/9", "anew"),
        ("rule 11: another host", elsewhere(), rest(), GOOD, "anew"),
        ("rule 12: another host and a digest", proven(), guarded(Guard::Digest), GOOD, APPENDED),
        ("rule 57: another token", token, rest(), GOOD, APPENDED),
        (
            "rule 20: total unknown to all",
            unknown(),
            rest(),
            "content-range: bytes 5-8/*|etag: \"t\"",
            "append 5..9 of None",
        ),
        ("rule 20: total told now", unknown(), rest(), GOOD, APPENDED),
        ("rule 20: not the manifest's total", sized, rest(), GOOD, "anew"),
        ("a part of nothing", nothing, rest(), GOOD, "anew"),
        ("rule 25: unasked", Case::default(), Ask::Whole, GOOD, "retry http doubtful"),
    ];
    for (row, case, ask, headers, expected) in table {
        assert_eq!(judged(&case, &ask, 206, headers), expected, "{row}");
    }
}

#[test]
fn rule_9_what_a_part_must_say_of_its_version() {
    let of = |tag: Option<&str>, date: Option<&str>, date_is_strong| {
        let validators = Validators {
            etag: tag.map(str::to_owned),
            last_modified: date.map(str::to_owned),
            date_is_strong,
        };
        Case { held: Some(Held { validators, ..held(Some(9)) }), ..Case::default() }
    };
    let (noon, tag) = ("Tue, 15 Nov 1994 12:00:00 GMT", Some("\"t\""));
    let by_date = || guarded(Guard::IfRange(noon.into()));
    let table = [
        ("the tag must be there", of(tag, None, false), rest(), "", "anew"),
        ("and is enough", of(tag, Some(noon), true), rest(), "etag: \"t\"", APPENDED),
        ("in its place a strong date", of(tag, Some(noon), true), rest(), "last-modified: {noon}", APPENDED),
        ("but no weak one", of(tag, Some(noon), false), rest(), "last-modified: {noon}", "anew"),
        (
            "nor another",
            of(tag, Some(noon), true),
            rest(),
            "last-modified: Tue, 15 Nov 1994 12:00:07 GMT",
            "anew",
        ),
        ("a date may be left out", of(None, Some(noon), true), by_date(), "", APPENDED),
        ("or be there", of(None, Some(noon), true), by_date(), "last-modified: {noon}", APPENDED),
        (
            "but no other",
            of(None, Some(noon), true),
            by_date(),
            "last-modified: Tue, 15 Nov 1994 12:00:07 GMT",
            "anew",
        ),
        ("a digest decides by itself", of(tag, None, false), guarded(Guard::Digest), "", APPENDED),
    ];
    for (row, case, ask, headers, expected) in table {
        let headers = format!("content-range: bytes 5-8/9|{}", headers.replace("{noon}", noon));
        assert_eq!(judged(&case, &ask, 206, &headers), expected, "{row}");
    }
}

#[test]
fn whole_bodies() {
    let page = "retry wrong_content doubtful";
    let named = |name| Case { name, ..Case::default() };
    let home = Case { answered: "https://a.example/", ..Case::default() };
    let sized = |size| Case { size: Some(size), ..Case::default() };
    let table = [
        ("rule 32: 200 to a Range", Case::default(), "content-length: 9", "start over Some(9)"),
        ("rule 33: with a Content-Range", Case::default(), GOOD, "start over Some(4)"),
        ("rule 36: which promised ranges", Case::default(), "accept-ranges: bytes", "start over None"),
        ("rule 41: an empty one", Case::default(), "content-length: 0", "start over Some(0)"),
        ("rule 52: two lengths", Case::default(), "content-length: 9|content-length: 8", "retry http"),
        ("rule 52: a negative length", Case::default(), "content-length: -9", "retry http"),
        ("rule 30: identity", Case::default(), "content-encoding: identity", "start over None"),
        ("rule 29: the file's own coding", Case::default(), "content-encoding: x-gzip", "start over None"),
        ("rule 29: and one more", Case::default(), "content-encoding: gzip, gzip", page),
        ("rule 29: another coding", Case::default(), "content-encoding: br", page),
        ("rule 29: gzip on a plain name", named("x.h5"), "content-encoding: gzip", page),
        ("rule 29: gzip on a .TGZ", named("x.TGZ"), "content-encoding: gzip", "start over None"),
        ("a page for a file", Case::default(), "content-type: text/html|content-length: 9", page),
        ("a page for a file, by XHTML", Case::default(), "content-type: Application/XHTML+xml", page),
        ("a page for a page", named("x.html"), "content-type: text/html", "start over None"),
        ("a page for who knows what", named("x"), "content-type: text/html", "start over None"),
        ("a redirect to the home page", home, "content-type: text/html", page),
        ("the manifest's size", sized(9), "content-length: 9", "start over Some(9)"),
        ("the manifest's size, untold", sized(9), "", "start over Some(9)"),
        ("another size", sized(8), "content-length: 9", "retry changed doubtful"),
    ];
    for (row, case, headers, expected) in table {
        assert_eq!(judged(&case, &rest(), 200, headers), expected, "{row}");
        assert_eq!(judged(&case, &Ask::Whole, 200, headers), expected, "{row}");
    }
}

#[test]
fn rule_10_whole_bodies_of_a_version_that_is_held_besides() {
    let tagged = |tag: &str| Validators { etag: Some(tag.into()), ..Validators::default() };
    let case = |tag, answered| {
        let other = Held { validators: tagged(tag), slot: Slot::Two, ..held(Some(12)) };
        Case { other: Some(other), answered, ..Case::default() }
    };
    let (here, there) = (Case::default().answered, "https://b.example/d/x.gz");
    let table = [
        ("it is back", case("\"u\"", here), "etag: \"u\"|content-length: 12", "go back"),
        ("it is back, its length untold", case("\"u\"", here), "etag: \"u\"", "go back"),
        ("a third one", case("\"u\"", here), "etag: \"v\"|content-length: 12", "start over Some(12)"),
        ("a weak tag", case("W/\"u\"", here), "etag: W/\"u\"|content-length: 12", "start over Some(12)"),
        ("another length", case("\"u\"", here), "etag: \"u\"|content-length: 9", "start over Some(9)"),
        ("another place", case("\"u\"", there), "etag: \"u\"|content-length: 12", "start over Some(12)"),
        ("no ranges there", case("\"u\"", here), "etag: \"u\"|accept-ranges: none", "start over None"),
        ("the one that was asked for", case("\"u\"", here), GOOD, "start over Some(4)"),
    ];
    for (row, case, headers, expected) in table {
        for ask in [Ask::Whole, rest()] {
            assert_eq!(judged(&case, &ask, 200, headers), expected, "{row}");
        }
    }
}

#[test]
fn unsatisfied_ranges() {
    let unknown = || Case { held: Some(held(None)), ..Case::default() };
    let elsewhere = Case { answered: "https://b.example/d/x.gz", ..unknown() };
    let table = [
        ("rule 11: another place's file", elsewhere, "content-range: bytes */5|etag: \"t\"", "anew"),
        ("rule 37: all is here", unknown(), "content-range: bytes */5|etag: \"t\"", "whole 5"),
        ("rule 37: without a validator", unknown(), "content-range: bytes */5", "whole 5"),
        ("rule 37: another version", unknown(), "content-range: bytes */5|etag: \"u\"", "anew"),
        ("rule 37: but more was known", Case::default(), "content-range: bytes */5", "anew"),
        ("rule 38: it shrank", unknown(), "content-range: bytes */4", "anew"),
        ("rule 38: it grew", unknown(), "content-range: bytes */6", "anew"),
        ("rule 39: nothing said", unknown(), "", "anew"),
        ("rule 39: nonsense said", unknown(), "content-range: bytes 5", "anew"),
    ];
    for (row, case, headers, expected) in table {
        assert_eq!(judged(&case, &rest(), 416, headers), expected, "{row}");
    }
}

#[test]
fn statuses() {
    let table: [(&str, &[u16], &str, &str); 15] = [
        ("rule 41: not modified", &[304], "content-length: 9", "retry http doubtful"),
        ("rule 43: no longer allowed", &[401, 403, 407, 451], "", "refuse forbidden"),
        ("rule 44: gone", &[404, 410], "content-length: 9", "refuse not_found"),
        ("rule 45: patience", &[429, 503], "retry-after: 7", "retry http later"),
        (
            "rule 45: patience until a date",
            &[429],
            "retry-after: Tue, 15 Nov 1994 12:00:00 GMT",
            "retry http later",
        ),
        ("rule 46: transient", &[408, 425, 429, 500, 502, 503, 504], "", "retry http"),
        ("rule 46: a proxy's own", &[507, 520, 521, 522, 523, 524, 529], "", "retry http"),
        ("rule 46: Retry-After elsewhere", &[500, 504], "retry-after: 7", "retry http"),
        ("rule 47: nothing", &[204, 205], "", "retry http doubtful"),
        ("rule 60: a login to the network", &[511], "", "retry http"),
        ("rule 60: with a page", &[511], "content-type: text/html", "retry http"),
        ("never", &[501, 505], "", "refuse http"),
        (
            "never, by the client's fault",
            &[400, 405, 406, 409, 411, 413, 414, 415, 417, 418, 426, 431],
            "",
            "refuse http",
        ),
        (
            "never, whatever it is",
            &[201, 202, 203, 226, 300, 305, 306, 399, 499, 600, 999],
            "",
            "refuse http",
        ),
        ("never, unless it was asked", &[412], "", "refuse http"),
    ];
    for (row, statuses, headers, expected) in table {
        for &status in statuses {
            for ask in [Ask::Whole, rest()] {
                assert_eq!(judged(&Case::default(), &ask, status, headers), expected, "{row}: {status}");
            }
        }
    }
    let if_match = guarded(Guard::IfMatch("\"t\"".into()));
    assert_eq!(judged(&Case::default(), &if_match, 412, ""), "anew", "rule 42");
    assert_eq!(judged(&Case::default(), &Ask::Whole, 416, "content-range: bytes */5"), "retry http doubtful");
}

#[test]
fn a_redirect_to_a_page_says_where_it_led() {
    let asked: Url = "https://a.example/d/x.gz".parse().unwrap();
    let url: Url = "https://a.example/".parse().unwrap();
    let headers = lines("content-type: text/html");
    let answer = Answer { status: StatusCode::OK, headers: &headers, url: &url };
    let digest = DigestKnown::No;
    let subject =
        Subject { asked: &asked, name: "x.gz", size: None, digest, held: None, other: None, published: None };
    let Judgement::Retry(blow) = judge(&Ask::Whole, &answer, &subject) else { panic!("no retry") };
    let expected = "https://a.example/d/x.gz leads to the page https://a.example/ instead of the file, which \
                    is probably missing there";
    assert_eq!(blow.error.message, expected);
}
