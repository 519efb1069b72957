//! What to pull: the flags that `pull`, `submit` and `plan` share.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use skyhaul_model::{Follow, parse_end, parse_start};

use super::parse::{base_url, job_name, list_item, minutes, positive, seconds};

/// What to pull and where to.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Query options")]
pub(crate) struct QueryArgs {
    /// Names of datasets; 'skyhaul datasets' lists them
    #[arg(
        value_name = "DATASET",
        help_heading = "Arguments",
        value_delimiter = ',',
        value_parser = list_item,
        required_unless_present_any = ["urls", "manifest"],
        conflicts_with_all = ["urls", "manifest"]
    )]
    pub(crate) datasets: Vec<String>,

    /// First moment, UTC: 2022, 2022-01, 2022-01-01, 2022-01-01T06, ... RFC 3339
    #[arg(
        long,
        value_name = "T",
        value_parser = parse_start,
        required_unless_present_any = ["events", "urls", "manifest"],
        conflicts_with_all = ["urls", "manifest"]
    )]
    pub(crate) start: Option<Timestamp>,

    /// Last moment, UTC, inclusive; 2022 means the last second of that year; none with --follow: it goes on
    #[arg(
        long,
        value_name = "T",
        value_parser = parse_end,
        required_unless_present_any = ["events", "urls", "manifest", "follow"],
        conflicts_with_all = ["urls", "manifest"]
    )]
    pub(crate) end: Option<Timestamp>,

    /// Only these sites (site_uid), repeatable and comma-separated
    #[arg(
        long,
        value_name = "S",
        value_delimiter = ',',
        value_parser = list_item,
        conflicts_with_all = ["urls", "manifest"]
    )]
    pub(crate) site: Vec<String>,

    /// Only these devices (device_uid), repeatable and comma-separated
    #[arg(
        long,
        value_name = "D",
        value_delimiter = ',',
        value_parser = list_item,
        conflicts_with_all = ["urls", "manifest"]
    )]
    pub(crate) device: Vec<String>,

    /// Instead of --start and --end: a CSV file of start,end[,site] rows
    #[arg(long, value_name = "FILE", conflicts_with_all = ["start", "end", "urls", "manifest"])]
    pub(crate) events: Option<PathBuf>,

    /// Minutes to add before and after each event
    // Conflicts are named beside what is required: clap does not ask for what a present flag excludes.
    #[arg(
        long,
        value_name = "MINUTES",
        allow_negative_numbers = true,
        value_parser = minutes,
        requires = "events",
        conflicts_with_all = ["start", "end", "urls", "manifest"]
    )]
    pub(crate) margin: Option<Duration>,

    /// Instead of datasets: a list of URLs, one a line ('-' is stdin)
    #[arg(long, value_name = "FILE", conflicts_with = "manifest")]
    pub(crate) urls: Option<PathBuf>,

    /// With --urls: files land at their path below this URL
    #[arg(
        long,
        value_name = "URL",
        value_parser = base_url,
        requires = "urls",
        conflicts_with_all = ["datasets", "manifest"]
    )]
    pub(crate) base: Option<String>,

    /// Instead of datasets: exactly the files of a manifest that 'manifest --format json' wrote
    #[arg(long, value_name = "FILE")]
    pub(crate) manifest: Option<PathBuf>,

    /// Digests that files must have, as sha256sum, md5sum or b2sum write them
    #[arg(long, value_name = "FILE")]
    pub(crate) checksums: Option<PathBuf>,

    /// A standing job: when all is here, ask again for what is new or has changed, until somebody stops it
    #[arg(long, conflicts_with_all = ["urls", "manifest"])]
    pub(crate) follow: bool,

    /// With --follow: how many days before now are asked for again [default: 200]
    #[arg(long, allow_negative_numbers = true, value_name = "DAYS", value_parser = positive, requires = "follow")]
    pub(crate) window: Option<u32>,

    /// With --follow: how long to wait before asking again [default: 6h]
    #[arg(long, allow_negative_numbers = true, value_name = "DURATION", value_parser = seconds, requires = "follow")]
    pub(crate) every: Option<NonZeroU64>,

    /// Put the files below DIR
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) out: PathBuf,

    /// A label for people; it can stand for the job's number
    #[arg(long, value_name = "LABEL", value_parser = job_name)]
    pub(crate) name: Option<String>,

    /// -100 to 100, higher first
    #[arg(
        long,
        value_name = "N",
        default_value_t = 0,
        allow_negative_numbers = true,
        value_parser = clap::value_parser!(i8).range(-100..=100)
    )]
    pub(crate) priority: i8,
}

/// How a standing job is asked for again, where the command line does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct StandingDefaults {
    /// `window`, in days.
    pub(crate) window: Option<u32>,
    /// `every`, in seconds.
    pub(crate) every: Option<NonZeroU64>,
}

impl QueryArgs {
    /// These flags, with what they leave open taken from the config file.
    pub(crate) fn or(mut self, file: StandingDefaults) -> Self {
        self.window = self.window.or(file.window);
        self.every = self.every.or(file.every);
        self
    }

    /// How the job stands by when it has come to its end; none for one that does not.
    pub(crate) fn standing(&self) -> Option<Follow> {
        let plain = Follow::default();
        self.follow.then(|| Follow {
            window_days: self.window.unwrap_or(plain.window_days),
            every_s: self.every.map_or(plain.every_s, NonZeroU64::get),
        })
    }
}
