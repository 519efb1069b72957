//! Reads an answer's head: lengths, ranges, codings (RFC 9110 sections 8.4, 8.6 and 14.4). Pure.

use http::header::{ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, StatusCode};
use url::Url;

/// The head of a final answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer<'a> {
    pub(crate) status: StatusCode,
    pub(crate) headers: &'a HeaderMap,
    /// The URL that gave it, after redirects.
    pub(crate) url: &'a Url,
}

/// A header that makes no sense, with what it said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Nonsense(pub(crate) String);

/// What a Content-Range says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContentRange {
    /// `bytes first-last/total`; the last byte is included, the total may be untold.
    Part {
        /// The first byte's offset.
        first: u64,
        /// The last byte's offset.
        last: u64,
        /// The whole's length.
        total: Option<u64>,
    },
    /// `bytes */total`: no such part.
    Unsatisfied {
        /// The whole's length.
        total: u64,
    },
}

impl Answer<'_> {
    /// The body's length. Repeated equal values are one (RFC 9110 section 8.6).
    pub(crate) fn content_length(&self) -> Result<Option<u64>, Nonsense> {
        let mut length = None;
        for text in self.list(&CONTENT_LENGTH) {
            let told = plain_number(text).ok_or_else(|| Nonsense(format!("Content-Length: {text}")))?;
            if *length.get_or_insert(told) != told {
                return Err(Nonsense(format!("Content-Length: {told} beside another")));
            }
        }
        Ok(length)
    }

    /// The part that the body is; none when the answer does not say.
    pub(crate) fn content_range(&self) -> Result<Option<ContentRange>, Nonsense> {
        let mut values = self.headers.get_all(CONTENT_RANGE).iter();
        let Some(value) = values.next() else { return Ok(None) };
        let text = value.to_str().unwrap_or("?");
        let range = parse_range(text).filter(|_| values.next().is_none());
        range.map(Some).ok_or_else(|| Nonsense(format!("Content-Range: {text}")))
    }

    /// The content codings that change the bytes; `identity` and the invalid `none` are none (rule 30).
    pub(crate) fn codings(&self) -> Vec<String> {
        let codings = self.list(&CONTENT_ENCODING).map(str::to_ascii_lowercase);
        codings.filter(|coding| !matches!(coding.as_str(), "" | "identity" | "none")).collect()
    }

    /// The media type without its parameters, in lower case.
    pub(crate) fn media_type(&self) -> Option<String> {
        let text = self.headers.get(CONTENT_TYPE)?.to_str().ok()?;
        Some(text.split(';').next().unwrap_or(text).trim().to_ascii_lowercase())
    }

    /// Whether the server says that it knows no ranges (rule 35). Silence says nothing.
    pub(crate) fn refuses_ranges(&self) -> bool {
        self.list(&ACCEPT_RANGES).any(|unit| unit.eq_ignore_ascii_case("none"))
    }

    fn list(&self, name: &HeaderName) -> impl Iterator<Item = &str> {
        let values = self.headers.get_all(name).iter().map(|value| value.to_str().unwrap_or("?"));
        values.flat_map(|text| text.split(',')).map(str::trim)
    }
}

fn parse_range(text: &str) -> Option<ContentRange> {
    let (unit, rest) = text.trim().split_once(' ')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (part, total) = rest.trim().split_once('/')?;
    if part == "*" {
        return Some(ContentRange::Unsatisfied { total: plain_number(total)? });
    }
    let (first, last) = part.split_once('-')?;
    let (first, last) = (plain_number(first)?, plain_number(last)?);
    let total = if total == "*" { None } else { Some(plain_number(total)?) };
    let in_order = first <= last && total.is_none_or(|total| last < total);
    in_order.then_some(ContentRange::Part { first, last, total })
}

/// Digits alone, and below 2^63 so that no sum of two lengths overflows: signs are nonsense (rule 52).
fn plain_number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|&number: &u64| digits && i64::try_from(number).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer's head, held for it.
    struct Head(HeaderMap, Url);

    impl Head {
        fn answer(&self) -> Answer<'_> {
            Answer { status: StatusCode::OK, headers: &self.0, url: &self.1 }
        }
    }

    fn head(pairs: &[(&'static str, &str)]) -> Head {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        Head(headers, "https://a.example/x".parse().unwrap())
    }

    #[test]
    fn rule_52_content_length() {
        type Row = (&'static [&'static str], Result<Option<u64>, ()>);
        let table: [Row; 10] = [
            (&[], Ok(None)),
            (&["0"], Ok(Some(0))),
            (&["42", "42"], Ok(Some(42))),
            (&["42, 42"], Ok(Some(42))),
            (&["42", "43"], Err(())),
            (&["-1"], Err(())),
            (&["+1"], Err(())),
            (&["1x"], Err(())),
            (&["9223372036854775807"], Ok(Some(i64::MAX as u64))),
            (&["9223372036854775808"], Err(())),
        ];
        for (values, expected) in table {
            let pairs: Vec<_> = values.iter().map(|value| ("content-length", *value)).collect();
            let length = head(&pairs).answer().content_length().map_err(|_| ());
            assert_eq!(length, expected, "{values:?}");
        }
    }

    #[test]
    fn rules_21_to_24_content_range() {
        let part = |first, last, total| Ok(Some(ContentRange::Part { first, last, total }));
        let table = [
            ("bytes 5-9/10", part(5, 9, Some(10))),
            ("Bytes 5-9/*", part(5, 9, None)),
            ("bytes */10", Ok(Some(ContentRange::Unsatisfied { total: 10 }))),
            ("bytes 9-5/10", Err(())),
            ("bytes 5-10/10", Err(())),
            ("bytes 5-99999999999999999999/*", Err(())),
            ("bytes -5-9/10", Err(())),
            ("items 5-9/10", Err(())),
            ("bytes=5-9/10", Err(())),
            ("bytes */*", Err(())),
            ("5-9/10", Err(())),
            ("", Err(())),
        ];
        for (text, expected) in table {
            let range = head(&[("content-range", text)]).answer().content_range().map_err(|_| ());
            assert_eq!(range, expected, "{text}");
        }
        let twice = [("content-range", "bytes 5-9/10"), ("content-range", "bytes 5-9/10")];
        assert!(head(&twice).answer().content_range().is_err());
        assert_eq!(head(&[]).answer().content_range(), Ok(None));
    }

    #[test]
    fn rule_30_codings_and_rule_35_ranges() {
        let codings = |text: &str| head(&[("content-encoding", text)]).answer().codings();
        assert!(codings("identity").is_empty() && codings("None").is_empty() && codings("").is_empty());
        assert_eq!(codings("GZIP, identity, br"), ["gzip", "br"]);
        assert!(head(&[("accept-ranges", "none")]).answer().refuses_ranges());
        assert!(!head(&[("accept-ranges", "bytes")]).answer().refuses_ranges());
        assert!(!head(&[]).answer().refuses_ranges());
        let media = head(&[("content-type", "Text/HTML; charset=utf-8")]).answer().media_type();
        assert_eq!(media.as_deref(), Some("text/html"));
    }
}
