//! The archive's file-name grammar: one template per kind of file, used to write names and to read them back.
//!
//! A template is the part of a path below the dataset's tree, such as
//! `{Y}/{m}/{d}/{site}_{device}/ut{H}/{Y}{m}{d}_{H}{M}_{site}_{device}_full.pgm.gz`. Reading is the exact inverse
//! of writing: a text is accepted only if writing what was read gives the same text again.

use std::fmt::Write as _;

use jiff::civil::{Date, DateTime};
use serde::Deserialize;

/// How much time one file covers, as its name tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cadence {
    Minute,
    Hour,
    Day,
}

impl Cadence {
    /// The length of the period in minutes.
    pub(crate) fn minutes(self) -> i64 {
        match self {
            Self::Minute => 1,
            Self::Hour => 60,
            Self::Day => 1440,
        }
    }
}

/// What a name tells about a file: when, where, with what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Label {
    pub(crate) date: Date,
    pub(crate) minute_of_day: i64,
    pub(crate) site: String,
    pub(crate) device: String,
}

impl Label {
    /// The start of the file's period, in seconds since 1970.
    pub(crate) fn start(&self) -> i64 {
        midnight(self.date) + self.minute_of_day * 60
    }

    /// The start of the file's period as a civil time (UTC).
    pub(crate) fn civil(&self) -> DateTime {
        let hour = i8::try_from(self.minute_of_day / 60).unwrap_or(0);
        let minute = i8::try_from(self.minute_of_day % 60).unwrap_or(0);
        self.date.at(hour, minute, 0, 0)
    }
}

/// Midnight (UTC) of a date, in seconds since 1970.
pub(crate) fn midnight(date: Date) -> i64 {
    let days = date.since(Date::constant(1970, 1, 1)).map_or(0, |span| span.get_days());
    i64::from(days) * 86_400
}

/// The date (UTC) of a moment in seconds since 1970; moments beyond the calendar are clamped to it.
pub(crate) fn date_of(second: i64) -> Date {
    jiff::Timestamp::from_second(second)
        .map_or(Date::MAX, |moment| moment.to_zoned(jiff::tz::TimeZone::UTC).date())
}

/// One kind of file name.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(Field),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Site,
    Device,
}

impl TryFrom<String> for Template {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            let (name, tail) = after.split_once('}').ok_or_else(|| format!("no closing brace in {text}"))?;
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            parts.push(Part::Field(field(name).ok_or_else(|| format!("unknown field {name} in {text}"))?));
            rest = tail;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self { parts })
    }
}

impl Template {
    /// The period that a file of this name covers.
    pub(crate) fn cadence(&self) -> Cadence {
        if self.has(Field::Minute) {
            Cadence::Minute
        } else if self.has(Field::Hour) {
            Cadence::Hour
        } else {
            Cadence::Day
        }
    }

    /// Appends the name of `label` to `out`.
    pub(crate) fn write(&self, label: &Label, out: &mut String) {
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Field(Field::Site) => out.push_str(&label.site),
                Part::Field(Field::Device) => out.push_str(&label.device),
                Part::Field(field) => push_number(*field, label, out),
            }
        }
    }

    /// Reads a name back, if it is one of this kind.
    pub(crate) fn read(&self, text: &str) -> Option<Label> {
        let mut reading = Reading::default();
        let mut rest = text;
        for (index, part) in self.parts.iter().enumerate() {
            rest = match part {
                Part::Text(expected) => rest.strip_prefix(expected.as_str())?,
                Part::Field(field) => reading.take(*field, rest, self.stop_after(index))?,
            };
        }
        let label = reading.label()?;
        let mut again = String::with_capacity(text.len());
        self.write(&label, &mut again);
        (rest.is_empty() && again == text).then_some(label)
    }

    fn has(&self, wanted: Field) -> bool {
        self.parts.contains(&Part::Field(wanted))
    }

    /// The character that ends a free-length field: the first of the text that follows it.
    fn stop_after(&self, index: usize) -> Option<char> {
        match self.parts.get(index + 1) {
            Some(Part::Text(text)) => text.chars().next(),
            _ => None,
        }
    }
}

fn field(name: &str) -> Option<Field> {
    Some(match name {
        "Y" => Field::Year,
        "m" => Field::Month,
        "d" => Field::Day,
        "H" => Field::Hour,
        "M" => Field::Minute,
        "site" => Field::Site,
        "device" => Field::Device,
        _ => return None,
    })
}

fn push_number(field: Field, label: &Label, out: &mut String) {
    let number = match field {
        Field::Year => {
            // Writing to a String cannot fail.
            let _ = write!(out, "{:04}", label.date.year());
            return;
        }
        Field::Month => i64::from(label.date.month()),
        Field::Day => i64::from(label.date.day()),
        Field::Hour => label.minute_of_day / 60,
        _ => label.minute_of_day % 60,
    };
    let digit = |value: i64| char::from(b'0' + u8::try_from(value % 10).unwrap_or(0));
    out.push(digit(number / 10));
    out.push(digit(number));
}

#[derive(Default)]
struct Reading {
    year: Option<i16>,
    month: i8,
    day: i8,
    hour: i8,
    minute: i8,
    site: String,
    device: String,
}

impl Reading {
    /// Takes one field off the front of `text` and returns the rest.
    fn take<'a>(&mut self, field: Field, text: &'a str, stop: Option<char>) -> Option<&'a str> {
        let length = match field {
            Field::Year | Field::Site => 4,
            Field::Device => stop.and_then(|stop| text.find(stop)).unwrap_or(text.len()),
            _ => 2,
        };
        let (value, rest) = text.split_at_checked(length)?;
        match field {
            Field::Year => self.year = Some(value.parse().ok()?),
            Field::Month => self.month = value.parse().ok()?,
            Field::Day => self.day = value.parse().ok()?,
            Field::Hour => self.hour = value.parse().ok()?,
            Field::Minute => self.minute = value.parse().ok()?,
            Field::Site => self.site = value.to_owned(),
            Field::Device => self.device = value.to_owned(),
        }
        Some(rest)
    }

    fn label(self) -> Option<Label> {
        let date = Date::new(self.year?, self.month, self.day).ok()?;
        let in_day = (0..24).contains(&self.hour) && (0..60).contains(&self.minute);
        let minute_of_day = i64::from(self.hour) * 60 + i64::from(self.minute);
        in_day.then_some(Label { date, minute_of_day, site: self.site, device: self.device })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAW: &str = "{Y}/{m}/{d}/{site}_{device}/ut{H}/{Y}{m}{d}_{H}{M}_{site}_{device}_full.pgm.gz";

    fn template(text: &str) -> Template {
        Template::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn what_is_written_reads_back() {
        let label = Label {
            date: Date::constant(2020, 3, 21),
            minute_of_day: 390,
            site: "gill".into(),
            device: "rgb-04".into(),
        };
        let mut name = String::new();
        template(RAW).write(&label, &mut name);
        assert_eq!(name, "2020/03/21/gill_rgb-04/ut06/20200321_0630_gill_rgb-04_full.pgm.gz");
        assert_eq!(template(RAW).read(&name), Some(label));
    }

    #[test]
    fn contradictions_and_impossible_dates_are_refused() {
        for name in [
            "2020/03/21/gill_a/ut06/20200321_0730_gill_a_full.pgm.gz",
            "2020/02/30/gill_a/ut06/20200230_0630_gill_a_full.pgm.gz",
            "2020/03/21/gill_a/ut06/20200321_0630_gill_a_full.pgm.gz.part",
            "2020/03/21/gill_a/ut06/+2200321_0630_gill_a_full.pgm.gz",
            "2020",
        ] {
            assert_eq!(template(RAW).read(name), None, "{name}");
        }
    }

    #[test]
    fn cadence_follows_the_fields() {
        assert_eq!(template(RAW).cadence(), Cadence::Minute);
        assert_eq!(template("{Y}{m}{d}_{H}.jpg").cadence(), Cadence::Hour);
        assert_eq!(template("{Y}{m}{d}.jpg").cadence(), Cadence::Day);
        assert!(Template::try_from("{Q}".to_owned()).is_err());
    }
}
