//! A listing's JSON, parsed as a stream: memory is bounded whatever comes.
//!
//! Keys may come in any order, unknown ones are skipped. A document that is cut, that holds anything but
//! text among its URLs, or that has no URLs at all is an error, never a short list.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, BufReader, Read};

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::lenient::Scalar;
use crate::urls::{UrlSpool, Urls};

/// No URL, key or other text is longer.
const LONGEST_TEXT: usize = 64 * 1024;

/// No listing is nested deeper; the parser remembers every level that it skips.
const DEEPEST: usize = 64;

/// No listing is longer: the largest real one, a day of all sites, is about 1.3 MB.
const LONGEST_LISTING: u64 = 4 << 30;

/// Listings below this, in bytes, are parsed in memory, which is several times as fast: all real ones.
const IN_MEMORY: u64 = 8 << 20;

/// What a listing's document says.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) path_prefix: Option<String>,
    pub(crate) count: Option<u64>,
    pub(crate) total_bytes: Option<u64>,
    pub(crate) urls: Urls,
}

/// Why a listing cannot be had.
#[derive(Debug)]
pub(crate) enum ParseError {
    /// The document is at fault.
    Document(String),
    /// The temporary file is.
    Spool(io::Error),
}

/// Parses a whole document. Blocking.
pub(crate) fn parse_listing(source: impl Read) -> Result<Parsed, ParseError> {
    let mut bounded = Bounded::new(source.take(LONGEST_LISTING));
    let mut head = Vec::new();
    let read = bounded.by_ref().take(IN_MEMORY).read_to_end(&mut head);
    let length = read.map_err(|error| ParseError::Document(error.to_string()))?;
    if (length as u64) < IN_MEMORY {
        parse(serde_json::Deserializer::from_slice(&head))
    } else {
        let whole = BufReader::with_capacity(64 * 1024, head.as_slice().chain(bounded));
        parse(serde_json::Deserializer::from_reader(whole))
    }
}

fn parse<'de>(
    mut document: serde_json::Deserializer<impl serde_json::de::Read<'de>>,
) -> Result<Parsed, ParseError> {
    let mut found = Found::default();
    let outcome = document.deserialize_map(&mut found).and_then(|()| document.end());
    if let Some(error) = found.spool_error {
        return Err(ParseError::Spool(error));
    }
    outcome.map_err(|error| ParseError::Document(error.to_string()))?;
    let urls = found.urls.ok_or_else(|| ParseError::Document("it has no urls".to_owned()))?;
    Ok(Parsed {
        path_prefix: found.path_prefix.or(found.data_tree_url),
        count: found.count,
        total_bytes: found.total_bytes,
        urls: urls.finish().map_err(ParseError::Spool)?,
    })
}

#[derive(Default)]
struct Found {
    path_prefix: Option<String>,
    data_tree_url: Option<String>,
    count: Option<u64>,
    total_bytes: Option<u64>,
    urls: Option<UrlSpool>,
    spool_error: Option<io::Error>,
}

impl<'de> Visitor<'de> for &mut Found {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a listing")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        while let Some(key) = fields.next_key::<Cow<'_, str>>()? {
            match key.as_ref() {
                "urls" if self.urls.is_some() => return Err(A::Error::custom("it has urls twice")),
                "urls" => {
                    let mut spool = UrlSpool::new();
                    fields.next_value_seed(UrlList { spool: &mut spool, error: &mut self.spool_error })?;
                    self.urls = Some(spool);
                }
                "path_prefix" => self.path_prefix = fields.next_value::<Scalar>()?.text,
                "count" => self.count = fields.next_value::<Scalar>()?.count,
                "total_bytes" => self.total_bytes = fields.next_value::<Scalar>()?.count,
                "dataset" => fields.next_value_seed(Tree(&mut self.data_tree_url))?,
                _ => drop(fields.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// The list of URLs, each taken down as it comes.
struct UrlList<'a> {
    spool: &'a mut UrlSpool,
    error: &'a mut Option<io::Error>,
}

impl<'de> DeserializeSeed<'de> for UrlList<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for UrlList<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of urls")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(OneUrl { spool: self.spool, error: self.error })?.is_some() {}
        Ok(())
    }
}

struct OneUrl<'a> {
    spool: &'a mut UrlSpool,
    error: &'a mut Option<io::Error>,
}

impl<'de> DeserializeSeed<'de> for OneUrl<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for OneUrl<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a url")
    }

    fn visit_str<E: Error>(self, url: &str) -> Result<(), E> {
        self.spool.push(url).map_err(|error| {
            let wrapped = E::custom(&error);
            *self.error = Some(error);
            wrapped
        })
    }
}

/// Of the dataset beside the URLs only where its files lie.
struct Tree<'a>(&'a mut Option<String>);

impl<'de> DeserializeSeed<'de> for Tree<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a dataset")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        while let Some(key) = fields.next_key::<Cow<'_, str>>()? {
            let value = fields.next_value::<Scalar>()?;
            if key == "data_tree_url" {
                *self.0 = value.text;
            }
        }
        Ok(())
    }
}

/// Passes JSON through and fails when a text in it grows too long or lists and objects too deep: the
/// parser holds each text whole, and a byte for each level.
struct Bounded<R> {
    inner: R,
    place: Place,
    depth: usize,
}

#[derive(Clone, Copy)]
enum Place {
    Outside,
    Within { length: usize },
    AfterBackslash { length: usize },
}

impl<R> Bounded<R> {
    fn new(inner: R) -> Self {
        Self { inner, place: Place::Outside, depth: 0 }
    }

    fn pass(&mut self, mut bytes: &[u8]) -> Result<(), String> {
        while let Some((&byte, rest)) = bytes.split_first() {
            bytes = rest;
            match (self.place, byte) {
                (Place::Outside, b'[' | b'{') => self.depth += 1,
                (Place::Outside, b']' | b'}') => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
            self.place = self.place.after(byte);
            if let Place::Within { length } = &mut self.place {
                // Most of it is text, which is passed at once up to where it may end.
                let plain = rest.iter().position(|byte| matches!(byte, b'"' | b'\\')).unwrap_or(rest.len());
                *length += plain;
                bytes = &rest[plain..];
                if *length > LONGEST_TEXT {
                    return Err(format!("it holds a text of more than {LONGEST_TEXT} bytes"));
                }
            }
            if self.depth > DEEPEST {
                return Err(format!("it is nested more than {DEEPEST} deep"));
            }
        }
        Ok(())
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.pass(&buffer[..length]).map_err(io::Error::other)?;
        Ok(length)
    }
}

impl Place {
    fn after(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Outside, b'"') => Self::Within { length: 0 },
            (Self::Outside, _) | (Self::Within { .. }, b'"') => Self::Outside,
            (Self::Within { length }, b'\\') => Self::AfterBackslash { length: length + 1 },
            (Self::Within { length } | Self::AfterBackslash { length }, _) => {
                Self::Within { length: length + 1 }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn parse(text: &str) -> Result<Parsed, String> {
        parse_listing(text.as_bytes()).map_err(|error| match error {
            ParseError::Document(what) => what,
            ParseError::Spool(error) => panic!("{error}"),
        })
    }

    fn urls(text: &str) -> Vec<String> {
        parse(text).unwrap().urls.read().unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn keys_come_in_any_order_and_strangers_are_skipped() {
        let text = r#" { "strange": {"urls": ["no"], "deep": [[[1]]]}, "count": 2, "urls": ["a", "b"],
            "total_bytes": null, "dataset": {"name": "X", "urls": ["no"]}, "path_prefix": "p", "x": [] } "#;
        let parsed = parse(text).unwrap();
        assert_eq!(
            (parsed.path_prefix.as_deref(), parsed.count, parsed.total_bytes),
            (Some("p"), Some(2), None)
        );
        assert_eq!(urls(text), ["a", "b"]);
    }

    #[test]
    fn escapes_are_undone() {
        assert_eq!(urls(r#"{"urls":["\u0061\/\u00e9\ud83d\ude00\"\\"]}"#), ["a/é😀\"\\"]);
    }

    #[test]
    fn the_datasets_tree_stands_in_for_a_missing_prefix() {
        let text = r#"{"urls":[],"dataset":{"supported_libraries":["a"],"data_tree_url":"t"}}"#;
        assert_eq!(parse(text).unwrap().path_prefix.as_deref(), Some("t"));
        assert_eq!(parse(r#"{"urls":[],"dataset":null}"#).unwrap().path_prefix, None);
        assert_eq!(parse(r#"{"urls":[],"dataset":"X"}"#).unwrap().path_prefix, None);
    }

    #[test]
    fn anything_else_is_an_error() {
        for text in [
            "",
            "null",
            "[]",
            "{}",
            r#"{"count":0}"#,
            r#"{"urls":null}"#,
            r#"{"urls":{"a":"b"}}"#,
            r#"{"urls":["a",7]}"#,
            r#"{"urls":["a",null]}"#,
            r#"{"urls":["a",["b"]]}"#,
            r#"{"urls":["a"],"urls":["b"]}"#,
            r#"{"urls":["a"]} {"urls":["b"]}"#,
            r#"{"urls":["a"]}x"#,
            r#"{"urls":["\ud800"]}"#,
            "{\"urls\":[\"a\nb\"]}",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn every_cut_is_an_error() {
        let text = r#"{"urls":["a","b"],"path_prefix":"p","count":2,"total_bytes":7,"dataset":{"name":"X"}}"#;
        for cut in 0..text.len() {
            assert!(parse(&text[..cut]).is_err(), "{}", &text[..cut]);
        }
    }

    #[test]
    fn a_text_without_end_is_not_held() {
        let fits = format!(r#"{{"urls":["{}"]}}"#, "x".repeat(LONGEST_TEXT));
        assert_eq!(urls(&fits)[0].len(), LONGEST_TEXT);
        let endless = io::Read::chain(&b"{\"urls\":[\"\\\""[..], io::repeat(b'x'));
        let Err(ParseError::Document(what)) = parse_listing(endless) else { panic!() };
        assert!(what.contains("65536"), "{what}");
    }

    #[test]
    fn what_is_too_long_for_memory_is_parsed_as_it_comes() {
        let long = " ".repeat(IN_MEMORY as usize);
        assert_eq!(urls(&format!(r#"{{"urls":["a",{long}"b"]}}{long}"#)), ["a", "b"]);
        assert!(parse(&format!(r#"{{"urls":["a",{long}"b"]"#)).is_err());
    }

    #[test]
    fn endless_nesting_is_not_held() {
        let nested =
            |depth: usize| format!(r#"{{"urls":[],"x":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
        assert!(parse(&nested(DEEPEST - 1)).is_ok());
        assert!(parse(&nested(DEEPEST)).is_err());
        let Err(ParseError::Document(what)) = parse_listing(b"{\"x\":".chain(io::repeat(b'['))) else {
            panic!()
        };
        assert!(what.contains("nested"), "{what}");
    }

    #[test]
    fn brackets_within_texts_are_no_nesting() {
        let url = "[{".repeat(DEEPEST);
        assert_eq!(urls(&format!(r#"{{"urls":["{url}\"["]}}"#)), [format!("{url}\"[")]);
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_parser_that_holds_everything(list in proptest::collection::vec(".{0,30}", 0..30)) {
            let text = json!({"count": list.len(), "urls": list, "path_prefix": "p"}).to_string();
            prop_assert_eq!(urls(&text), list);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_listing(bytes.as_slice());
        }
    }
}
