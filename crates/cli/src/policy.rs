//! From the transfer flags to a job's policy and to the HTTP client's settings.

use std::fs::File;
use std::path::Path;

use skyhaul_http::{Client, HttpConfig, RateLimit};
use skyhaul_model::JobPolicy;

use crate::args::TransferArgs;
use crate::error::CliError;

/// What the job remembers of the flags. A timetable holds for the engine alone: a job keeps one rate.
pub(crate) fn job_policy(flags: &TransferArgs) -> JobPolicy {
    changed(&JobPolicy::default(), flags)
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
        limit_rate: flags.limit_rate.as_ref().map_or(before.limit_rate, constant_rate),
        on_complete: on_complete.filter(|command| !command.trim().is_empty()).cloned(),
        on_complete_url: on_complete_url.filter(|url| !url.is_empty()).cloned(),
        follow: before.follow,
        checksums: before.checksums.clone(),
        background: before.background,
    }
}

/// The client's settings by the flags. Blocking: looks whether the certificates can be read.
pub(crate) fn http_config(flags: &TransferArgs) -> Result<HttpConfig, CliError> {
    let plain = HttpConfig::default();
    if let Some(path) = &flags.cacert {
        check_readable(path)?;
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

fn check_readable(path: &Path) -> Result<(), CliError> {
    File::open(path).map(drop).map_err(|error| {
        CliError::usage(format!("cannot read the certificates in {}", path.display())).because(&error)
    })
}

/// The rate of a limit that is the same all day.
fn constant_rate(limit: &RateLimit) -> Option<u64> {
    // A timetable's text holds commas, a single rate's does not.
    limit.to_string().parse().ok()
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
        assert_eq!(job_policy(&none), JobPolicy::default());
        assert_eq!(http_config(&none).unwrap(), HttpConfig::default());
    }

    #[test]
    fn flags_reach_the_job_and_the_client() {
        let flags = TransferArgs {
            connections: Some(4),
            in_flight: Some(8),
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
            limit_rate: Some(2_000_000),
            on_complete: Some("true".into()),
            on_complete_url: Some("https://h/".into()),
            follow: None,
            checksums: None,
            background: false,
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
    fn a_timetable_is_the_engines_alone() {
        let limit = |text| RateLimit::parse(text).unwrap();
        assert_eq!(constant_rate(&limit("500k")), Some(500_000));
        assert_eq!(constant_rate(&limit("off")), None);
        assert_eq!(constant_rate(&limit("08:00,2M 18:00,off")), None);
    }

    #[test]
    fn certificates_that_cannot_be_read_are_a_wrong_command_line() {
        let flags = TransferArgs { cacert: Some("/nowhere/ca.pem".into()), ..TransferArgs::default() };
        let error = http_config(&flags).unwrap_err();
        assert_eq!(error.exit(), crate::exit::Exit::Usage);
        assert!(error.to_string().contains("/nowhere/ca.pem"), "{error}");
    }
}
