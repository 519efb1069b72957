//! Range arithmetic and validators: which part of a file a request gets, decided from headers alone.

use http::HeaderMap;
use http::header::{HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, RANGE};

use crate::dates;
use crate::faults::Ranges;

/// What a file is known by at the moment of an answer, as its headers spell it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Validators {
    pub(crate) etag: Option<String>,
    pub(crate) last_modified: Option<String>,
    /// Whether the date is old enough to tell versions apart.
    pub(crate) date_is_strong: bool,
}

/// The part of a file to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// All of it, with 200.
    Whole,
    /// From the first to the last byte, both included, with 206; `total` is what Content-Range says.
    Range { first: u64, last: u64, total: u64 },
    /// None of it, with 416.
    Unsatisfiable,
    /// None of it, with 412.
    PreconditionFailed,
    /// None of it, with 304.
    NotModified,
}

/// Decides what part of a file of `len` bytes a GET or HEAD with these headers gets.
pub(crate) fn part(headers: &HeaderMap, len: u64, validators: &Validators, ranges: Ranges) -> Part {
    if let Some(wanted) = text(headers, &IF_MATCH)
        && !names_strongly(wanted, validators.etag.as_deref())
    {
        return Part::PreconditionFailed;
    }
    if is_known(headers, validators) {
        return Part::NotModified;
    }
    let (Some(range), Ranges::On | Ranges::WrongTotal | Ranges::WrongStart) = (text(headers, &RANGE), ranges)
    else {
        return Part::Whole;
    };
    if text(headers, &IF_RANGE).is_some_and(|condition| !still_the_same(condition, validators)) {
        return Part::Whole;
    }
    distort(resolve(range, len), ranges)
}

fn distort(part: Part, ranges: Ranges) -> Part {
    match (part, ranges) {
        (Part::Range { first, last, total }, Ranges::WrongTotal) => {
            Part::Range { first, last, total: total + 1000 }
        }
        (Part::Range { first, last, total }, Ranges::WrongStart) => {
            let first = if first < last { first + 1 } else { first.saturating_sub(1) };
            Part::Range { first, last, total }
        }
        (part, _) => part,
    }
}

/// What a Range header means for a file of `len` bytes; a header that cannot be read, or names several ranges,
/// means nothing.
fn resolve(range: &str, len: u64) -> Part {
    let Some((first, last)) = range.trim().strip_prefix("bytes=").and_then(|spec| spec.split_once('-'))
    else {
        return Part::Whole;
    };
    let number =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    let (first, last) = match (first.trim(), last.trim()) {
        ("", suffix) => {
            let Some(suffix): Option<u64> = number(suffix) else { return Part::Whole };
            if suffix == 0 {
                return Part::Unsatisfiable;
            }
            (len.saturating_sub(suffix), len.saturating_sub(1))
        }
        (first, "") => {
            let Some(first) = number(first) else { return Part::Whole };
            (first, len.saturating_sub(1))
        }
        (first, last) => {
            let (Some(first), Some(last)) = (number(first), number(last)) else { return Part::Whole };
            if last < first {
                return Part::Whole;
            }
            (first, last.min(len.saturating_sub(1)))
        }
    };
    if first >= len { Part::Unsatisfiable } else { Part::Range { first, last, total: len } }
}

/// Whether the client has this version already. A tag that it names leaves its date without a say (RFC 9110 section 13.1.3).
fn is_known(headers: &HeaderMap, validators: &Validators) -> bool {
    if let Some(known) = text(headers, &IF_NONE_MATCH) {
        return names_weakly(known, validators.etag.as_deref());
    }
    let since = text(headers, &IF_MODIFIED_SINCE).and_then(dates::read_http);
    let modified = validators.last_modified.as_deref().and_then(dates::read_http);
    matches!((modified, since), (Some(modified), Some(since)) if modified <= since)
}

/// The strong comparison that If-Range asks for: a strong ETag, or the exact date if that is strong.
fn still_the_same(condition: &str, validators: &Validators) -> bool {
    if condition.contains('"') {
        return names_strongly(condition, validators.etag.as_deref());
    }
    validators.date_is_strong && validators.last_modified.as_deref() == Some(condition)
}

fn names_strongly(list: &str, etag: Option<&str>) -> bool {
    etag.is_some_and(|etag| {
        list.split(',').map(str::trim).any(|tag| tag == "*" || (tag == etag && !tag.starts_with("W/")))
    })
}

fn names_weakly(list: &str, etag: Option<&str>) -> bool {
    let bare = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    etag.is_some_and(|etag| list.split(',').any(|tag| tag.trim() == "*" || bare(tag) == bare(etag)))
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: u64, last: u64) -> Part {
        Part::Range { first, last, total: 100 }
    }

    #[test]
    fn ranges_of_a_hundred_bytes() {
        let cases = [
            ("bytes=0-", range(0, 99)),
            ("bytes=0-0", range(0, 0)),
            ("bytes=10-19", range(10, 19)),
            ("bytes=10-1000", range(10, 99)),
            ("bytes=99-", range(99, 99)),
            ("bytes=-1", range(99, 99)),
            ("bytes=-1000", range(0, 99)),
            ("bytes=100-", Part::Unsatisfiable),
            ("bytes=100-200", Part::Unsatisfiable),
            ("bytes=-0", Part::Unsatisfiable),
            ("bytes=5-4", Part::Whole),
            ("bytes=x-4", Part::Whole),
            ("bytes=+1-4", Part::Whole),
            ("bytes=-", Part::Whole),
            ("bytes=0-1,4-5", Part::Whole),
            ("items=0-1", Part::Whole),
            ("bytes", Part::Whole),
        ];
        for (header, expected) in cases {
            assert_eq!(resolve(header, 100), expected, "{header}");
        }
        assert_eq!(resolve("bytes=0-", 0), Part::Unsatisfiable);
        assert_eq!(resolve("bytes=-5", 0), Part::Unsatisfiable);
    }

    #[test]
    fn conditions() {
        let strong = Validators {
            etag: Some("\"a\"".into()),
            last_modified: Some("Mon, 10 Mar 2014 07:00:00 GMT".into()),
            date_is_strong: true,
        };
        let weak = Validators { etag: Some("W/\"a\"".into()), date_is_strong: false, ..strong.clone() };
        let dateless = Validators { last_modified: None, ..strong.clone() };
        let cases: [(&Validators, &str, &str, Part); 16] = [
            (&strong, "if-range", "\"a\"", range(5, 9)),
            (&strong, "if-range", "\"b\"", Part::Whole),
            (&strong, "if-range", "W/\"a\"", Part::Whole),
            (&strong, "if-range", "Mon, 10 Mar 2014 07:00:00 GMT", range(5, 9)),
            (&strong, "if-range", "Mon, 10 Mar 2014 07:00:01 GMT", Part::Whole),
            (&weak, "if-range", "W/\"a\"", Part::Whole),
            (&weak, "if-range", "\"a\"", Part::Whole),
            (&weak, "if-range", "Mon, 10 Mar 2014 07:00:00 GMT", Part::Whole),
            (&strong, "if-match", "\"x\", \"a\"", range(5, 9)),
            (&strong, "if-match", "\"x\"", Part::PreconditionFailed),
            (&strong, "if-none-match", "W/\"a\"", Part::NotModified),
            (&strong, "if-modified-since", "Mon, 10 Mar 2014 07:00:00 GMT", Part::NotModified),
            (&strong, "if-modified-since", "Mon, 10 Mar 2014 07:00:01 GMT", Part::NotModified),
            (&strong, "if-modified-since", "Mon, 10 Mar 2014 06:59:59 GMT", range(5, 9)),
            (&strong, "if-modified-since", "some day", range(5, 9)),
            (&dateless, "if-modified-since", "Mon, 10 Mar 2014 07:00:00 GMT", range(5, 9)),
        ];
        for (validators, name, value, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(RANGE, "bytes=5-9".parse().unwrap());
            headers.insert(HeaderName::from_static(name), value.parse().unwrap());
            assert_eq!(part(&headers, 100, validators, Ranges::On), expected, "{name}: {value}");
        }
    }

    #[test]
    fn a_tag_leaves_the_date_without_a_say() {
        let (tag, date) = (Some("\"a\"".to_owned()), Some("Mon, 10 Mar 2014 07:00:00 GMT".to_owned()));
        let validators = Validators { etag: tag, last_modified: date.clone(), date_is_strong: true };
        let mut headers = HeaderMap::new();
        headers.insert(IF_MODIFIED_SINCE, date.unwrap().parse().unwrap());
        headers.insert(IF_NONE_MATCH, "\"b\"".parse().unwrap());
        assert_eq!(part(&headers, 100, &validators, Ranges::On), Part::Whole);
    }

    #[test]
    fn distortions() {
        let mut headers = HeaderMap::new();
        headers.insert(RANGE, "bytes=5-9".parse().unwrap());
        let decide = |ranges| part(&headers, 100, &Validators::default(), ranges);
        assert_eq!(decide(Ranges::Off), Part::Whole);
        assert_eq!(decide(Ranges::Ignored), Part::Whole);
        assert_eq!(decide(Ranges::WrongTotal), Part::Range { first: 5, last: 9, total: 1100 });
        assert_eq!(decide(Ranges::WrongStart), range(6, 9));
    }
}
