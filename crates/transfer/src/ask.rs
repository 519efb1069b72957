//! What to ask for, given what is held. Pure.

use http::header::{ACCEPT_ENCODING, IF_MATCH, IF_MODIFIED_SINCE, IF_RANGE, RANGE};
use http::{HeaderMap, HeaderName, HeaderValue};

use skyhaul_verify::Digest;

use crate::extents::Extents;
use crate::validator::{Strong, Validators};

/// RFC 9530 section 4: a server that knows the whole file's digest may tell it.
const WANT_REPR_DIGEST: HeaderName = HeaderName::from_static("want-repr-digest");

/// The trusted beginning of a file, and what it is the beginning of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    /// The bytes that are there, and by what they are known again: that is looked at when they are read.
    pub(crate) written: Extents,
    /// Those of them that are known to be on the disk.
    pub(crate) synced: Extents,
    /// The whole file's size, where the server told it.
    pub(crate) total: Option<u64>,
    /// The validators of the answer that it came with.
    pub(crate) validators: Validators,
    /// The URL that gave that answer, after redirects: validators hold for one URL alone (rule 11).
    pub(crate) final_url: String,
    /// The whole file's digest as the server told it.
    pub(crate) server_digest: Option<Digest>,
    /// How many attempts to go on from here the server has answered with the whole file.
    pub(crate) refusals: u32,
    /// Where these bytes lie.
    pub(crate) slot: Slot,
    /// The later of two versions that are held has the higher number.
    pub(crate) serial: u32,
    /// How many versions of the file have been found to be replaced by another so far.
    pub(crate) changes: u32,
}

/// One of the two places for a file's bytes: while one holds a version, another version may come into the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    One,
    Two,
}

impl Slot {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::One => Self::Two,
            Self::Two => Self::One,
        }
    }
}

/// Whether a digest of the whole file will prove it, however it was put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DigestKnown {
    /// The user gave one.
    Yes,
    /// None is known that could be trusted for this.
    No,
}

/// A request to be made, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// The whole file, without a Range: some servers refuse any (rule 15).
    Whole,
    /// What lies behind the held bytes.
    Rest {
        /// The first byte wanted.
        from: u64,
        /// What keeps two versions from being mixed.
        guard: Guard,
    },
    /// Some of the bytes, while another stream brings others.
    Segment {
        /// The first byte wanted.
        from: u64,
        /// The offset behind the last byte wanted.
        end: u64,
        /// What keeps two versions from being mixed.
        guard: Guard,
    },
    /// The whole file, if it has changed since this date: one is published already.
    IfChanged {
        /// An HTTP date.
        since: String,
    },
    /// All is held: verify without the network (rule 40).
    Nothing,
}

/// What keeps the bytes of two versions out of one file (invariant I4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Guard {
    /// The server sends the rest only of this version, and else the whole of another (RFC 9110 section 13.1.5).
    IfRange(String),
    /// The server sends the rest only of this version, and else nothing; for servers on whose way If-Range
    /// makes the Range disappear (rule 7).
    IfMatch(String),
    /// The whole file's digest, at the end, whatever the validators say on the way.
    Digest,
}

/// Decides what to ask for.
pub(crate) fn plan_request(held: Option<&Held>, digest: DigestKnown) -> Ask {
    let Some(held) = held.filter(|held| held.length() > 0) else { return Ask::Whole };
    match held.total {
        Some(total) if total == held.length() => return Ask::Nothing,
        Some(total) if total < held.length() => return Ask::Whole,
        _ => {}
    }
    let restless = held.refusals > 0 || held.changes > 0;
    let guard = match (held.validators.strong(), digest) {
        // Tags that change while the bytes do not are no reason to fetch them again (rule 10).
        (_, DigestKnown::Yes) if restless => Guard::Digest,
        (Some(Strong::ETag(tag)), _) if held.refusals > 0 => Guard::IfMatch(tag.to_owned()),
        (Some(Strong::ETag(text) | Strong::Date(text)), _) => Guard::IfRange(text.to_owned()),
        (None, DigestKnown::Yes) => Guard::Digest,
        (None, DigestKnown::No) => return Ask::Whole,
    };
    Ask::Rest { from: held.length(), guard }
}

impl Ask {
    /// The request's headers.
    pub(crate) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers.insert(WANT_REPR_DIGEST, HeaderValue::from_static("sha-256=10, sha-512=5"));
        let condition = match self {
            Self::Whole | Self::Nothing => return headers,
            Self::IfChanged { since } => Some((IF_MODIFIED_SINCE, since)),
            Self::Rest { guard, .. } | Self::Segment { guard, .. } => guard.condition(),
        };
        if let Some((name, text)) = condition {
            // It came out of a header, so it goes into one; if not, the whole file is asked for.
            let Ok(value) = HeaderValue::from_str(text) else { return headers };
            headers.insert(name, value);
        }
        if let Some(Ok(range)) = self.range().map(HeaderValue::try_from) {
            headers.insert(RANGE, range);
        }
        headers
    }

    fn range(&self) -> Option<String> {
        match self {
            Self::Rest { from, .. } => Some(format!("bytes={from}-")),
            Self::Segment { from, end, .. } => Some(format!("bytes={from}-{}", end.saturating_sub(1))),
            Self::Whole | Self::Nothing | Self::IfChanged { .. } => None,
        }
    }
}

impl Guard {
    /// The header that says it to the server, if it is the server that keeps watch.
    fn condition(&self) -> Option<(HeaderName, &String)> {
        match self {
            Self::IfRange(text) => Some((IF_RANGE, text)),
            Self::IfMatch(text) => Some((IF_MATCH, text)),
            Self::Digest => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: &str = "Tue, 15 Nov 1994 12:00:00 GMT";

    fn held(length: u64, total: Option<u64>, etag: Option<&str>) -> Held {
        let validators = Validators { etag: etag.map(str::to_owned), ..Validators::default() };
        let final_url = "https://a.example/x".into();
        let (slot, serial, changes) = (Slot::One, 0, 0);
        let (server_digest, refusals) = (None, 0);
        let (written, synced) = (Extents::prefix_of(length, 0), Extents::default());
        Held { written, synced, total, validators, final_url, server_digest, refusals, slot, serial, changes }
    }

    fn dated(is_strong: bool) -> Held {
        let validators =
            Validators { etag: None, last_modified: Some(DATE.into()), date_is_strong: is_strong };
        Held { validators, ..held(5, Some(9), None) }
    }

    fn rest(guard: Guard) -> Ask {
        Ask::Rest { from: 5, guard }
    }

    #[test]
    fn what_is_asked_for() {
        use DigestKnown::{No, Yes};
        let tagged = held(5, Some(9), Some("\"t\""));
        let refused = Held { refusals: 1, ..tagged.clone() };
        let changing = Held { changes: 1, ..tagged.clone() };
        let table = [
            ("rule 15: nothing held", None, Yes, Ask::Whole),
            ("rule 1: only a size", Some(held(5, Some(9), None)), No, Ask::Whole),
            ("rule 2: a strong tag", Some(tagged), No, rest(Guard::IfRange("\"t\"".into()))),
            (
                "rule 2: total unknown",
                Some(held(5, None, Some("\"t\""))),
                No,
                rest(Guard::IfRange("\"t\"".into())),
            ),
            ("rule 3: a weak tag", Some(held(5, Some(9), Some("W/\"t\""))), No, Ask::Whole),
            (
                "rule 3: a weak tag and a digest",
                Some(held(5, Some(9), Some("W/\"t\""))),
                Yes,
                rest(Guard::Digest),
            ),
            ("rule 4: a strong date", Some(dated(true)), No, rest(Guard::IfRange(DATE.into()))),
            ("rule 4: a weak date", Some(dated(false)), No, Ask::Whole),
            ("rule 5: neither, but a digest", Some(held(5, Some(9), None)), Yes, rest(Guard::Digest)),
            ("rule 7: refused before", Some(refused.clone()), No, rest(Guard::IfMatch("\"t\"".into()))),
            ("rule 10: refused before, but a digest", Some(refused), Yes, rest(Guard::Digest)),
            ("rule 10: tags that change, but a digest", Some(changing.clone()), Yes, rest(Guard::Digest)),
            ("rule 10: tags that change", Some(changing), No, rest(Guard::IfRange("\"t\"".into()))),
            ("rule 40: all held", Some(held(9, Some(9), Some("\"t\""))), No, Ask::Nothing),
            ("rule 40: all held, no validator", Some(held(9, Some(9), None)), No, Ask::Nothing),
            ("more than all held", Some(held(10, Some(9), Some("\"t\""))), Yes, Ask::Whole),
            ("an empty part", Some(held(0, Some(9), Some("\"t\""))), Yes, Ask::Whole),
        ];
        for (row, held, digest, expected) in table {
            assert_eq!(plan_request(held.as_ref(), digest), expected, "{row}");
        }
    }

    #[test]
    fn rules_6_14_15_headers() {
        let whole = Ask::Whole.headers();
        assert_eq!(whole[ACCEPT_ENCODING], "identity");
        assert_eq!(whole[WANT_REPR_DIGEST], "sha-256=10, sha-512=5");
        assert!(!whole.contains_key(RANGE) && !whole.contains_key(IF_RANGE));
        let asked = rest(Guard::IfRange("\"t\"".into())).headers();
        assert_eq!((asked[RANGE].as_bytes(), asked[IF_RANGE].as_bytes()), (&b"bytes=5-"[..], &b"\"t\""[..]));
        assert_eq!(asked[ACCEPT_ENCODING], "identity");
        let asked = rest(Guard::Digest).headers();
        assert!(asked.contains_key(RANGE) && !asked.contains_key(IF_RANGE));
        let asked = Ask::Segment { from: 5, end: 9, guard: Guard::IfRange("\"t\"".into()) }.headers();
        assert_eq!((asked[RANGE].as_bytes(), asked[IF_RANGE].as_bytes()), (&b"bytes=5-8"[..], &b"\"t\""[..]));
        let unsendable = rest(Guard::IfRange("\"\n\"".into())).headers();
        assert!(!unsendable.contains_key(RANGE));
    }
}
