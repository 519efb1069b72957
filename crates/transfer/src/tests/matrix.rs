//! Every combination of what is held and what is answered, through the judge, with the bytes themselves as the
//! oracle: what a judgement makes of a body is the beginning of one version, or a digest will prove it at the end.

use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use url::Url;

use crate::answer::Answer;
use crate::ask::{Ask, DigestKnown, Guard, Held, Slot, plan_request};
use crate::extents::Extents;
use crate::judge::{Judgement, Subject, judge};
use crate::validator::Validators;

/// Two versions of the file that differ in every byte.
const OLD: &[u8] = b"abcdefghi";
const NEW: &[u8] = b"ABCDEFGHI";

/// How many bytes of the old version are held.
const HELD: usize = 5;

const STATUSES: [u16; 23] = [
    200, 204, 205, 206, 301, 302, 304, 307, 400, 401, 403, 404, 408, 410, 412, 416, 425, 429, 500, 502, 503,
    504, 511,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tag {
    No,
    Weak,
    Strong,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Modified {
    No,
    /// Long before the answer: a strong validator.
    Old,
    /// In the answer's own second: a weak one.
    Recent,
}

/// What the Content-Range says, and with it which bytes come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Range {
    Right,
    Shifted,
    Short,
    Long,
    OtherTotal,
    Missing,
    Malformed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    Same,
    Changed,
}

/// Which validators the answer leaves out although the file has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Silence {
    No,
    /// As a 206 to If-Range may (RFC 9110 section 15.3.7).
    OfDate,
    Entire,
}

#[derive(Clone, Copy, Debug)]
struct Cell {
    tag: Tag,
    modified: Modified,
    status: u16,
    range: Range,
    version: Version,
    silence: Silence,
    coding: Option<&'static str>,
    name: &'static str,
    digest: DigestKnown,
    /// The whole's length, where the held part's head told it.
    total: Option<u64>,
    /// How often the server has overlooked a Range.
    refusals: u32,
}

/// All of them: each is a number whose digits are the choices.
fn cells() -> impl Iterator<Item = Cell> {
    use Range::{Long, Malformed, Missing, OtherTotal, Right, Shifted, Short};
    let count = 3 * 3 * STATUSES.len() * 7 * 2 * 3 * 2 * 2 * 2 * 2 * 2;
    (0..count).map(|number| {
        let mut left = number;
        let mut pick = |choices: usize| {
            let digit = left % choices;
            left /= choices;
            digit
        };
        Cell {
            tag: [Tag::No, Tag::Weak, Tag::Strong][pick(3)],
            modified: [Modified::No, Modified::Old, Modified::Recent][pick(3)],
            status: STATUSES[pick(STATUSES.len())],
            range: [Right, Shifted, Short, Long, OtherTotal, Missing, Malformed][pick(7)],
            version: [Version::Same, Version::Changed][pick(2)],
            silence: [Silence::No, Silence::OfDate, Silence::Entire][pick(3)],
            coding: [None, Some("gzip")][pick(2)],
            name: ["x.gz", "x.h5"][pick(2)],
            digest: [DigestKnown::No, DigestKnown::Yes][pick(2)],
            total: [None, Some(OLD.len() as u64)][pick(2)],
            refusals: [0, 1][pick(2)],
        }
    })
}

#[test]
fn no_answer_mixes_versions_misplaces_a_byte_or_makes_a_file_whole_without_proof() {
    let mut reached = [0_u32; 3];
    for cell in cells() {
        let held = cell.held();
        for ask in [plan_request(Some(&held), cell.digest), Ask::Whole] {
            match cell.judged(&ask, &held) {
                Judgement::AppendAt(span) => {
                    reached[0] += 1;
                    let Ask::Rest { guard, .. } = &ask else { panic!("a part unasked for: {cell:?}") };
                    let wanted = usize::try_from(span.end - span.from).unwrap();
                    let file = [&OLD[..HELD], &cell.body()[..wanted]].concat();
                    assert_eq!((cell.status, span.from), (206, HELD as u64), "{cell:?}");
                    let can_be_mixed = *guard == Guard::Digest || cell.is_beyond_telling();
                    assert!(OLD.starts_with(&file) || can_be_mixed, "{cell:?} {guard:?}");
                    assert!(cell.coding.is_none_or(|_| cell.name == "x.gz"), "{cell:?}");
                }
                Judgement::StartOver { total } => {
                    reached[1] += 1;
                    assert_eq!((cell.status, total), (200, Some(cell.body().len() as u64)), "{cell:?}");
                    assert!(cell.coding.is_none_or(|_| cell.name == "x.gz"), "{cell:?}");
                }
                Judgement::AlreadyWhole { total } => {
                    reached[2] += 1;
                    assert_eq!(
                        (cell.status, cell.range, total),
                        (416, Range::Right, HELD as u64),
                        "{cell:?}"
                    );
                    assert!(cell.total.is_none(), "more is known to exist: {cell:?}");
                    let is_told = cell.tells_versions() && cell.silence == Silence::No;
                    assert!(cell.version == Version::Same || !is_told, "{cell:?}");
                }
                Judgement::AskAnew { .. } => assert_ne!(ask, Ask::Whole, "it must end: {cell:?}"),
                Judgement::GoBack | Judgement::Unchanged => panic!("nothing else is there: {cell:?}"),
                Judgement::Retry(_) | Judgement::Refuse(_) => {}
            }
        }
    }
    assert!(reached.iter().all(|&times| times > 100), "a matrix of refusals proves nothing: {reached:?}");
}

#[test]
fn what_is_in_order_is_used() {
    let in_order = |cell: &Cell| {
        cell.coding.is_none() && cell.version == Version::Same && cell.silence != Silence::Entire
    };
    for cell in cells().filter(in_order) {
        let held = cell.held();
        let ask = plan_request(Some(&held), cell.digest);
        let judgement = cell.judged(&ask, &held);
        let used = match (cell.status, &ask, cell.range) {
            (206, Ask::Rest { .. }, Range::Right | Range::Short) => {
                matches!(judgement, Judgement::AppendAt(_))
            }
            (200, _, _) => matches!(judgement, Judgement::StartOver { .. }),
            _ => true,
        };
        assert!(used, "{cell:?}: {judgement:?}");
    }
}

impl Cell {
    fn bytes(&self) -> &'static [u8] {
        if self.version == Version::Same { OLD } else { NEW }
    }

    /// Whether two versions can be told apart by their validators.
    fn tells_versions(&self) -> bool {
        self.tag != Tag::No || self.modified != Modified::No
    }

    /// Whether a server that has overlooked If-Range looks like one that has heard it: a date it may leave out.
    fn is_beyond_telling(&self) -> bool {
        self.tag == Tag::No && self.modified == Modified::Old && self.silence != Silence::No
    }

    fn held(&self) -> Held {
        Held {
            written: Extents::prefix_of(HELD as u64, 0),
            synced: Extents::default(),
            total: self.total,
            validators: Validators::of(&self.validators(Version::Same)),
            final_url: self.url().into(),
            server_digest: None,
            refusals: self.refusals,
            slot: Slot::One,
            serial: 0,
            changes: 0,
        }
    }

    fn url(&self) -> Url {
        format!("https://a.example/d/{}", self.name).parse().unwrap()
    }

    fn validators(&self, version: Version) -> HeaderMap {
        let (old, new) = match version {
            Version::Same => ("\"t\"", "12:00:00"),
            Version::Changed => ("\"u\"", "12:00:07"),
        };
        let tag = match self.tag {
            Tag::No => None,
            Tag::Weak => Some(format!("W/{old}")),
            Tag::Strong => Some(old.to_owned()),
        };
        let day = |number: u32| format!("{number} Nov 1994 {new} GMT");
        let (modified, now) = match self.modified {
            Modified::No => (None, "Tue, 15 Nov 1994 13:00:00 GMT".to_owned()),
            Modified::Old => (Some(format!("Mon, {}", day(14))), "Tue, 15 Nov 1994 13:00:00 GMT".to_owned()),
            Modified::Recent => (Some(format!("Mon, {}", day(14))), format!("Mon, {}", day(14))),
        };
        let mut headers = HeaderMap::new();
        put(&mut headers, "date", &now);
        tag.iter().for_each(|tag| put(&mut headers, "etag", tag));
        modified.iter().for_each(|modified| put(&mut headers, "last-modified", modified));
        headers
    }

    /// What comes, truthfully: the bytes that the range names.
    fn body(&self) -> Vec<u8> {
        let all = self.bytes();
        match (self.status, self.range) {
            (206, Range::Shifted) => all[HELD - 1..].to_vec(),
            (206, Range::Short) => all[HELD..HELD + 2].to_vec(),
            (206, Range::Long) => [&all[HELD..], b"!"].concat(),
            (206, _) => all[HELD..].to_vec(),
            _ => all.to_vec(),
        }
    }

    fn content_range(&self) -> Option<&'static str> {
        let told = match (self.status, self.range) {
            (_, Range::Missing) => return None,
            (_, Range::Malformed) => "bytes 5-/9",
            (416, Range::Right) => "bytes */5",
            (416, Range::Shifted) => "bytes */4",
            (416, Range::Short) => "bytes */0",
            (416, Range::Long) => "bytes */9",
            (416, Range::OtherTotal) => "bytes */12",
            (_, Range::Right | Range::Long) => "bytes 5-8/9",
            (_, Range::Shifted) => "bytes 4-8/9",
            (_, Range::Short) => "bytes 5-6/9",
            (_, Range::OtherTotal) => "bytes 5-8/12",
        };
        Some(told)
    }

    fn judged(&self, ask: &Ask, held: &Held) -> Judgement {
        let mut headers = self.validators(self.version);
        if self.silence != Silence::No {
            headers.remove("last-modified");
        }
        if self.silence == Silence::Entire {
            headers.remove("etag");
        }
        put(&mut headers, "content-length", &self.body().len().to_string());
        self.content_range().iter().for_each(|told| put(&mut headers, "content-range", told));
        self.coding.iter().for_each(|coding| put(&mut headers, "content-encoding", coding));
        let (asked, status) = (self.url(), StatusCode::from_u16(self.status).unwrap());
        let answer = Answer { status, headers: &headers, url: &asked };
        let (name, digest, size) = (self.name, self.digest, None);
        judge(
            ask,
            &answer,
            &Subject { asked: &asked, name, size, digest, held: Some(held), other: None, published: None },
        )
    }
}

fn put(headers: &mut HeaderMap, name: &'static str, value: &str) {
    headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
}
