//! What is measured, for Prometheus and whatever reads its format. Computed when it is asked for, never before;
//! counters begin at zero with the engine. Labels are bounded: states and kinds are few, hosts and jobs are cut.

mod families;
mod process;
mod text;

use std::collections::BTreeSet;
use std::time::Duration;

use skyhaul_engine::{Counts, Progress};
use skyhaul_http::{ClosedReason, Counters, HostStatus, Waits};
use skyhaul_model::{ErrorKind, FileCounts, JobState};
use skyhaul_queue::Overview;

pub(crate) use self::process::Usage;
pub(crate) use self::text::CONTENT_TYPE;
use self::text::{Family, Page};
use crate::wire::EngineInfo;

/// Jobs that have samples of their own.
pub(crate) const JOBS_MAX: usize = 50;

/// Hosts that have samples of their own.
const HOSTS_MAX: usize = 20;

/// Everything that is measured, at one moment.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) info: &'a EngineInfo,
    pub(crate) followers: usize,
    /// Of all jobs; not the jobs, so that looking costs the same however many there are.
    pub(crate) jobs: &'a Overview,
    pub(crate) progress: &'a Progress,
    pub(crate) counts: &'a Counts,
    /// Of the HTTP client, where there is one.
    pub(crate) http: Option<(Counters, Vec<HostStatus>)>,
    /// Of the process, where the system tells.
    pub(crate) usage: Option<Usage>,
}

/// The page of samples.
pub(crate) fn render(facts: &Facts<'_>) -> String {
    let mut page = Page::default();
    engine(&mut page, facts);
    counters(&mut page, facts.counts);
    jobs(&mut page, facts);
    if let Some((counters, hosts)) = &facts.http {
        http(&mut page, *counters, hosts);
    }
    if let Some(usage) = facts.usage {
        page.family(&families::PROCESS_MEMORY).value(usage.resident_bytes);
        page.family(&families::PROCESS_CPU).value(usage.cpu_seconds);
        page.family(&families::PROCESS_FILES).value(usage.open_files);
    }
    page.into_text()
}

fn engine(page: &mut Page, facts: &Facts<'_>) {
    page.family(&families::BUILD).labelled([&facts.info.version], 1);
    page.family(&families::STARTED).value(facts.info.started_at.as_second());
    page.family(&families::PAGES).value(facts.followers);
    let mut samples = page.family(&families::JOBS);
    let totals = &facts.jobs.totals;
    for state in JobState::ALL {
        samples.labelled([state.as_str()], totals.jobs(state));
    }
    let mut samples = page.family(&families::FILES);
    for (state, of) in FILE_STATES {
        samples.labelled([state], of(&totals.files()));
    }
    page.family(&families::IN_FLIGHT).value(facts.progress.in_flight.len());
    page.family(&families::RATE).value(facts.progress.rate_bytes_per_s);
}

fn counters(page: &mut Page, counts: &Counts) {
    page.family(&families::RECEIVED).value(counts.received_bytes);
    page.family(&families::FILES_DONE).value(counts.files_done);
    page.family(&families::FILES_FAILED).value(counts.files_failed);
    let mut samples = page.family(&families::FAILURES);
    for kind in ErrorKind::ALL {
        samples.labelled([kind.as_str()], counts.failures(kind));
    }
    page.family(&families::ATTEMPT_SECONDS).histogram(&counts.attempt_seconds);
    page.family(&families::LISTING_SECONDS).histogram(&counts.listing_seconds);
    page.family(&families::FILE_BYTES).histogram(&counts.file_bytes);
}

/// What is called so of something.
type Named<T, V> = (&'static str, fn(&T) -> V);

/// The counts of files by state.
const FILE_STATES: [Named<FileCounts, u64>; 4] = [
    ("pending", |files| files.pending),
    ("active", |files| files.active),
    ("done", |files| files.done),
    ("failed", |files| files.failed),
];

fn jobs(page: &mut Page, facts: &Facts<'_>) {
    let unfinished = &facts.jobs.unfinished;
    let mut samples = page.family(&families::JOB_FILES);
    for job in unfinished {
        for (state, of) in FILE_STATES {
            samples.labelled([&job.id.to_string(), state], of(&job.files));
        }
    }
    let mut samples = page.family(&families::JOB_DONE);
    for job in unfinished {
        samples.labelled([&job.id.to_string()], job.bytes.done);
    }
    let paces = || facts.progress.paces.iter().take(JOBS_MAX);
    let mut samples = page.family(&families::JOB_RATE);
    for pace in paces() {
        samples.labelled([&pace.job.to_string()], pace.rate_bytes_per_s);
    }
    let mut samples = page.family(&families::JOB_ETA);
    for (pace, seconds) in paces().filter_map(|pace| Some((pace, pace.eta_s?))) {
        samples.labelled([&pace.job.to_string()], seconds);
    }
}

fn http(page: &mut Page, counters: Counters, hosts: &[HostStatus]) {
    page.family(&families::REQUESTS).value(counters.requests);
    page.family(&families::CONNECTIONS).value(counters.connections);
    page.family(&families::HTTP_RECEIVED).value(counters.bytes_received);
    page.family(&families::REPLAYS).value(counters.replays);
    by_host(page, &families::HOST_REQUESTS, hosts, |host| host.counters.requests);
    by_host(page, &families::HOST_CONNECTIONS, hosts, |host| host.counters.connections);
    by_host(page, &families::HOST_RECEIVED, hosts, |host| host.counters.bytes_received);
    by_host(page, &families::HOST_IN_FLIGHT, hosts, |host| host.in_flight.into());
    by_host(page, &families::HOST_TARGET, hosts, |host| host.target.into());
    waits(page, hosts);
    closed(page, hosts);
}

/// A sample for each host, and one for all beyond the first ones.
fn by_host(page: &mut Page, family: &'static Family, hosts: &[HostStatus], of: impl Fn(&HostStatus) -> u64) {
    let mut samples = page.family(family);
    for (name, hosts) in named(hosts) {
        samples.labelled([name], hosts.iter().map(&of).sum::<u64>());
    }
}

fn waits(page: &mut Page, hosts: &[HostStatus]) {
    let reasons: [Named<Waits, Duration>; 4] = [
        ("room", |waits| waits.room),
        ("request_rate", |waits| waits.request_rate),
        ("retry_after", |waits| waits.retry_after),
        ("away", |waits| waits.away),
    ];
    let mut samples = page.family(&families::HOST_WAITS);
    for (name, hosts) in named(hosts) {
        for (reason, of) in reasons {
            let waited: Duration = hosts.iter().map(|host| of(&host.waits)).sum();
            samples.labelled([name, reason], waited.as_secs_f64());
        }
    }
}

fn closed(page: &mut Page, hosts: &[HostStatus]) {
    let mut samples = page.family(&families::HOST_CLOSED);
    for (name, hosts) in named(hosts) {
        let reasons: BTreeSet<_> =
            hosts.iter().filter_map(|host| Some(reason(host.closed?.reason))).collect();
        for reason in reasons {
            samples.labelled([name, reason], 1);
        }
    }
}

/// The hosts that have names in the metrics, each by itself, and the others together.
fn named(hosts: &[HostStatus]) -> impl Iterator<Item = (&str, &[HostStatus])> {
    let (own, others) = hosts.split_at(hosts.len().min(HOSTS_MAX));
    let own = own.chunks(1).map(|host| (host[0].host.as_str(), host));
    own.chain(Some(("other", others)).filter(|(_, others)| !others.is_empty()))
}

fn reason(reason: ClosedReason) -> &'static str {
    match reason {
        ClosedReason::RetryAfter => "retry_after",
        ClosedReason::Away => "away",
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use skyhaul_engine::JobPace;
    use skyhaul_http::{Closed, HostCounters};
    use skyhaul_model::{JobId, JobRecord};
    use skyhaul_queue::conformance::fixture;
    use skyhaul_queue::{JobQueue, MemoryQueue};

    use super::*;
    use crate::wire::Started;

    fn info() -> EngineInfo {
        let started_at = Timestamp::from_second(1_700_000_000).unwrap();
        let (version, started, certificates) = ("0.1.0".into(), Started::Lasting, None);
        EngineInfo { running: true, pid: 1, version, started_at, started, certificates }
    }

    fn host(number: usize, closed: Option<ClosedReason>) -> HostStatus {
        let at = Timestamp::UNIX_EPOCH;
        let closed = closed.map(|reason| Closed { since: at, until: at, reason });
        HostStatus {
            host: format!("h{number:03}.example"),
            in_flight: 2,
            target: 4,
            closed,
            counters: HostCounters::default(),
            waits: Waits::default(),
        }
    }

    async fn page(jobs: usize, hosts: usize) -> String {
        let queue = MemoryQueue::new();
        for number in 0..jobs {
            queue.create_job(fixture::new_job(&format!("/o/{number}")), fixture::at(0)).await.unwrap();
        }
        let jobs = queue.overview(JOBS_MAX).await.unwrap();
        let hosts = (0..hosts).map(|n| host(n, (n % 3 == 1).then_some(ClosedReason::Away))).collect();
        let pace = |job: &JobRecord| JobPace { job: job.id, rate_bytes_per_s: 7, eta_s: Some(9) };
        let progress = Progress { paces: jobs.unfinished.iter().map(pace).collect(), ..Progress::default() };
        let (counts, usage) = (Counts::default(), Usage::current());
        let http = Some((Counters::default(), hosts));
        let facts = Facts {
            info: &info(),
            followers: 1,
            jobs: &jobs,
            progress: &progress,
            counts: &counts,
            http,
            usage,
        };
        render(&facts)
    }

    #[tokio::test]
    async fn every_family_is_told_once_with_the_labels_it_says() {
        let text = page(3, 3).await;
        for family in families::ALL {
            let heads = text
                .lines()
                .filter(|line| *line == format!("# TYPE {} {}", family.name, family.kind.as_str()));
            assert_eq!(heads.count(), 1, "{}", family.name);
            for label in family.labels {
                assert!(text.contains(&format!("{label}=\"")), "{} has no {label}", family.name);
            }
        }
        assert!(text.contains("\nskyhaul_jobs{state=\"planning\"} 3\n"), "{text}");
        assert!(
            text.contains(&format!("\nskyhaul_job_remaining_seconds{{job=\"{}\"}} 9\n", JobId(1))),
            "{text}"
        );
    }

    #[tokio::test]
    async fn more_jobs_and_hosts_do_not_make_a_longer_page() {
        let (bounded, more) = (page(JOBS_MAX, HOSTS_MAX + 3).await, page(200, 500).await);
        assert_eq!(bounded.lines().count(), more.lines().count());
        assert!(more.contains("skyhaul_http_host_in_flight_requests{host=\"other\"} 960\n"), "{more}");
    }
}
