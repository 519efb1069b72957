//! Dates as headers, logs and folder pages spell them.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// The moment now; the one place where the replica reads the clock of the day.
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

/// The form of `Date` and `Last-Modified`.
const HTTP: &str = "%a, %d %b %Y %H:%M:%S GMT";

/// The form of `Date` and `Last-Modified`.
pub(crate) fn http(second: i64) -> String {
    spell(second, HTTP)
}

/// The second that a date in that form tells; none in any other.
pub(crate) fn read_http(text: &str) -> Option<i64> {
    let moment = DateTime::strptime(HTTP, text).and_then(|date| date.to_zoned(TimeZone::UTC));
    Some(moment.ok()?.timestamp().as_second())
}

/// The form of most folder pages.
pub(crate) fn page(second: i64) -> String {
    spell(second, "%Y-%m-%d %H:%M")
}

/// The form of nginx's folder pages.
pub(crate) fn nginx(second: i64) -> String {
    spell(second, "%d-%b-%Y %H:%M")
}

/// RFC 3339 with milliseconds.
pub(crate) fn precise(moment: Timestamp) -> String {
    format!("{moment:.3}")
}

fn spell(second: i64, format: &str) -> String {
    let moment = Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH);
    moment.to_zoned(TimeZone::UTC).strftime(format).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings() {
        assert_eq!(http(1_394_434_800), "Mon, 10 Mar 2014 07:00:00 GMT");
        assert_eq!(read_http("Mon, 10 Mar 2014 07:00:00 GMT"), Some(1_394_434_800));
        assert_eq!(read_http("Monday, 10-Mar-14 07:00:00 GMT"), None);
        assert_eq!(page(1_394_434_800), "2014-03-10 07:00");
        let moment = Timestamp::from_millisecond(1_394_434_800_007).unwrap();
        assert_eq!(precise(moment), "2014-03-10T07:00:00.007Z");
    }
}
