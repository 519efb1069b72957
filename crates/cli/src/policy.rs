//! From the transfer flags to a job's policy and to the HTTP client's settings.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::Path;

use sha2::{Digest as _, Sha256};
use skyhaul_http::{Client, HttpConfig, RateLimit};
use skyhaul_model::{JobPolicy, PolicyKey};

use crate::args::TransferArgs;
use crate::error::CliError;
use crate::json::hex;

/// What a job remembers of the flags that it comes with, and what they leave open.
pub(crate) fn job_policy(flags: &TransferArgs) -> JobPolicy {
    changed(&open_policy(), flags)
}

/// The policy of whoever says nothing at all.
pub(crate) fn open_policy() -> JobPolicy {
    use PolicyKey::{AcceptCorrupt, MinFree, OnExisting, Outage, Retries, Timeout, Verify};
    let left_open = BTreeSet::from([Retries, Timeout, Outage, MinFree, OnExisting, Verify, AcceptCorrupt]);
    JobPolicy { left_open, ..JobPolicy::default() }
}

/// A policy with what the flags say of it changed. An empty command takes an earlier one away.
pub(crate) fn changed(before: &JobPolicy, flags: &TransferArgs) -> JobPolicy {
    let on_complete = flags.on_complete.as_ref().or(before.on_complete.as_ref());
    let on_complete_url = flags.on_complete_url.as_ref().or(before.on_complete_url.as_ref());
    JobPolicy {
        retries: flags.retries.unwrap_or(before.retries),
        timeout_s: flags.timeout.map_or(before.timeout_s, std::num::NonZeroU64::get),
        outage_s: flags.outage.map_or(before.outage_s, |outage| outage.as_secs()),
        min_free: flags.min_free.unwrap_or(before.min_free),
        on_existing: flags.on_existing.map_or(before.on_existing, Into::into),
        verify: flags.verify.map_or(before.verify, Into::into),
        accept_corrupt: flags.accept_corrupt || before.accept_corrupt,
        connections: flags.connections.or(before.connections),
        in_flight: flags.in_flight.or(before.in_flight),
        request_interval_us: flags.requests_per_second.map(interval_us).or(before.request_interval_us),
        limit_rate: flags.limit_rate.as_ref().map_or(before.limit_rate, constant_rate),
        limit_timetable: flags.limit_rate.as_ref().map_or(before.limit_timetable.clone(), timetable),
        on_complete: on_complete.filter(|command| !command.trim().is_empty()).cloned(),
        on_complete_url: on_complete_url.filter(|url| !url.is_empty()).cloned(),
        follow: before.follow,
        checksums: before.checksums.clone(),
        background: before.background,
        left_open: before.left_open.difference(&stated(flags)).copied().collect(),
    }
}

/// What the flags say of what may be left open.
fn stated(flags: &TransferArgs) -> BTreeSet<PolicyKey> {
    let said = [
        (PolicyKey::Retries, flags.retries.is_some()),
        (PolicyKey::Timeout, flags.timeout.is_some()),
        (PolicyKey::Outage, flags.outage.is_some()),
        (PolicyKey::MinFree, flags.min_free.is_some()),
        (PolicyKey::OnExisting, flags.on_existing.is_some()),
        (PolicyKey::Verify, flags.verify.is_some()),
        (PolicyKey::AcceptCorrupt, flags.accept_corrupt),
    ];
    said.into_iter().filter_map(|(key, is_said)| is_said.then_some(key)).collect()
}

/// The client's settings by the flags. Blocking: looks whether the certificates can be read.
pub(crate) fn http_config(flags: &TransferArgs) -> Result<HttpConfig, CliError> {
    let plain = HttpConfig::default();
    if let Some(path) = &flags.cacert {
        File::open(path).map_err(|error| unreadable(path, &error))?;
    }
    Ok(HttpConfig {
        connections: flags.connections.unwrap_or(plain.connections),
        in_flight: flags.in_flight.unwrap_or(plain.in_flight),
        requests_per_second: flags.requests_per_second,
        limit_rate: flags.limit_rate.clone().unwrap_or(plain.limit_rate),
        cacert: flags.cacert.clone(),
        outage: flags.outage.unwrap_or(plain.outage),
        connect_timeout: plain.connect_timeout.min(job_policy(flags).timeout()),
    })
}

/// A client by the flags. Blocking: reads certificates.
pub(crate) fn client(flags: &TransferArgs) -> Result<Client, CliError> {
    Client::new(http_config(flags)?).map_err(|error| CliError::from_error(crate::exit::Exit::Usage, &error))
}

/// What tells the certificates of --cacert from others: the SHA-256 of their file, in hex. Blocking.
pub(crate) fn certificates(flags: &TransferArgs) -> Result<Option<String>, CliError> {
    let Some(path) = &flags.cacert else { return Ok(None) };
    let pem = std::fs::read(path).map_err(|error| unreadable(path, &error))?;
    Ok(Some(hex(&Sha256::digest(pem))))
}

fn unreadable(path: &Path, error: &io::Error) -> CliError {
    CliError::usage(format!("cannot read the certificates in {}", path.display())).because(error)
}

/// The rate of a limit that is the same all day.
fn constant_rate(limit: &RateLimit) -> Option<u64> {
    // A timetable's text holds commas, a single rate's does not.
    limit.to_string().parse().ok()
}

/// The text of a limit that is not.
fn timetable(limit: &RateLimit) -> Option<String> {
    Some(limit.to_string()).filter(|text| text.contains(','))
}

/// The time between two requests, for a rate that the command line has checked.
fn interval_us(requests_per_second: f64) -> u64 {
    (1e6 / requests_per_second).round() as u64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use skyhaul_model::{OnExisting, VerifyLevel};

    use super::*;
    use crate::args::{OnExistingArg, VerifyArg};

    #[test]
    fn no_flags_are_the_documented_defaults() {
        let none = TransferArgs::default();
        assert_eq!(job_policy(&none), open_policy());
        assert_eq!(
            open_policy().under(&JobPolicy::default()),
            JobPolicy { left_open: open_policy().left_open, ..JobPolicy::default() }
        );
        assert_eq!(http_config(&none).unwrap(), HttpConfig::default());
    }

    #[test]
    fn flags_reach_the_job_and_the_client() {
        let flags = TransferArgs {
            connections: Some(4),
            in_flight: Some(8),
            requests_per_second: Some(4.0),
            limit_rate: RateLimit::parse("2M").ok(),
            retries: Some(0),
            timeout: std::num::NonZeroU64::new(5),
            outage: Some(Duration::from_secs(90)),
            min_free: Some(7),
            on_existing: Some(OnExistingArg::Trust),
            verify: Some(VerifyArg::Length),
            accept_corrupt: true,
            on_complete: Some("true".into()),
            on_complete_url: Some("https://h/".into()),
            ..TransferArgs::default()
        };
        let expected = JobPolicy {
            retries: 0,
            timeout_s: 5,
            outage_s: 90,
            min_free: 7,
            on_existing: OnExisting::Trust,
            verify: VerifyLevel::Length,
            accept_corrupt: true,
            connections: Some(4),
            in_flight: Some(8),
            request_interval_us: Some(250_000),
            limit_rate: Some(2_000_000),
            limit_timetable: None,
            on_complete: Some("true".into()),
            on_complete_url: Some("https://h/".into()),
            follow: None,
            checksums: None,
            background: false,
            left_open: BTreeSet::new(),
        };
        assert_eq!(job_policy(&flags), expected);
        let config = http_config(&flags).unwrap();
        assert_eq!((config.connections, config.in_flight), (4, 8));
        assert_eq!(
            (config.outage, config.connect_timeout),
            (Duration::from_secs(90), Duration::from_secs(5))
        );
    }

    #[test]
    fn what_is_not_said_stays() {
        let before = JobPolicy {
            retries: 3,
            accept_corrupt: true,
            on_complete: Some("a".into()),
            on_complete_url: Some("https://h/".into()),
            ..JobPolicy::default()
        };
        assert_eq!(changed(&before, &TransferArgs::default()), before);
        let flags = TransferArgs {
            limit_rate: RateLimit::parse("2M").ok(),
            on_complete: Some(String::new()),
            on_complete_url: Some(String::new()),
            ..TransferArgs::default()
        };
        let after = changed(&before, &flags);
        assert_eq!((after.retries, after.limit_rate), (3, Some(2_000_000)));
        assert_eq!((after.on_complete, after.on_complete_url), (None, None));
    }

    #[test]
    fn a_job_keeps_one_rate_or_a_timetable_and_the_newest_wins() {
        let table = [
            ("500k", Some(500_000), None),
            ("off", None, None),
            ("08:00,2M 18:00,off", None, Some("08:00,2000000 18:00,off")),
        ];
        let mut before = JobPolicy::default();
        for (text, rate, timetable) in table.iter().chain(table.iter().rev()) {
            let flags = TransferArgs { limit_rate: RateLimit::parse(text).ok(), ..TransferArgs::default() };
            before = changed(&before, &flags);
            assert_eq!((before.limit_rate, before.limit_timetable.as_deref()), (*rate, *timetable), "{text}");
        }
    }

    #[test]
    fn what_is_said_is_no_longer_left_open() {
        let flags = TransferArgs { retries: Some(10), accept_corrupt: true, ..TransferArgs::default() };
        let open = changed(&open_policy(), &flags).left_open;
        assert!(!open.contains(&PolicyKey::Retries) && !open.contains(&PolicyKey::AcceptCorrupt));
        assert_eq!(open.len(), open_policy().left_open.len() - 2);
    }

    #[test]
    fn certificates_that_cannot_be_read_are_a_wrong_command_line() {
        let flags = TransferArgs { cacert: Some("/nowhere/ca.pem".into()), ..TransferArgs::default() };
        let error = http_config(&flags).unwrap_err();
        assert_eq!(error.exit(), crate::exit::Exit::Usage);
        assert!(error.to_string().contains("/nowhere/ca.pem"), "{error}");
    }
}
