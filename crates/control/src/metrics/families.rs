//! Every family that is measured: the one place that names them. `docs/metrics.md` repeats it, and a test holds
//! the two against each other.

use super::text::{Family, Kind};

/// Declares the families, and `ALL` of them in their order.
macro_rules! families {
    ($($constant:ident = $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(pub(crate) static $constant: Family =
            Family { name: $name, kind: Kind::$kind, help: $help, labels: &[$($label),*] };)*
        /// All of them, in the order in which they are told.
        #[cfg(test)]
        pub(crate) static ALL: &[&Family] = &[$(&$constant),*];
    };
}

families! {
    BUILD = Gauge "skyhaul_build_info" ["version"] "Always 1; the label tells which skyhaul runs.";
    STARTED = Gauge "skyhaul_start_time_seconds" [] "When the engine began to answer, in seconds since 1970.";
    PAGES = Gauge "skyhaul_followers" [] "Dashboard pages and commands that follow the engine's work live.";
    JOBS = Gauge "skyhaul_jobs" ["state"] "Jobs in the queue, by state.";
    FILES = Gauge "skyhaul_files" ["state"] "Files of all jobs in the queue, by state.";
    IN_FLIGHT = Gauge "skyhaul_in_flight_files" [] "Files being fetched, or waiting for a connection.";
    RATE = Gauge "skyhaul_receive_rate_bytes_per_second" [] "Body bytes a second, averaged over some five seconds.";
    RECEIVED = Counter "skyhaul_received_bytes_total" [] "Body bytes received for files, repeats included.";
    FILES_DONE = Counter "skyhaul_files_done_total" [] "Files that came to be whole and in their place.";
    FILES_FAILED = Counter "skyhaul_files_failed_total" [] "Files that were given up.";
    FAILURES = Counter "skyhaul_failures_total" ["kind"] "Failed attempts of files and of listings, by kind.";
    ATTEMPT_SECONDS = Histogram "skyhaul_attempt_duration_seconds" [] "How long attempts at files took, whatever their end.";
    LISTING_SECONDS = Histogram "skyhaul_listing_duration_seconds" [] "How long listings of windows took, whatever their end.";
    FILE_BYTES = Histogram "skyhaul_file_size_bytes" [] "Sizes of the files that came to be whole.";
    JOB_FILES = Gauge "skyhaul_job_files" ["job", "state"] "Files of each unfinished job, by state; the first 50 jobs.";
    JOB_DONE = Gauge "skyhaul_job_done_bytes" ["job"] "Bytes in place of each unfinished job; the first 50 jobs.";
    JOB_RATE = Gauge "skyhaul_job_receive_rate_bytes_per_second" ["job"] "Body bytes a second of each job in work; the first 50 jobs.";
    JOB_ETA = Gauge "skyhaul_job_remaining_seconds" ["job"] "Seconds that a job will still take, where that can be told; the first 50 jobs.";
    REQUESTS = Counter "skyhaul_http_requests_total" [] "Requests sent, every hop of a redirect counted.";
    CONNECTIONS = Counter "skyhaul_http_connections_total" [] "Connections that gave at least one answer.";
    HTTP_RECEIVED = Counter "skyhaul_http_received_bytes_total" [] "Body bytes received in all, listings and refused answers included.";
    REPLAYS = Counter "skyhaul_http_replays_total" [] "Requests sent again at once, because their connection had been closed meanwhile.";
    HOST_REQUESTS = Counter "skyhaul_http_host_requests_total" ["host"] "Requests sent, by host; hosts beyond the first 20 together as other.";
    HOST_CONNECTIONS = Counter "skyhaul_http_host_connections_total" ["host"] "Connections that gave at least one answer, by host.";
    HOST_RECEIVED = Counter "skyhaul_http_host_received_bytes_total" ["host"] "Body bytes received, by host.";
    HOST_IN_FLIGHT = Gauge "skyhaul_http_host_in_flight_requests" ["host"] "Requests in flight, by host.";
    HOST_TARGET = Gauge "skyhaul_http_host_in_flight_target" ["host"] "Requests that may be in flight now, by host; steered below the limits by what the host bears.";
    HOST_WAITS = Counter "skyhaul_http_host_wait_seconds_total" ["host", "reason"] "Time that the request which was next was kept waiting: for room, request_rate, retry_after, away.";
    HOST_CLOSED = Gauge "skyhaul_http_host_closed" ["host", "reason"] "1 while a host is left alone because it asked for it (retry_after) or is away (away).";
    PROCESS_MEMORY = Gauge "process_resident_memory_bytes" [] "Memory of the engine's process in RAM.";
    PROCESS_CPU = Counter "process_cpu_seconds_total" [] "Processor time of the engine's process, user and system.";
    PROCESS_FILES = Gauge "process_open_fds" [] "Open file descriptors of the engine's process.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_every_family_as_it_is_told() {
        let page = include_str!("../../../../docs/metrics.md");
        let told: Vec<_> = page.lines().filter(|line| line.starts_with("| `")).collect();
        let row = |family: &&Family| {
            let labels: Vec<_> = family.labels.iter().map(|label| format!("`{label}`")).collect();
            let labels = if labels.is_empty() { "–".to_owned() } else { labels.join(", ") };
            format!("| `{}` | {} | {labels} | {} |", family.name, family.kind.as_str(), family.help)
        };
        let stands: Vec<_> = ALL.iter().map(row).collect();
        assert_eq!(told, stands, "docs/metrics.md should have these rows:\n{}", stands.join("\n"));
    }

    #[test]
    fn units_stand_in_the_names() {
        for family in ALL {
            let (name, kind) = (family.name, family.kind);
            assert_eq!(name.ends_with("_total"), kind == Kind::Counter, "{name}");
            assert!(
                kind != Kind::Histogram || name.ends_with("_seconds") || name.ends_with("_bytes"),
                "{name}"
            );
        }
    }
}
