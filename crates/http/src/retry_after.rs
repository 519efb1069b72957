//! `Retry-After`: how long a server asks to be left alone (RFC 9110 section 10.2.3). Pure.

use std::time::Duration;

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// How long the server asks to wait, from seconds or from an HTTP date; none when it asks nothing that
/// can be read.
///
/// A date is taken relative to the server's own `Date`, because clocks differ; `now` stands in where
/// there is none. A date in the past is no wait. The caller caps it.
#[must_use]
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let until = http_date(text)?;
    let server_now = headers.get(DATE).and_then(|date| http_date(date.to_str().ok()?.trim())).unwrap_or(now);
    Some(Duration::try_from(until.duration_since(server_now)).unwrap_or(Duration::ZERO))
}

/// The three forms that a recipient must read (RFC 9110 section 5.6.7): IMF-fixdate, RFC 850, asctime.
fn http_date(text: &str) -> Option<Timestamp> {
    const FORMS: [&str; 3] =
        ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];
    let civil = FORMS.iter().find_map(|form| DateTime::strptime(form, text).ok())?;
    Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "1994-11-06T08:49:00Z";

    fn wait(retry: &str, date: Option<&str>) -> Option<u64> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, retry.parse().unwrap());
        if let Some(date) = date {
            headers.insert(DATE, date.parse().unwrap());
        }
        retry_after(&headers, NOW.parse().unwrap()).map(|wait| wait.as_secs())
    }

    #[test]
    fn seconds_are_seconds() {
        assert_eq!(wait("0", None), Some(0));
        assert_eq!(wait(" 120 ", None), Some(120));
        assert_eq!(wait("99999999999999999999999", None), Some(u64::MAX));
    }

    #[test]
    fn all_three_date_forms_are_read() {
        for form in
            ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
        {
            assert_eq!(wait(form, None), Some(37), "{form}");
        }
    }

    #[test]
    fn a_date_is_relative_to_the_servers_clock() {
        let ahead = "Sun, 06 Nov 1994 10:00:00 GMT";
        assert_eq!(wait("Sun, 06 Nov 1994 10:00:30 GMT", Some(ahead)), Some(30));
        assert_eq!(wait("Sun, 06 Nov 1994 09:00:00 GMT", Some(ahead)), Some(0));
    }

    #[test]
    fn what_cannot_be_read_asks_nothing() {
        for text in ["", "soon", "-5", "1.5", "Sun, 99 Nov 1994 08:49:37 GMT"] {
            assert_eq!(wait(text, None), None, "{text}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), NOW.parse().unwrap()), None);
    }
}
