//! Readers of single values, shared by the flags and the config file's keys.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use skyhaul_model::parse_duration;
use skyhaul_queue::SecretHeader;
use url::Url;

/// Headers that decide how a transfer works: skyhaul sets them itself.
const OWN_HEADERS: [&str; 7] = [
    "accept-encoding",
    "connection",
    "content-length",
    "if-range",
    "range",
    "transfer-encoding",
    "want-repr-digest",
];

/// The longest label: it has to fit a line of a table.
const MAX_NAME_CHARS: usize = 80;

/// A whole number from 1 upwards.
pub(crate) fn positive(text: &str) -> Result<u32, String> {
    match text.trim().parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(format!("'{text}' is no whole number from 1 to {}", u32::MAX)),
    }
}

/// A whole number from 0 upwards.
pub(crate) fn count(text: &str) -> Result<u32, String> {
    text.trim().parse().map_err(|_| format!("'{text}' is no whole number from 0 to {}", u32::MAX))
}

/// Seconds, at least one; the units of durations are fine too.
pub(crate) fn seconds(text: &str) -> Result<NonZeroU64, String> {
    let length = parse_duration(text).map_err(|error| error.to_string())?;
    NonZeroU64::new(length.as_secs()).ok_or_else(|| "it must be at least 1 second".to_owned())
}

/// Requests a second.
pub(crate) fn request_rate(text: &str) -> Result<f64, String> {
    match text.trim().parse::<f64>() {
        Ok(rate) if rate.is_finite() && rate >= 1e-4 => Ok(rate),
        _ => Err(format!("'{text}' is no rate: write a number from 0.0001 upwards, as 0.5 or 10")),
    }
}

/// `K: V`, a request header.
pub(crate) fn header(text: &str) -> Result<SecretHeader, String> {
    // The value may be a password: what is wrong is told without showing it.
    let (name, value) =
        text.split_once(':').ok_or("a header is written 'Name: value'; this one has no colon")?;
    let (name, value) = (name.trim(), value.trim());
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if name.is_empty() || !name.chars().all(is_token) {
        return Err(format!("'{name}' is no header name"));
    }
    if OWN_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
        return Err(format!("the header {name} is skyhaul's own to set"));
    }
    if value.chars().any(|c| c.is_control() && c != '\t') {
        return Err(format!("the value of the header {name} holds a control character"));
    }
    Ok(SecretHeader { name: name.to_owned(), value: value.to_owned() })
}

/// An http or https URL, without a trailing slash.
pub(crate) fn http_url(text: &str) -> Result<String, String> {
    let wrong = || format!("'{text}' is no http:// or https:// URL");
    let url = Url::parse(text.trim()).map_err(|_| wrong())?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(wrong());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!("'{text}' must have no query and no fragment"));
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// A URL that is told of something, whole with its query; nothing for nobody.
pub(crate) fn told_url(text: &str) -> Result<String, String> {
    let text = text.trim();
    let is_http = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host();
    match Url::parse(text) {
        _ if text.is_empty() => Ok(String::new()),
        Ok(url) if is_http(&url) => Ok(url.into()),
        _ => Err("it is no http:// or https:// URL".to_owned()),
    }
}

/// The URL below which a list's files lie: as written, for paths are compared as they are written.
pub(crate) fn base_url(text: &str) -> Result<String, String> {
    http_url(text).map(|_| text.trim().trim_end_matches('/').to_owned())
}

/// A job's label. Digits alone would be taken for a job's number.
pub(crate) fn job_name(text: &str) -> Result<String, String> {
    let name = text.trim();
    if name.is_empty() || name.chars().count() > MAX_NAME_CHARS || name.chars().any(char::is_control) {
        return Err(format!("a name is 1 to {MAX_NAME_CHARS} printable characters"));
    }
    if name.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("a name of digits alone would be taken for a job's number".to_owned());
    }
    Ok(name.to_owned())
}

/// One item of a comma-separated list. An empty one (an unset shell variable, a stray comma) must not
/// pass for "no filter".
pub(crate) fn list_item(text: &str) -> Result<String, String> {
    let item = text.trim();
    if item.is_empty() { Err("an empty name in the list".to_owned()) } else { Ok(item.to_owned()) }
}

/// Minutes, perhaps with a fraction, not negative.
pub(crate) fn minutes(text: &str) -> Result<Duration, String> {
    let wrong = || format!("'{text}' is no number of minutes");
    let minutes: f64 = text.trim().parse().map_err(|_| wrong())?;
    // A century is surely a slip, and keeps later sums within what times can hold.
    if !(0.0..=52_560_000.0).contains(&minutes) {
        return Err(wrong());
    }
    Ok(Duration::from_secs((minutes * 60.0).round() as u64))
}

/// A path that may be empty nowhere.
pub(crate) fn folder(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() { Err("an empty path".to_owned()) } else { Ok(PathBuf::from(text)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_names_and_values() {
        let header = |text| header(text).map(|h| (h.name, h.value));
        assert_eq!(header("X-Key:  a:b "), Ok(("X-Key".to_owned(), "a:b".to_owned())));
        for wrong in ["nonsense", ": v", "a b: c", "X: a\nb", "Range: bytes=0-", "IF-RANGE: x", "é: x"] {
            assert!(header(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_refused_header_does_not_tell_its_value() {
        for text in ["s3cret", "a b: s3cret", "X-Key: a\ns3cret", "Range: s3cret"] {
            assert!(!header(text).unwrap_err().contains("s3cret"), "{text}");
        }
    }

    #[test]
    fn bases_are_http_urls_without_a_tail() {
        assert_eq!(http_url("https://H.example/"), Ok("https://h.example".to_owned()));
        assert_eq!(http_url("http://h:8080/a/b/"), Ok("http://h:8080/a/b".to_owned()));
        for wrong in ["", "h.example", "ftp://h", "http://", "https://h/?q", "https://h/#f", "file:///x"] {
            assert!(http_url(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn numbers_have_their_ranges() {
        assert_eq!((positive("1"), positive("0").is_err(), positive("-1").is_err()), (Ok(1), true, true));
        assert_eq!((count("0"), count("-1").is_err(), count("many").is_err()), (Ok(0), true, true));
        assert_eq!(seconds("90").map(NonZeroU64::get), Ok(90));
        assert_eq!(seconds("2m").map(NonZeroU64::get), Ok(120));
        assert!(seconds("0").is_err());
        assert_eq!(request_rate("0.5"), Ok(0.5));
        for wrong in ["0", "-1", "NaN", "inf", "x"] {
            assert!(request_rate(wrong).is_err(), "{wrong}");
        }
        assert_eq!(minutes("1.5"), Ok(Duration::from_secs(90)));
        for wrong in ["-1", "NaN", "1e30", ""] {
            assert!(minutes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn names_are_no_numbers() {
        assert_eq!(job_name(" winter 22 "), Ok("winter 22".to_owned()));
        for wrong in ["", "  ", "22", "a\nb"] {
            assert!(job_name(wrong).is_err(), "{wrong:?}");
        }
        assert!(job_name(&"x".repeat(81)).is_err());
    }
}
