//! Times as people write them: RFC 3339 or a prefix of it, always UTC.

use std::ops::RangeInclusive;

use jiff::{Timestamp, ToSpan, civil, tz::TimeZone};
use thiserror::Error;

/// The years that can be meant: cameras have watched the sky by themselves since the 1950s, and
/// [`crate::Interval::OPEN_END`] is the last second of 2099. Others are slips, and planning them would not end.
const YEARS: RangeInclusive<u32> = 1900..=2099;

/// A time that cannot be meant.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TimeError {
    /// It is none of the spellings.
    #[error("'{0}' is no time: write 2022, 2022-01, 2022-01-01, 2022-01-01T06 or 2022-01-01T06:00:00Z")]
    Unreadable(String),
    /// No archive has data of that year.
    #[error("'{0}' is not within the years {first} to {last}", first = YEARS.start(), last = YEARS.end())]
    FarAway(String),
}

/// The first moment of what `text` names: `2022` is its first of January, midnight. Parts of seconds are kept.
///
/// # Errors
/// [`TimeError`] when it names no time.
pub fn parse_start(text: &str) -> Result<Timestamp, TimeError> {
    parse(text).map(|named| named.first)
}

/// The last second of what `text` names: `2022` is its 31st of December, 23:59:59. Parts of seconds are kept.
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
    if year(trimmed).is_some_and(|year| !YEARS.contains(&year)) {
        return Err(TimeError::FarAway(text.to_owned()));
    }
    let named = named_prefix(trimmed).or_else(|| elsewhere(trimmed)).or_else(|| exact(trimmed));
    named.ok_or_else(|| TimeError::Unreadable(text.to_owned()))
}

/// The year that a time begins with; of five digits too, which are a slip of the finger.
fn year(text: &str) -> Option<u32> {
    let digits = text.split('-').next().filter(|digits| (4..=5).contains(&digits.len()))?;
    digits.parse().ok()
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

/// A full RFC 3339 time in another spelling, with a fraction for instance, and perhaps without its `Z`; both ends are
/// the moment itself.
fn exact(text: &str) -> Option<Named> {
    let (date, clock) = text.split_once(['T', 't', ' '])?;
    fields(date, '-', &[4, 2, 2])?;
    fields(clock.get(..8)?, ':', &[2, 2, 2]).filter(|clock| clock.len() == 3)?;
    let moment = text.parse().or_else(|_| format!("{text}Z").parse()).ok()?;
    Some(Named { first: moment, last: moment })
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
        i8::try_from(leapless(at(&clock, 2, 0))).ok()?,
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

/// A leap second is the one before it, as everywhere in Unix time.
fn leapless(second: i16) -> i16 {
    if second == 60 { 59 } else { second }
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
            ("2016-12-31T23:59:60", "2016-12-31T23:59:59Z", "2016-12-31T23:59:59Z"),
            ("2022-01-01T06:00:00.9-07:00", "2022-01-01T13:00:00.9Z", "2022-01-01T13:00:00.9Z"),
            ("2022-01-01T06:00:00.9Z", "2022-01-01T06:00:00.9Z", "2022-01-01T06:00:00.9Z"),
            ("2022-01-01T06:00:00.25", "2022-01-01T06:00:00.25Z", "2022-01-01T06:00:00.25Z"),
            ("1900", "1900-01-01T00:00:00Z", "1900-12-31T23:59:59Z"),
            ("2099", "2099-01-01T00:00:00Z", "2099-12-31T23:59:59Z"),
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
            "2022-01-01T06:00:61",
            "20220101",
            "+002022-01-01T06:00:00Z",
            "-002022-01-01T06:00:00Z",
        ] {
            assert_eq!(parse_start(text), Err(TimeError::Unreadable(text.to_owned())), "{text}");
        }
    }

    #[test]
    fn years_that_nobody_means_are_refused_by_name() {
        for text in ["0001", "0022-01-01", "1899-12-31T23:59:59Z", "2100", "9999", "20222", "99999-01-01"] {
            assert_eq!(parse_end(text), Err(TimeError::FarAway(text.to_owned())), "{text}");
        }
        let told = parse_end("99999").unwrap_err().to_string();
        assert_eq!(told, "'99999' is not within the years 1900 to 2099");
    }
}
