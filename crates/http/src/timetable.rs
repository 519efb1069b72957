//! The byte rate as people write it: one rate, or a timetable in local time. Pure.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Time;
use skyhaul_model::{NumberError, parse_bytes};
use thiserror::Error;

/// A limit on body bytes a second, perhaps by the time of day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RateLimit {
    /// From this time of day this rate, ascending; a single entry at midnight holds all day.
    entries: Vec<(Time, Option<u64>)>,
}

/// A rate limit that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RateLimitError {
    /// A rate that is no number of bytes.
    #[error(transparent)]
    Rate(#[from] NumberError),
    /// An entry that is not `HH:MM,RATE`.
    #[error("'{0}' is no entry of a timetable: write \"08:00,2M 18:00,off\"")]
    Entry(String),
    /// A time of day that appears twice.
    #[error("{0} appears twice in the timetable")]
    Twice(String),
}

impl RateLimit {
    /// No limit.
    #[must_use]
    pub fn off() -> Self {
        Self::default()
    }

    /// The same limit all day, in bytes a second; 0 is no limit.
    #[must_use]
    pub fn constant(bytes_per_second: u64) -> Self {
        Self { entries: vec![(Time::midnight(), Some(bytes_per_second).filter(|&rate| rate > 0))] }
    }

    /// `2M`, `off`, or a timetable `08:00,2M 18:00,off` in local time.
    ///
    /// The last entry of the day holds until the first one of the next. 0 is `off`.
    ///
    /// # Errors
    /// [`RateLimitError`] that names the part that makes no sense.
    pub fn parse(text: &str) -> Result<Self, RateLimitError> {
        let trimmed = text.trim();
        if !trimmed.contains(',') {
            return Ok(Self { entries: vec![(Time::midnight(), parse_rate(trimmed)?)] });
        }
        let mut entries = trimmed.split_whitespace().map(parse_entry).collect::<Result<Vec<_>, _>>()?;
        entries.sort_unstable_by_key(|&(from, _)| from);
        match entries.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            Some(pair) => Err(RateLimitError::Twice(pair[0].0.strftime("%H:%M").to_string())),
            None => Ok(Self { entries }),
        }
    }

    /// The limit at this local time of day, in bytes a second; none: no limit.
    #[must_use]
    pub fn at(&self, time: Time) -> Option<u64> {
        let begun = self.entries.iter().rev().find(|&&(from, _)| from <= time);
        begun.or(self.entries.last()).and_then(|&(_, rate)| rate)
    }

    /// Whether the limit changes over the day.
    pub(crate) fn changes(&self) -> bool {
        self.entries.len() > 1
    }
}

impl FromStr for RateLimit {
    type Err = RateLimitError;

    fn from_str(text: &str) -> Result<Self, RateLimitError> {
        Self::parse(text)
    }
}

impl fmt::Display for RateLimit {
    /// In the form that [`RateLimit::parse`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.entries.as_slice() {
            [] => f.write_str("off"),
            [(_, rate)] => f.write_str(&rate_text(*rate)),
            entries => {
                let text: Vec<String> = entries
                    .iter()
                    .map(|(from, rate)| format!("{},{}", from.strftime("%H:%M"), rate_text(*rate)))
                    .collect();
                f.write_str(&text.join(" "))
            }
        }
    }
}

fn parse_entry(text: &str) -> Result<(Time, Option<u64>), RateLimitError> {
    let wrong = || RateLimitError::Entry(text.to_owned());
    let (clock, rate) = text.split_once(',').ok_or_else(wrong)?;
    let (hour, minute) = clock.split_once(':').ok_or_else(wrong)?;
    let digits = |part: &str| part.len() <= 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(hour) || minute.len() != 2 || !digits(minute) {
        return Err(wrong());
    }
    let number = |part: &str| part.parse::<i8>().map_err(|_| wrong());
    let from = Time::new(number(hour)?, number(minute)?, 0, 0).map_err(|_| wrong())?;
    Ok((from, parse_rate(rate)?))
}

fn parse_rate(text: &str) -> Result<Option<u64>, NumberError> {
    if text.eq_ignore_ascii_case("off") {
        return Ok(None);
    }
    // A rate is a number of bytes a second, also where people write it so.
    let bare = text.strip_suffix("/s").unwrap_or(text);
    Ok(Some(parse_bytes(bare)?).filter(|&rate| rate > 0))
}

fn rate_text(rate: Option<u64>) -> String {
    rate.map_or_else(|| "off".to_owned(), |rate| rate.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(limit: &RateLimit, hour: i8, minute: i8) -> Option<u64> {
        limit.at(Time::constant(hour, minute, 0, 0))
    }

    #[test]
    fn one_rate_holds_all_day() {
        for (text, rate) in [("2M", Some(2_000_000)), ("64Ki", Some(65_536)), ("off", None), ("0", None)] {
            let limit = RateLimit::parse(text).unwrap();
            assert_eq!((at(&limit, 0, 0), at(&limit, 23, 59)), (rate, rate), "{text}");
            assert!(!limit.changes());
        }
        assert_eq!(at(&RateLimit::off(), 12, 0), None);
        assert_eq!(at(&RateLimit::constant(7), 12, 0), Some(7));
    }

    #[test]
    fn a_timetable_holds_from_entry_to_entry_and_over_midnight() {
        let limit = RateLimit::parse(" 18:00,off 08:00,2M  12:30,500k ").unwrap();
        let table = [
            ((0, 0), None),
            ((7, 59), None),
            ((8, 0), Some(2_000_000)),
            ((12, 29), Some(2_000_000)),
            ((12, 30), Some(500_000)),
            ((17, 59), Some(500_000)),
            ((18, 0), None),
            ((23, 59), None),
        ];
        for ((hour, minute), rate) in table {
            assert_eq!(at(&limit, hour, minute), rate, "{hour}:{minute}");
        }
        assert!(limit.changes());
    }

    #[test]
    fn the_printed_form_is_read_back() {
        for text in ["off", "2000000", "08:00,2000000 18:00,off"] {
            assert_eq!(RateLimit::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        for text in ["", "fast", "08:00", "8,2M", "25:00,2M", "08:60,2M", "08:0,2M", "08:00,2M x", "+8:00,2M"]
        {
            assert!(RateLimit::parse(text).is_err(), "{text}");
        }
        let twice = RateLimit::parse("08:00,1M 8:00,2M").unwrap_err();
        assert_eq!(twice.to_string(), "08:00 appears twice in the timetable");
    }
}
