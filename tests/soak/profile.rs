//! What goes wrong in one soak: drawn from a seed, told to the replica as switches.
//!
//! Two kinds of faults are kept apart. Those of the *source* strike whole minutes of files, chosen here, so that it is
//! known of each file how it must end. Those of the *line* strike requests at random, and must make no difference.

use std::fmt;

use fastrand::Rng;

/// What is the matter with the files of a minute at the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Sound,
    /// Listed but gone.
    Missing,
    Empty,
    Truncated,
    Damaged,
    /// Another file after the first GET.
    Replaced,
    /// Another file than the listing's total meant.
    Outdated,
    Unlisted,
    /// Only in the second listing.
    Late,
}

/// One soak's faults.
#[derive(Debug)]
pub(crate) struct Profile {
    /// By minute.
    minutes: Vec<Source>,
    missing_answer: &'static str,
    line: String,
}

/// The faults of the source with their switches.
const SOURCES: [(Source, &str); 8] = [
    (Source::Missing, "missing"),
    (Source::Empty, "empty"),
    (Source::Truncated, "truncated"),
    (Source::Damaged, "damaged"),
    (Source::Replaced, "replaced"),
    (Source::Outdated, "outdated"),
    (Source::Unlisted, "unlisted"),
    (Source::Late, "late"),
];

/// The faults of the line: a switch, and the values it is drawn from; an empty one leaves it out.
const LINE: [(&str, &[&str]); 24] = [
    ("cut", &["", "random@p:0.1", "random@p:0.3", "5000@first-attempt"]),
    ("cut-style", &["close", "reset"]),
    ("stall", &["", "", "3000@p:0.001"]),
    ("refuse-files", &["", "503@p:0.02", "500@p:0.02", "429/1@first:20"]),
    ("refuse-api", &["", "502@first:3", "500@p:0.3", "503/1@first:2"]),
    ("html-page", &["", "p:0.01"]),
    ("ranges", &["on", "on", "off", "ignored", "wrong-total", "wrong-start"]),
    ("etag", &["strong", "strong", "weak", "off", "changing"]),
    ("last-modified", &["on", "off", "recent"]),
    ("content-encoding", &["off", "gzip"]),
    ("plus", &["plain", "escaped"]),
    ("head", &["on", "refused", "no-length"]),
    ("index", &["table", "apache", "nginx", "off"]),
    ("index-sizes", &["exact", "rounded"]),
    ("detail", &["text", "list"]),
    ("dataset-shape", &["current", "legacy1", "legacy2", "by-agent"]),
    ("total-bytes", &["sum", "null"]),
    ("twins", &["", "all"]),
    ("wrong-digest", &["", "p:0.01"]),
    ("clock-skew", &["0", "90", "86400", "-86400"]),
    ("latency-files", &["0", "3"]),
    ("latency-api", &["0", "50"]),
    ("slow-start", &["", "5M"]),
    ("connections-per-client", &["", "", "6"]),
];

impl Profile {
    /// Draws one for so many minutes, at least as many as there are faults of the source: each fault strikes one of them.
    pub(crate) fn draw(random: &mut Rng, minutes: usize) -> Self {
        let mut line = format!("--seed {} --rate 12M", random.u32(..));
        for (switch, values) in LINE {
            push(&mut line, switch, pick(random, values));
        }
        // A flipped byte shows in most formats only where a digest tells, and tells with every part.
        let flip = pick(random, &["", "p:0.02"]);
        let html_inside = pick(random, &["", "p:0.01"]);
        let telling = ["repr", "legacy", "all"];
        let any = ["off", "repr", "content", "legacy", "md5", "amz", "all"];
        let is_spoilt = !(flip.is_empty() && html_inside.is_empty());
        push(&mut line, "flip", flip);
        push(&mut line, "html-inside", html_inside);
        push(&mut line, "digest", pick(random, if is_spoilt { &telling } else { &any }));
        let missing_answer = pick(random, &["not-found", "redirect", "moved", "html-page"]);
        let mut sources: Vec<_> = SOURCES.iter().map(|(source, _)| *source).collect();
        sources.resize(minutes, Source::Sound);
        random.shuffle(&mut sources);
        Self { minutes: sources, missing_answer, line }
    }

    /// The query: every format in the first minutes of a day, and the skymaps of that day, whose names have a plus.
    pub(crate) fn query(&self) -> String {
        let last = self.minutes.len() - 1;
        format!("{} --start {DAY}T00:00 --end {DAY}T00:{last:02}", DATASETS.map(|(name, _)| name).join(" "))
    }

    /// The flags that make skyhaul as patient, and as quick to lose its patience, as the faults want it: few tries,
    /// since waits double with each, and more pulls instead.
    pub(crate) fn flags(&self) -> &'static str {
        "--retries 6 --timeout 2"
    }

    /// The replica's switches for the faults of the source.
    pub(crate) fn source(&self) -> String {
        let mut switches = format!("--small-files --missing-answer {}", self.missing_answer);
        for (source, switch) in SOURCES {
            let minutes = self.minutes.iter().enumerate().filter(|(_, fault)| **fault == source);
            let patterns: Vec<_> = minutes.map(|(minute, _)| format!("_00{minute:02}_")).collect();
            push(&mut switches, switch, &patterns.join(","));
        }
        switches
    }

    /// The replica's switches for the faults of the line.
    pub(crate) fn line(&self) -> &str {
        &self.line
    }

    /// What is the matter with a file, by its path.
    pub(crate) fn of(&self, path: &str) -> Source {
        let in_minute = |minute: &usize| path.contains(&format!("_00{minute:02}_"));
        (0..self.minutes.len()).find(in_minute).map_or(Source::Sound, |minute| self.minutes[minute])
    }

    /// The kinds with which a file that is gone may fail.
    pub(crate) fn kinds_of_missing(&self) -> &'static [&'static str] {
        match self.missing_answer {
            "not-found" => &["not_found"],
            "html-page" => &["wrong_content"],
            _ => &["redirect", "wrong_content"],
        }
    }
}

/// The day of the newest skymaps.
const DAY: &str = "2021-03-08";

/// The datasets, and the folders of their files in the archive's tree.
pub(crate) const DATASETS: [(&str, &str); 2] = [
    ("REPLICA_FORMATS", "/sort_by_project/REPLICA/formats/"),
    ("THEMIS_ASI_SKYMAP_IDLSAV", "/sort_by_project/THEMIS/asi/skymaps/"),
];

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "skyhaul-replica {} {}", self.source(), self.line)
    }
}

fn pick<'a>(random: &mut Rng, values: &[&'a str]) -> &'a str {
    values[random.usize(..values.len())]
}

fn push(switches: &mut String, switch: &str, value: &str) {
    if !value.is_empty() {
        switches.push_str(&format!(" --{switch} {value}"));
    }
}
