//! A published file that the server is asked about once more: does it still have the same one?
//!
//! A file's modification time is the server's own date of it (`settle` sees to that), so that it serves as the
//! condition of the next question, and nothing need be remembered for it. The file itself is not read again.

use std::fs;

use http::HeaderMap;
use http::header::{DATE, HeaderName, LAST_MODIFIED};
use jiff::Timestamp;
use skyhaul_model::Sealed;
use skyhaul_verify::{Algorithm, Digest, server_digest};

use crate::Assignment;
use crate::answer::Answer;
use crate::place::{Found, look};
use crate::trouble::Blow;
use crate::validator::{http_date, in_http};

/// What is known of the published file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Published {
    /// Its size in bytes.
    pub(crate) size: u64,
    /// Its SHA-256.
    pub(crate) sha256: [u8; 32],
    /// Its modification time, in whole seconds.
    pub(crate) modified: Option<Timestamp>,
}

impl Published {
    /// Looks at the file; none when it is not there as it was sealed, so that it has to be fetched. Blocking.
    pub(crate) fn find(assignment: &Assignment, sealed: &Sealed) -> Result<Option<Self>, Blow> {
        if look(&assignment.root, &assignment.path)? != Found::File(sealed.size) {
            return Ok(None);
        }
        let found = fs::symlink_metadata(assignment.root.final_path(&assignment.path));
        let modified = found.and_then(|found| found.modified()).ok();
        let modified = modified.and_then(|time| Timestamp::try_from(time).ok());
        let modified = modified.and_then(|time| Timestamp::from_second(time.as_second()).ok());
        Ok(Some(Self { size: sealed.size, sha256: sealed.sha256, modified }))
    }

    /// The condition to ask under, as If-Modified-Since has it.
    pub(crate) fn since(&self) -> Option<String> {
        self.modified.map(in_http)
    }

    /// Whether a 304 can be believed: a file may have been touched since, and then its time is no condition.
    ///
    /// A 304 need not tell the file's date (RFC 9110 section 15.4.5; Apache leaves it out). Then the condition
    /// must at least not lie behind the server's own present, before which every change looks old.
    pub(crate) fn agrees(&self, headers: &HeaderMap) -> bool {
        match (date_in(headers, LAST_MODIFIED), date_in(headers, DATE)) {
            (Some(told), _) => Some(told) == self.modified,
            (None, Some(answered)) => self.modified.is_some_and(|modified| modified <= answered),
            (None, None) => true,
        }
    }

    /// Whether the head of a whole body says that it is of the same bytes: by digest, else by length and date.
    pub(crate) fn is_told_by(&self, answer: &Answer<'_>, length: Option<u64>) -> bool {
        match server_digest(answer.status, answer.headers) {
            Some(told) if told.algorithm() == Algorithm::Sha256 => told == Digest::sha256(self.sha256),
            _ => {
                let is_dated =
                    self.modified.is_some() && date_in(answer.headers, LAST_MODIFIED) == self.modified;
                is_dated && length == Some(self.size)
            }
        }
    }
}

fn date_in(headers: &HeaderMap, name: HeaderName) -> Option<Timestamp> {
    headers.get(name).and_then(|value| value.to_str().ok()).and_then(http_date)
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    const NOON: &str = "Tue, 15 Nov 1994 12:00:00 GMT";
    const EARLIER: &str = "Tue, 15 Nov 1994 11:59:59 GMT";
    const LATER: &str = "Tue, 15 Nov 1994 12:00:01 GMT";
    /// SHA-256 of nothing (FIPS 180-4), in base64.
    const OF_NOTHING: &str = "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:";

    fn head(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn what_tells_that_a_file_is_the_same() {
        let published = Published { size: 9, sha256: [1; 32], modified: http_date(NOON) };
        type Row = (&'static [(&'static str, &'static str)], Option<u64>, bool, bool);
        let table: [Row; 10] = [
            (&[("last-modified", NOON)], Some(9), true, true),
            (&[("last-modified", NOON)], Some(8), true, false),
            (&[("last-modified", NOON)], None, true, false),
            (&[("last-modified", LATER)], Some(9), false, false),
            (&[], Some(9), true, false),
            (&[("date", NOON)], Some(9), true, false),
            (&[("date", EARLIER)], Some(9), false, false),
            (&[("date", EARLIER), ("last-modified", NOON)], Some(9), true, true),
            (&[("last-modified", "some day")], Some(9), true, false),
            (&[("last-modified", NOON), ("repr-digest", OF_NOTHING)], Some(9), true, false),
        ];
        let url = "https://a.example/x".parse().unwrap();
        for (pairs, length, agrees, is_told) in table {
            let headers = head(pairs);
            let answer = Answer { status: StatusCode::OK, headers: &headers, url: &url };
            assert_eq!(published.agrees(&headers), agrees, "{pairs:?}");
            assert_eq!(published.is_told_by(&answer, length), is_told, "{pairs:?} {length:?}");
        }
        assert_eq!(published.since().as_deref(), Some(NOON));
    }
}
