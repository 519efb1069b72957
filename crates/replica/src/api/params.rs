//! Query parameters: reading them, and collecting what is wrong with all of them for one 422.

use std::collections::HashMap;

use jiff::civil::{Date, DateTime};
use serde_json::{Value, json};

use super::Problem;
use crate::names::midnight;

/// The parameters of one request.
#[derive(Debug)]
pub(crate) struct Params {
    values: HashMap<String, String>,
    complaints: Vec<Value>,
}

impl Params {
    /// Splits a query string.
    pub(crate) fn new(query: &str) -> Self {
        let values = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        Self { values, complaints: Vec::new() }
    }

    /// A parameter that may be left out or empty.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.values.get(name).filter(|value| !value.is_empty()).cloned()
    }

    /// A parameter that must be there.
    pub(crate) fn required(&mut self, name: &str) -> String {
        let value = self.values.get(name).cloned();
        value.unwrap_or_else(|| {
            self.complain(name, "missing", "Field required", &Value::Null);
            String::new()
        })
    }

    /// A time that must be there, in seconds since 1970.
    pub(crate) fn time(&mut self, name: &str) -> i64 {
        let Some(value) = self.values.get(name).cloned() else {
            self.required(name);
            return 0;
        };
        time(&value).unwrap_or_else(|| {
            let message = "Input should be a valid datetime or date";
            self.complain(name, "datetime_from_date_parsing", message, &json!(value));
            0
        })
    }

    /// A switch that is off when left out.
    pub(crate) fn switch(&mut self, name: &str) -> bool {
        let Some(value) = self.values.get(name).cloned() else { return false };
        match value.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" | "t" | "y" => true,
            "false" | "0" | "no" | "off" | "f" | "n" => false,
            _ => {
                let message = "Input should be a valid boolean, unable to interpret input";
                self.complain(name, "bool_parsing", message, &json!(value));
                false
            }
        }
    }

    /// Notes that a parameter is none of the known values.
    pub(crate) fn reject_choice(&mut self, name: &str, choices: &[&str]) {
        let listed: Vec<_> = choices.iter().map(|choice| format!("'{choice}'")).collect();
        let message = format!("Input should be {}", listed.join(", "));
        let value = json!(self.values.get(name));
        self.complain(name, "enum", &message, &value);
    }

    /// All that was wrong, if anything was.
    pub(crate) fn verdict(&self) -> Result<(), Problem> {
        if self.complaints.is_empty() { Ok(()) } else { Err(Problem::Invalid(self.complaints.clone())) }
    }

    fn complain(&mut self, name: &str, kind: &str, message: &str, input: &Value) {
        self.complaints.push(json!({ "type": kind, "loc": ["query", name], "msg": message, "input": input }));
    }
}

/// Reads a time: `T` or a blank between date and time, cut off from the right at will, always UTC.
pub(crate) fn time(text: &str) -> Option<i64> {
    let text = text.trim().trim_end_matches(['Z', 'z']);
    let (date, time) = text.split_once(['T', 't', ' ']).unwrap_or((text, ""));
    let mut days = date.split('-');
    let year = whole(days.next()?, 4)?;
    let month = days.next().map_or(Some(1), |part| whole(part, 2))?;
    let day = days.next().map_or(Some(1), |part| whole(part, 2))?;
    let (clock, fraction) = time.split_once('.').unwrap_or((time, ""));
    let mut clock = clock.split(':').filter(|part| !part.is_empty() || !time.is_empty());
    let mut next = || clock.next().map_or(Some(0), |part| whole(part, 2));
    let (hour, minute, second) = (next()?, next()?, next()?);
    if days.next().is_some() || clock.next().is_some() || !fraction.bytes().all(|byte| byte.is_ascii_digit())
    {
        return None;
    }
    let date = Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?;
    let [hour, minute, second] = [hour, minute, second].map(|part| i8::try_from(part).unwrap_or(-1));
    DateTime::new(date.year(), date.month(), date.day(), hour, minute, second, 0).ok()?;
    Some(midnight(date) + i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second))
}

fn whole(text: &str, digits: usize) -> Option<i16> {
    let sound = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    sound.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let base = 1_640_995_200;
        let cases = [
            ("2022-01-01T06:40:05", Some(base + 24_005)),
            ("2022-01-01 06:40:05", Some(base + 24_005)),
            ("2022-01-01T06:40:05.123", Some(base + 24_005)),
            ("2022-01-01T06:40:05Z", Some(base + 24_005)),
            ("2022-01-01T06:40", Some(base + 24_000)),
            ("2022-01-01T06", Some(base + 21_600)),
            ("2022-01-01", Some(base)),
            ("2022-01", Some(base)),
            ("2022", Some(base)),
            ("", None),
            ("yesterday", None),
            ("2022-13-01", None),
            ("2022-02-30T00:00", None),
            ("2022-01-01T24:00", None),
            ("2022-01-01T6:00", None),
            ("2022-01-01T", Some(base)),
            ("2022-01-01T06:00:00:00", None),
            ("2022-01-01T06:00:00+01:00", None),
        ];
        for (text, expected) in cases {
            assert_eq!(time(text), expected, "{text}");
        }
    }
}
