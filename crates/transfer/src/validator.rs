//! Validators: what tells one version of a remote file from another (RFC 9110 section 8.8). Pure.

use http::HeaderMap;
use http::header::{DATE, ETAG, LAST_MODIFIED};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

/// The validators of one answer, exactly as they were received: comparison is by exact match.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Validators {
    /// The entity tag, with its quotes and its `W/`.
    pub(crate) etag: Option<String>,
    /// The modification date.
    pub(crate) last_modified: Option<String>,
    /// Whether the date is a strong validator: the answer's own `Date` was at least a second later
    /// (RFC 9110 section 8.8.2.2), so that no second change can share it.
    pub(crate) date_is_strong: bool,
}

/// A validator that promises equal bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strong<'a> {
    /// An entity tag.
    ETag(&'a str),
    /// A modification date.
    Date(&'a str),
}

impl Validators {
    /// Those that an answer's head gives.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let last_modified = text(LAST_MODIFIED);
        let modified = last_modified.as_deref().and_then(http_date);
        let answered = text(DATE).as_deref().and_then(http_date);
        let date_is_strong = match (modified, answered) {
            (Some(modified), Some(answered)) => answered.as_second() > modified.as_second(),
            _ => false,
        };
        Self { etag: text(ETAG).filter(|tag| is_tag(tag)), last_modified, date_is_strong }
    }

    /// The strongest that promises equal bytes.
    pub(crate) fn strong(&self) -> Option<Strong<'_>> {
        match (&self.etag, &self.last_modified) {
            (Some(tag), _) if !tag.starts_with("W/") => Some(Strong::ETag(tag)),
            // A weak tag says that the server itself expects unequal bytes under one name.
            (Some(_), _) => None,
            (None, Some(date)) if self.date_is_strong => Some(Strong::Date(date)),
            (None, _) => None,
        }
    }

    /// Whether both answers cannot have been of the same bytes. Validators that one of them lacks say nothing.
    pub(crate) fn contradict(&self, other: &Self) -> bool {
        match (&self.etag, &other.etag) {
            (Some(ours), Some(theirs)) => ours != theirs,
            _ => matches!((&self.last_modified, &other.last_modified), (Some(a), Some(b)) if a != b),
        }
    }
}

/// An entity tag as RFC 9110 section 8.8.3 has it; what is written otherwise cannot be sent back.
fn is_tag(text: &str) -> bool {
    let opaque = text.strip_prefix("W/").unwrap_or(text);
    let inner = opaque.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inner.is_some_and(|inner| !inner.contains(['"', ' ']))
}

/// The form that servers must send (RFC 9110 section 5.6.7). Older forms only lose a resume.
const HTTP_DATE: &str = "%a, %d %b %Y %H:%M:%S GMT";

/// The time that a header tells; none before 1970, which no server means and not every file system can keep.
pub(crate) fn http_date(text: &str) -> Option<Timestamp> {
    let civil = DateTime::strptime(HTTP_DATE, text).ok()?;
    let time = civil.to_zoned(TimeZone::UTC).ok()?.timestamp();
    (time >= Timestamp::UNIX_EPOCH).then_some(time)
}

/// A time as a header tells it.
pub(crate) fn in_http(time: Timestamp) -> String {
    time.strftime(HTTP_DATE).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&'static str, &str)]) -> Validators {
        let pairs = pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        Validators::of(&pairs.collect::<HeaderMap>())
    }

    const NOON: &str = "Tue, 15 Nov 1994 12:00:00 GMT";
    const A_SECOND_LATER: &str = "Tue, 15 Nov 1994 12:00:01 GMT";

    #[test]
    fn which_validator_is_strong() {
        let table = [
            ("rule 2: a strong tag", of(&[("etag", "\"a\""), ("last-modified", NOON)]), Some("\"a\"")),
            ("rule 3: a weak tag", of(&[("etag", "W/\"a\"")]), None),
            (
                "rule 3: a weak tag beside a strong date",
                of(&[("etag", "W/\"a\""), ("last-modified", NOON), ("date", A_SECOND_LATER)]),
                None,
            ),
            (
                "rule 4: a date a second old",
                of(&[("last-modified", NOON), ("date", A_SECOND_LATER)]),
                Some(NOON),
            ),
            ("rule 4: a date of the same second", of(&[("last-modified", NOON), ("date", NOON)]), None),
            ("rule 4: a date without the server's own", of(&[("last-modified", NOON)]), None),
            (
                "rule 4: a date before all servers",
                of(&[("last-modified", "Wed, 31 Dec 1969 23:59:59 GMT"), ("date", NOON)]),
                None,
            ),
            ("rule 4: a date that is none", of(&[("last-modified", "yesterday"), ("date", NOON)]), None),
            ("rule 5: nothing", of(&[]), None),
            ("a tag without quotes", of(&[("etag", "abc")]), None),
        ];
        for (row, validators, expected) in table {
            let strong = validators.strong().map(|strong| match strong {
                Strong::ETag(text) | Strong::Date(text) => text,
            });
            assert_eq!(strong, expected, "{row}");
        }
    }

    #[test]
    fn rule_8_contradictions() {
        let a = of(&[("etag", "\"a\""), ("last-modified", NOON)]);
        let table = [
            (of(&[("etag", "\"a\"")]), false),
            (of(&[("etag", "\"b\""), ("last-modified", NOON)]), true),
            (of(&[("etag", "W/\"a\"")]), true),
            (of(&[("etag", "\"a\""), ("last-modified", A_SECOND_LATER)]), false),
            (of(&[("last-modified", A_SECOND_LATER)]), true),
            (of(&[("last-modified", NOON)]), false),
            (of(&[]), false),
        ];
        for (other, expected) in table {
            assert_eq!(a.contradict(&other), expected, "{other:?}");
        }
    }
}
