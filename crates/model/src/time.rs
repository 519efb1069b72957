//! Times as people write them: RFC 3339 or a prefix of it, always UTC.

use jiff::{Timestamp, ToSpan, civil, tz::TimeZone};
use thiserror::Error;

/// A time that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("'{0}' is no time: write 2022, 2022-01, 2022-01-01, 2022-01-01T06 or 2022-01-01T06:00:00Z")]
pub struct TimeError(String);

/// The first second of what `text` names: `2022` is its first of January, midnight.
///
/// # Errors
/// [`TimeError`] when it names no time.
pub fn parse_start(text: &str) -> Result<Timestamp, TimeError> {
    parse(text).map(|named| named.first)
}

/// The last second of what `text` names: `2022` is its 31st of December, 23:59:59.
///
/// # Errors
/// [`TimeError`] when it names no time.
pub fn parse_end(text: &str) -> Result<Timestamp, TimeError> {
    parse(text).map(|named| named.last)
}

struct Named {
    first: Timestamp,
    last: Timestamp,
}

fn parse(text: &str) -> Result<Named, TimeError> {
    let trimmed = text.trim();
    let named = named_prefix(trimmed).or_else(|| elsewhere(trimmed)).or_else(|| exact(trimmed));
    named.ok_or_else(|| TimeError(text.to_owned()))
}

/// A prefix that reaches to the clock, with an offset from UTC: `2022-01-01T06-07`, `2022-01-01T06:00-07:00`.
fn elsewhere(text: &str) -> Option<Named> {
    let clock = text.find(['T', 't', ' '])?;
    let (local, offset) = text.split_at(clock + text[clock..].find(['+', '-'])?);
    if local.ends_with(['Z', 'z']) {
        return None;
    }
    let named = named_prefix(local)?;
    let ahead = seconds_ahead(offset)?;
    let utc = |time: Timestamp| time.checked_sub(ahead.seconds()).ok();
    Some(Named { first: utc(named.first)?, last: utc(named.last)? })
}

/// How far a clock of this offset (`-07`, `+0530`, `+05:30`) is ahead of UTC.
fn seconds_ahead(offset: &str) -> Option<i64> {
    let (sign, clock) = match offset.strip_prefix('-') {
        Some(clock) => (-1, clock),
        None => (1, offset.strip_prefix('+')?),
    };
    let parts = match clock.len() {
        4 if clock.is_ascii() => fields(&format!("{}:{}", &clock[..2], &clock[2..]), ':', &[2, 2])?,
        _ => fields(clock, ':', &[2, 2])?,
    };
    let (hours, minutes) = (*parts.first()?, parts.get(1).copied().unwrap_or(0));
    (hours < 24 && minutes < 60).then(|| sign * (i64::from(hours) * 3_600 + i64::from(minutes) * 60))
}

/// A full RFC 3339 time in another spelling, with a fraction for instance; both ends are its second.
fn exact(text: &str) -> Option<Named> {
    let (_, clock) = text.split_once(['T', 't', ' '])?;
    fields(clock.get(..8)?, ':', &[2, 2, 2]).filter(|clock| clock.len() == 3)?;
    let second = Timestamp::from_second(text.parse::<Timestamp>().ok()?.as_second()).ok()?;
    Some(Named { first: second, last: second })
}

fn named_prefix(text: &str) -> Option<Named> {
    let bare = text.strip_suffix(['Z', 'z']).unwrap_or(text);
    let (date, clock) = match bare.split_once(['T', 't', ' ']) {
        Some((date, clock)) => (date, Some(clock)),
        None => (bare, None),
    };
    let date = fields(date, '-', &[4, 2, 2])?;
    let clock = clock.map_or(Some(Vec::new()), |clock| fields(clock, ':', &[2, 2, 2]))?;
    if !clock.is_empty() && date.len() < 3 {
        return None;
    }
    let at = |fields: &[i16], index: usize, default: i16| fields.get(index).copied().unwrap_or(default);
    let first = civil::DateTime::new(
        at(&date, 0, 0),
        i8::try_from(at(&date, 1, 1)).ok()?,
        i8::try_from(at(&date, 2, 1)).ok()?,
        i8::try_from(at(&clock, 0, 0)).ok()?,
        i8::try_from(at(&clock, 1, 0)).ok()?,
        i8::try_from(at(&clock, 2, 0)).ok()?,
        0,
    )
    .ok()?;
    let length = match date.len() + clock.len() {
        1 => 1.year(),
        2 => 1.month(),
        3 => 1.day(),
        4 => 1.hour(),
        5 => 1.minute(),
        _ => 1.second(),
    };
    let last = first.checked_add(length).ok()?.checked_sub(1.second()).ok()?;
    let utc = |time: civil::DateTime| Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp());
    Some(Named { first: utc(first)?, last: utc(last)? })
}

/// Splits at `separator` into numbers of exactly the given widths; fewer fields are fine, more are not.
fn fields(text: &str, separator: char, widths: &[usize]) -> Option<Vec<i16>> {
    let parts: Vec<&str> = text.split(separator).collect();
    if parts.len() > widths.len() {
        return None;
    }
    let number = |(part, &width): (&&str, &usize)| {
        let digits = part.len() == width && part.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| part.parse().ok()).flatten()
    };
    parts.iter().zip(widths).map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_its_first_or_its_last_second() {
        let table = [
            ("2022", "2022-01-01T00:00:00Z", "2022-12-31T23:59:59Z"),
            ("2024-02", "2024-02-01T00:00:00Z", "2024-02-29T23:59:59Z"),
            ("2022-01-01", "2022-01-01T00:00:00Z", "2022-01-01T23:59:59Z"),
            ("2022-01-01T06", "2022-01-01T06:00:00Z", "2022-01-01T06:59:59Z"),
            ("2022-01-01T06:59", "2022-01-01T06:59:00Z", "2022-01-01T06:59:59Z"),
            ("2022-01-01 06:00:07Z", "2022-01-01T06:00:07Z", "2022-01-01T06:00:07Z"),
            ("2022-01-01T06:00:00-07:00", "2022-01-01T13:00:00Z", "2022-01-01T13:00:00Z"),
            ("2022-01-01T06-07", "2022-01-01T13:00:00Z", "2022-01-01T13:59:59Z"),
            ("2022-01-01T23:59-0700", "2022-01-02T06:59:00Z", "2022-01-02T06:59:59Z"),
            ("2022-01-01 05:30+05:30", "2022-01-01T00:00:00Z", "2022-01-01T00:00:59Z"),
            ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59Z", "2016-12-31T23:59:59Z"),
            ("2022-01-01T06:00:00.9-07:00", "2022-01-01T13:00:00Z", "2022-01-01T13:00:00Z"),
            ("2022-01-01T06:00:00.9Z", "2022-01-01T06:00:00Z", "2022-01-01T06:00:00Z"),
        ];
        for (text, first, last) in table {
            assert_eq!(parse_start(text).unwrap().to_string(), first, "{text}");
            assert_eq!(parse_end(text).unwrap().to_string(), last, "{text}");
        }
    }

    #[test]
    fn what_names_no_time_is_refused() {
        for text in [
            "",
            "22",
            "2022-13",
            "2022-02-30",
            "2022-1-1",
            "2022T06",
            "2022-01-01T25",
            "yesterday",
            "2022-01-01T06:00:00:00",
            "2022-01-01T",
            "2022-01-01T06-",
            "2022-01-01T06-7",
            "2022-01-01T06+24",
            "2022-01-01T06+05:60",
            "2022-01-01T06Z-07",
            "2022-01-01T06-ab",
            "2022-01-01T06-\u{e9}\u{e9}",
        ] {
            assert!(parse_start(text).is_err(), "{text}");
        }
    }
}
