//! Sizes, rates and durations as people write them on the command line.

use std::time::Duration;

use thiserror::Error;

/// A number that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NumberError {
    /// Not a size or rate.
    #[error("'{0}' is no number of bytes: write 500k, 2M, 1.5G or 64Mi")]
    Bytes(String),
    /// Not a duration.
    #[error("'{0}' is no duration: write 90s, 30m, 6h, 2d or 1h30m")]
    Duration(String),
}

/// Bytes: `k`, `M`, `G`, `T` are powers of 1000, `Ki`, `Mi`, `Gi`, `Ti` of 1024; a `B` may follow.
///
/// # Errors
/// [`NumberError::Bytes`] for anything else, and for what does not fit 63 bits.
pub fn parse_bytes(text: &str) -> Result<u64, NumberError> {
    let wrong = || NumberError::Bytes(text.to_owned());
    let trimmed = text.trim();
    let split = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
    let (digits, unit) = trimmed.split_at(split);
    let factor = byte_unit(unit.trim()).ok_or_else(wrong)?;
    if let Ok(whole) = digits.parse::<u64>() {
        return whole.checked_mul(factor).filter(|&n| n <= i64::MAX as u64).ok_or_else(wrong);
    }
    let value = digits.parse::<f64>().map_err(|_| wrong())? * factor as f64;
    if value.is_finite() && value < i64::MAX as f64 { Ok(value as u64) } else { Err(wrong()) }
}

fn byte_unit(unit: &str) -> Option<u64> {
    let bare = unit.strip_suffix(['B', 'b']).unwrap_or(unit);
    let power = match bare.chars().next() {
        None => 0,
        Some('k' | 'K') => 1,
        Some('m' | 'M') => 2,
        Some('g' | 'G') => 3,
        Some('t' | 'T') => 4,
        Some(_) => return None,
    };
    match bare.get(1..) {
        None | Some("") => Some(1000u64.pow(power)),
        Some("i") => Some(1024u64.pow(power)),
        Some(_) => None,
    }
}

/// A duration: a number of seconds, or numbers with `s`, `m`, `h`, `d`, `w` one after another; parts of seconds are
/// rounded up.
///
/// # Errors
/// [`NumberError::Duration`] for anything else.
pub fn parse_duration(text: &str) -> Result<Duration, NumberError> {
    let wrong = || NumberError::Duration(text.to_owned());
    let mut rest = text.trim();
    if let Some(seconds) = whole_seconds(rest, 1) {
        return Ok(Duration::from_secs(seconds));
    }
    let mut total = 0u64;
    while !rest.is_empty() {
        let split = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let unit = rest[split..].chars().next().ok_or_else(wrong)?;
        let seconds = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return Err(wrong()),
        };
        let seconds = whole_seconds(&rest[..split], seconds).ok_or_else(wrong)?;
        total = total.checked_add(seconds).ok_or_else(wrong)?;
        rest = &rest[split + unit.len_utf8()..];
    }
    if text.trim().is_empty() { Err(wrong()) } else { Ok(Duration::from_secs(total)) }
}

/// So many times `unit` seconds; none where `count` is no number, or too large.
fn whole_seconds(count: &str, unit: u64) -> Option<u64> {
    if !count.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    if !count.contains('.') {
        return count.parse::<u64>().ok()?.checked_mul(unit);
    }
    let seconds = (count.parse::<f64>().ok()? * unit as f64).ceil();
    (seconds < i64::MAX as f64).then_some(seconds as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_powers_of_1000_and_1024() {
        let table = [
            ("0", 0),
            ("512", 512),
            ("1k", 1_000),
            ("2M", 2_000_000),
            ("1.5G", 1_500_000_000),
            ("1Ki", 1024),
            ("64Mi", 64 << 20),
            ("1GiB", 1 << 30),
            ("3TB", 3_000_000_000_000),
        ];
        for (text, bytes) in table {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "k", "-1", "1x", "1kk", "1e9", "99999999T", "1.2.3M", "NaN"] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
        for text in ["", "h", ".", ".h", "1y", "1h30", "-5s", "1.2.3s", "1e3", "inf", "99999999999999999999d"]
        {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_add_up() {
        assert_eq!(parse_duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(parse_duration("2d"), Ok(Duration::from_secs(172_800)));
        assert_eq!(parse_duration("1w"), Ok(Duration::from_secs(604_800)));
        assert_eq!(parse_duration("1.5h"), Ok(Duration::from_secs(5400)));
        assert_eq!(parse_duration("0.2"), Ok(Duration::from_secs(1)));
    }
}
