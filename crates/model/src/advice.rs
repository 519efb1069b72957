//! What a person can do about a kind of failure: one sentence each, the same wherever it is told.

use crate::ErrorKind;

impl ErrorKind {
    /// What to do about it, as a lower-case sentence without a full stop; `JOB` stands for the job's number or name.
    #[must_use]
    pub fn advice(self) -> &'static str {
        match self {
            Self::NotFound => {
                "the archive lists it but does not have it (yet): 'skyhaul retry JOB' asks again later"
            }
            Self::Forbidden => "the server does not give it to you: log-in data can be given with --header",
            Self::Http => "the server is not well: 'skyhaul retry JOB' when it is again",
            Self::WrongContent => {
                "a web page came in the file's place, usually because it is missing: open its address in a browser"
            }
            Self::Checksum => {
                "other bytes came than were promised: see where the digest is from, then 'skyhaul retry JOB'"
            }
            Self::Truncated => "the transfer was cut short: a proxy or the network breaks it off",
            Self::Timeout => "the server is too slow: fewer --connections, or a longer --timeout",
            Self::Connection => {
                "the host cannot be reached: look at the network, at the proxy where there is one, or wait"
            }
            Self::Tls => {
                "the server's certificate is not trusted: look at this machine's clock, or give --cacert"
            }
            Self::Redirect => "the server leads to a place that must not be followed: look at the address",
            Self::Disk => "the disk refuses: make room, or see that it is there and may be written",
            Self::Path => {
                "it has no place here: correct the list it is from, or move away what lies in its way"
            }
            Self::Changed => {
                "the file is being written at its source: 'skyhaul retry JOB' when it has come to rest"
            }
            Self::CorruptAtSource => {
                "the archive's own copy is damaged: report it; --accept-corrupt takes it as it is"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_advice_of_its_own_that_fits_a_line() {
        let mut told = std::collections::BTreeSet::new();
        for kind in ErrorKind::ALL {
            let advice = kind.advice();
            assert!((20..=120).contains(&advice.len()), "{kind}: {advice}");
            assert!(!advice.ends_with('.') && advice.starts_with(char::is_lowercase), "{kind}: {advice}");
            assert!(told.insert(advice), "{kind} has the advice of another kind");
        }
    }
}
