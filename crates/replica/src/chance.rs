//! When a fault strikes, and which files it strikes: the two small languages that every fault switch shares.

use std::fmt;
use std::str::FromStr;

use crate::seed::{Dice, seed};

/// When a fault strikes. Written `always`, `first:K`, `first-attempt` or `p:0.1`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum When {
    /// Each time.
    Always,
    /// For the first so many requests of the server since the faults were set.
    FirstRequests(u64),
    /// For the first GET of each file since the faults were set, so that a retry succeeds.
    FirstAttempt,
    /// With this probability, decided anew (but repeatably) for each attempt at each file.
    Probability(f64),
}

/// Which files a fault strikes. Written `all`, `fraction:0.1`, or patterns with `*` separated by commas.
///
/// A pattern is matched against the whole path; one without `*` needs to occur in it only.
#[derive(Debug, Clone, PartialEq)]
pub enum Selection {
    /// Every file.
    All,
    /// This share of the files, the same ones each time.
    Fraction(f64),
    /// The files whose path fits one of the patterns.
    Matching(Vec<String>),
}

/// A switch's value that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot read {text:?}: expected {expected}")]
pub struct BadSwitch {
    text: String,
    expected: &'static str,
}

impl BadSwitch {
    pub(crate) fn new(text: &str, expected: &'static str) -> Self {
        Self { text: text.to_owned(), expected }
    }
}

/// One request in the eyes of the faults.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticket {
    /// The number of this request among its kind since the faults were set, from 1.
    pub(crate) ordinal: u64,
    /// The number of this GET of this path since the faults were set, from 1.
    pub(crate) attempt: u32,
    /// The seed of the faults, the path and the attempt together.
    pub(crate) seed: u64,
}

impl Ticket {
    /// Whether the fault called `name` strikes this request.
    pub(crate) fn strikes(&self, when: When, name: &str) -> bool {
        match when {
            When::Always => true,
            When::FirstRequests(count) => self.ordinal <= count,
            When::FirstAttempt => self.attempt == 1,
            When::Probability(share) => self.dice(name).fraction() < share,
        }
    }

    /// The dice of one fault at this request.
    pub(crate) fn dice(&self, name: &str) -> Dice {
        Dice::new(seed(&[&self.seed.to_le_bytes(), name.as_bytes()]))
    }
}

impl Selection {
    /// Whether the selection called `name` contains this path.
    pub(crate) fn contains(&self, path: &str, fault_seed: u64, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Fraction(share) => {
                let words: [&[u8]; 3] = [&fault_seed.to_le_bytes(), name.as_bytes(), path.as_bytes()];
                Dice::new(seed(&words)).fraction() < *share
            }
            Self::Matching(patterns) => patterns.iter().any(|pattern| fits(pattern, path)),
        }
    }
}

fn fits(pattern: &str, path: &str) -> bool {
    if !pattern.contains('*') {
        return path.contains(pattern);
    }
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or("");
    let last = pieces.next_back().unwrap_or("");
    let Some(inner) = path.strip_prefix(first).and_then(|rest| rest.strip_suffix(last)) else {
        return false;
    };
    let mut rest = inner;
    pieces.all(|piece| match rest.split_once(piece) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}

impl FromStr for When {
    type Err = BadSwitch;

    fn from_str(text: &str) -> Result<Self, BadSwitch> {
        let bad = || BadSwitch::new(text, "always, first:K, first-attempt or p:0.1");
        match text.split_once(':') {
            None if text == "always" => Ok(Self::Always),
            None if text == "first-attempt" => Ok(Self::FirstAttempt),
            Some(("first", count)) => Ok(Self::FirstRequests(count.parse().map_err(|_| bad())?)),
            Some(("p", share)) => Ok(Self::Probability(fraction(share).ok_or_else(bad)?)),
            _ => Err(bad()),
        }
    }
}

impl FromStr for Selection {
    type Err = BadSwitch;

    fn from_str(text: &str) -> Result<Self, BadSwitch> {
        let bad = || BadSwitch::new(text, "all, fraction:0.1 or patterns separated by commas");
        match text.strip_prefix("fraction:") {
            Some(share) => Ok(Self::Fraction(fraction(share).ok_or_else(bad)?)),
            None if text == "all" => Ok(Self::All),
            None if text.is_empty() => Err(bad()),
            None => Ok(Self::Matching(text.split(',').map(str::to_owned).collect())),
        }
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Always => f.write_str("always"),
            Self::FirstRequests(count) => write!(f, "first:{count}"),
            Self::FirstAttempt => f.write_str("first-attempt"),
            Self::Probability(share) => write!(f, "p:{share}"),
        }
    }
}

fn fraction(text: &str) -> Option<f64> {
    text.parse().ok().filter(|share| (0.0..=1.0).contains(share))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn switches_are_read() {
        for text in ["always", "first:5", "first-attempt", "p:0.25"] {
            assert_eq!(text.parse::<When>().unwrap().to_string(), text);
        }
        for text in ["", "first:x", "p:2", "p:NaN", "sometimes"] {
            assert!(text.parse::<When>().is_err(), "{text}");
        }
        assert_eq!("all".parse(), Ok(Selection::All));
        assert_eq!("fraction:0.5".parse(), Ok(Selection::Fraction(0.5)));
        assert_eq!("a,b*".parse(), Ok(Selection::Matching(vec!["a".into(), "b*".into()])));
        assert!("fraction:7".parse::<Selection>().is_err());
    }

    #[test]
    fn patterns_fit() {
        let path = "/a/gill_themis19/ut06/x_0600_y.pgm.gz";
        for pattern in ["gill", "*", "*/ut06/*", "/a/*.pgm.gz", "*gill*0600*", path] {
            assert!(fits(pattern, path), "{pattern}");
        }
        for pattern in ["atha", "*/ut07/*", "/b/*", "*0600*gill*", "*.gz*.gz"] {
            assert!(!fits(pattern, path), "{pattern}");
        }
    }

    #[test]
    fn chances_are_repeatable_and_about_right() {
        let struck = |seed| {
            let ticket = Ticket { ordinal: 9, attempt: 2, seed };
            ticket.strikes(When::Probability(0.3), "cut")
        };
        let hits = (0..1000).filter(|&seed| struck(seed)).count();
        assert!((200..400).contains(&hits), "{hits}");
        assert_eq!(struck(5), struck(5));
        let chosen =
            (0..1000).filter(|n| Selection::Fraction(0.1).contains(&n.to_string(), 1, "late")).count();
        assert!((50..160).contains(&chosen), "{chosen}");
    }
}
