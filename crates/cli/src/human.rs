//! Numbers as people read them: sizes, rates, counts, lengths of time, moments; and addresses.

use std::borrow::Cow;
use std::time::Duration;

use jiff::Timestamp;

/// A size in powers of 1000 with three figures: `129 MB`, `2.14 GB`, `512 B`.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if count < 1000 {
        return format!("{count} B");
    }
    let mut value = count as f64 / 1000.0;
    let mut unit = 0;
    // 999.5 would be shown as 1000 with three figures.
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let decimals = if value < 9.995 {
        2
    } else if value < 99.95 {
        1
    } else {
        0
    };
    format!("{value:.decimals$} {}", UNITS[unit])
}

/// A size that may not be known.
pub(crate) fn bytes_or_dash(count: Option<u64>) -> String {
    count.map_or_else(|| "-".to_owned(), bytes)
}

/// Bytes in a second.
pub(crate) fn rate(bytes_per_s: u64) -> String {
    format!("{}/s", bytes(bytes_per_s))
}

/// A count with its thousands apart: `1 234 567`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// A count with its noun: `1 file`, `2 files`.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", count(number))
}

/// A length of time in its two greatest units: `12 s`, `6 min 05 s`, `2 h 05 min`, `3 d 04 h`.
pub(crate) fn duration(length: Duration) -> String {
    let seconds = length.as_secs();
    match seconds {
        0 => format!("{:.1} s", length.as_secs_f64()),
        1..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {:02} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// A time that is left, in its greatest unit: `40 s`, `6 min`, `3 h`, `2 d`.
pub(crate) fn time_left(seconds: u64) -> String {
    match seconds {
        0..90 => format!("{seconds} s"),
        90..5400 => format!("{} min", (seconds + 30) / 60),
        5400..172_800 => format!("{} h", (seconds + 1800) / 3600),
        _ => format!("{} d", (seconds + 43_200) / 86_400),
    }
}

/// A URL without the password that may stand in it.
pub(crate) fn url(text: &str) -> Cow<'_, str> {
    let Some((scheme, rest)) = text.split_once("://") else { return Cow::Borrowed(text) };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    match authority.rsplit_once('@') {
        Some((_, host)) => Cow::Owned(format!("{scheme}://(not shown)@{host}{path}")),
        None => Cow::Borrowed(text),
    }
}

/// A moment in whole seconds of UTC, as RFC 3339 with `Z`.
pub(crate) fn moment(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A moment for tables: `2026-11-22 21:00`.
pub(crate) fn short_moment(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_a_url_is_not_shown() {
        let table = [
            ("http://user:p@ss@127.0.0.1:9/api/v1", "http://(not shown)@127.0.0.1:9/api/v1"),
            ("https://token@host", "https://(not shown)@host"),
            ("https://host/a@b", "https://host/a@b"),
            ("no url", "no url"),
        ];
        for (text, shown) in table {
            assert_eq!(url(text), shown);
        }
    }

    #[test]
    fn sizes_have_three_figures() {
        let table = [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.00 kB"),
            (2_138_488, "2.14 MB"),
            (99_960_000, "100 MB"),
            (129_000_000, "129 MB"),
            (999_600_000, "1.00 GB"),
            (120_000_000_000_000, "120 TB"),
            (u64::MAX, "18.4 EB"),
        ];
        for (number, text) in table {
            assert_eq!(bytes(number), text);
        }
    }

    #[test]
    fn thousands_are_apart() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1 000", "1 234 567"]);
        assert_eq!(counted(1, "file"), "1 file");
        assert_eq!(counted(0, "file"), "0 files");
    }

    #[test]
    fn lengths_of_time_name_two_units() {
        let table = [
            (0.25, "0.2 s"),
            (12.9, "12 s"),
            (365.0, "6 min 05 s"),
            (7_500.0, "2 h 05 min"),
            (273_700.0, "3 d 04 h"),
        ];
        for (seconds, text) in table {
            assert_eq!(duration(Duration::from_secs_f64(seconds)), text);
        }
        assert_eq!([40, 361, 10_800, 200_000].map(time_left), ["40 s", "6 min", "3 h", "2 d"]);
    }

    #[test]
    fn moments_are_whole_seconds_of_utc() {
        let time: Timestamp = "2026-11-22T21:00:00.987Z".parse().unwrap();
        assert_eq!(moment(time), "2026-11-22T21:00:00Z");
        assert_eq!(short_moment(time), "2026-11-22 21:00");
    }
}
