//! What to pull: the flags that `pull`, `submit` and `plan` share.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use skyhaul_model::{parse_end, parse_start};

use super::parse::{base_url, job_name, list_item, minutes};

/// What to pull and where to.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Query options")]
pub(crate) struct QueryArgs {
    /// Names of datasets; 'skyhaul datasets' lists them
    #[arg(
        value_name = "DATASET",
        help_heading = "Arguments",
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

    /// Last moment, UTC, inclusive; 2022 means the last second of that year
    #[arg(
        long,
        value_name = "T",
        value_parser = parse_end,
        required_unless_present_any = ["events", "urls", "manifest"],
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
