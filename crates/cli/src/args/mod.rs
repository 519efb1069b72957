//! The command line's grammar: one definition gives parsing, help, completions and the manual page.
//!
//! Only what can be told from the words alone is checked here; files are read by whoever uses them.

mod global;
mod job;
mod parse;
mod query;
mod transfer;

use std::num::NonZeroU64;

use clap::error::{ContextKind, ContextValue};
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use skyhaul_model::FileState;

pub(crate) use global::GlobalArgs;
pub(crate) use job::{JobArgs, JobRef, JobsArgs};
pub(crate) use parse::{
    count, folder, header, http_url, job_name, list_item, positive, request_rate, seconds, told_url,
};
pub(crate) use query::{QueryArgs, StandingDefaults};
pub(crate) use transfer::{OnExistingArg, TransferArgs, VerifyArg};

use crate::exit::Exit;

/// Resumable bulk transfer from the University of Calgary's all-sky-imager archive, with a job queue.
#[derive(Debug, Parser)]
#[command(name = "skyhaul", version, max_term_width = 100, after_help = exit_codes())]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Fetch everything a query finds, here in the foreground, until it is finished
    ///
    /// Run again with the same query and output folder it finds the same job and goes on where it was.
    /// Ctrl-C stops cleanly and keeps everything.
    #[command(after_help = QUERY_EXAMPLES)]
    Pull(Box<PullArgs>),
    /// Queue a query and return at once with the job's number; an engine in the background works it off
    Submit(Box<SubmitArgs>),
    /// Tell what a query would fetch; changes nothing
    Plan(Box<PlanArgs>),
    /// List all jobs
    Jobs,
    /// Show one job in full, or a line for each unfinished job
    Status(StatusArgs),
    /// List a job's files
    Files(FilesArgs),
    /// Show live progress until a job, or all of them, are finished; leaving it stops nothing
    Watch(WatchArgs),
    /// Change a job's name, priority or transfer flags; takes effect at once
    Set(Box<SetArgs>),
    /// Let no new byte be asked for; partial files are kept
    Pause(JobsArgs),
    /// Let paused jobs go on
    Resume(JobsArgs),
    /// Drop jobs and their partial files; finished files are kept
    Cancel(JobsArgs),
    /// Put failed files and listings back into the queue
    Retry(JobsArgs),
    /// Ask the archive again: files that are new or have changed there are added to the job
    Refresh(JobsArgs),
    /// Forget jobs; finished files are kept
    Remove(JobsArgs),
    /// Read the finished files again and compare them with what was recorded
    Verify(VerifyArgs),
    /// Write what was pulled, with sizes and digests
    Manifest(ManifestArgs),
    /// Show what is there and what is not, by dataset, site and day
    Coverage(CoverageArgs),
    /// Show the citation and DOI that the data's use must be acknowledged with
    Cite(CiteArgs),
    /// List the archive's datasets
    Datasets(DatasetsArgs),
    /// List the archive's sites
    Sites(SitesArgs),
    /// Work the queue off, or ask whether something does
    Engine(EngineArgs),
    /// Open the engine's page in the browser, by a link that is good once
    Dashboard(DashboardArgs),
    /// Write a completion script for a shell
    Completions(CompletionsArgs),
    /// Write the manual page
    Man,
}

/// `pull`.
#[derive(Args, Debug)]
pub(crate) struct PullArgs {
    #[command(flatten)]
    pub(crate) query: QueryArgs,
    #[command(flatten)]
    pub(crate) transfer: TransferArgs,
}

/// `submit`.
#[derive(Args, Debug)]
pub(crate) struct SubmitArgs {
    #[command(flatten)]
    pub(crate) query: QueryArgs,
    #[command(flatten)]
    pub(crate) transfer: TransferArgs,
    /// Only queue it; start nothing
    #[arg(long)]
    pub(crate) no_start: bool,
}

/// `plan`. It takes the transfer flags too, so that any `pull` line can be planned as it stands.
#[derive(Args, Debug)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    pub(crate) query: QueryArgs,
    #[command(flatten)]
    pub(crate) transfer: TransferArgs,
}

/// `status`.
#[derive(Args, Debug)]
pub(crate) struct StatusArgs {
    /// A job's number or name
    #[arg(value_name = "JOB")]
    pub(crate) job: Option<JobRef>,
}

/// `watch`.
#[derive(Args, Debug)]
pub(crate) struct WatchArgs {
    /// A job's number or name; none: all unfinished jobs
    #[arg(value_name = "JOB")]
    pub(crate) job: Option<JobRef>,
}

/// `set`.
#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("change").required(true).multiple(true).args([
    "name", "priority", "connections", "limit_rate", "retries", "timeout", "outage", "min_free", "on_existing",
    "verify", "accept_corrupt", "on_complete", "on_complete_url", "in_flight", "requests_per_second", "cacert",
    "header", "wait_for_space", "follow", "no_follow", "window", "every",
]))]
pub(crate) struct SetArgs {
    #[command(flatten)]
    pub(crate) job: JobArgs,
    /// A new label
    #[arg(long, value_name = "LABEL", value_parser = job_name)]
    pub(crate) name: Option<String>,
    /// -100 to 100, higher first
    #[arg(
        long,
        value_name = "N",
        allow_negative_numbers = true,
        value_parser = clap::value_parser!(i8).range(-100..=100)
    )]
    pub(crate) priority: Option<i8>,
    /// Have it stand by when all is here, and ask again
    #[arg(long, conflicts_with = "no_follow")]
    pub(crate) follow: bool,
    /// Have it stand by no longer
    #[arg(long)]
    pub(crate) no_follow: bool,
    /// Of a standing job: how many days before now are asked for again
    #[arg(long, allow_negative_numbers = true, value_name = "DAYS", value_parser = positive, conflicts_with = "no_follow")]
    pub(crate) window: Option<u32>,
    /// Of a standing job: how long to wait before asking again
    #[arg(long, allow_negative_numbers = true, value_name = "DURATION", value_parser = seconds, conflicts_with = "no_follow")]
    pub(crate) every: Option<NonZeroU64>,
    #[command(flatten)]
    pub(crate) transfer: TransferArgs,
}

/// `files`.
#[derive(Args, Debug)]
pub(crate) struct FilesArgs {
    #[command(flatten)]
    pub(crate) job: JobArgs,
    /// Only files in this state
    #[arg(long, value_name = "STATE")]
    pub(crate) state: Option<StateArg>,
}

/// `verify`.
#[derive(Args, Debug)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    pub(crate) job: JobArgs,
    /// Queue the files that are missing or changed again
    #[arg(long)]
    pub(crate) repair: bool,
}

/// `manifest`.
#[derive(Args, Debug)]
pub(crate) struct ManifestArgs {
    #[command(flatten)]
    pub(crate) job: JobArgs,
    /// How to write it; `json` is what `--manifest` reads [default: sha256sum, with --json: json]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<ManifestFormat>,
}

/// `coverage`.
#[derive(Args, Debug)]
pub(crate) struct CoverageArgs {
    #[command(flatten)]
    pub(crate) job: JobArgs,
    /// How to write it [default: table, with --json: json]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<CoverageFormat>,
    /// Do not ask the archive how many minutes could be imaged
    #[arg(long)]
    pub(crate) offline: bool,
}

/// `cite`.
#[derive(Args, Debug)]
pub(crate) struct CiteArgs {
    /// A job's number or name, or a dataset's name
    #[arg(value_name = "JOB|DATASET")]
    pub(crate) what: String,
}

/// `datasets`.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct DatasetsArgs {
    /// Part of a name, or a whole one with `*` and `?`, in any case
    #[arg(value_name = "PATTERN")]
    pub(crate) pattern: Option<String>,
    #[command(subcommand)]
    pub(crate) command: Option<DatasetsCommand>,
}

/// `datasets show`.
#[derive(Debug, Subcommand)]
pub(crate) enum DatasetsCommand {
    /// Show one dataset in full
    Show {
        /// The dataset's name, in any case
        #[arg(value_name = "NAME")]
        name: String,
    },
}

/// `sites`.
#[derive(Args, Debug)]
pub(crate) struct SitesArgs {
    /// An instrument array, as `themis_asi`; none: all of them
    #[arg(value_name = "ARRAY")]
    pub(crate) array: Option<String>,
}

/// `engine`.
#[derive(Args, Debug)]
pub(crate) struct EngineArgs {
    #[command(subcommand)]
    pub(crate) command: EngineCommand,
}

/// What to do with the worker process.
#[derive(Debug, Subcommand)]
pub(crate) enum EngineCommand {
    /// Work the queue off here in the foreground (for systemd, Slurm)
    Run(Box<EngineRunArgs>),
    /// Start an engine in the background, to stay until it is stopped; nothing to do when one is up
    Start,
    /// Stop the engine in order and wait until it has ended; nothing to do when none is up
    Stop,
    /// Tell whether an engine is up: exit code 0 when it is, 1 when not
    Status,
}

/// `engine run`.
#[derive(Args, Debug)]
pub(crate) struct EngineRunArgs {
    #[command(flatten)]
    pub(crate) transfer: TransferArgs,
    /// End when nothing is left to do
    #[arg(long)]
    pub(crate) until_idle: bool,
    /// Open the dashboard and the metrics at this port of 127.0.0.1 from the start; 0: any free one
    #[arg(long, value_name = "PORT")]
    pub(crate) dashboard_port: Option<u16>,
    /// Run cut loose from the terminal; for our own use
    #[arg(long, hide = true, value_name = "HOW", conflicts_with = "until_idle")]
    pub(crate) detached: Option<Detached>,
}

/// Why an engine in the background was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Detached {
    /// For work that was there; it leaves when there is none any more
    OnDemand,
    /// To stay
    Lasting,
}

/// `dashboard`.
#[derive(Args, Debug)]
pub(crate) struct DashboardArgs {
    /// Print the link instead of opening it
    #[arg(long)]
    pub(crate) print: bool,
}

/// `completions`.
#[derive(Args, Debug)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub(crate) shell: Shell,
}

/// A file's state, as a flag's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StateArg {
    /// Waits for a worker
    Pending,
    /// Being fetched
    Active,
    /// Whole, proven and in its place
    Done,
    /// Given up
    Failed,
}

/// How a manifest is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ManifestFormat {
    /// Lines that `sha256sum -c` checks in the output folder
    #[value(name = "sha256sum")]
    Sha256sum,
    /// One document that `pull --manifest` reads
    Json,
    /// Rows of path, url, size, sha256 and verified
    Csv,
}

/// How a coverage is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CoverageFormat {
    /// Aligned columns for people
    Table,
    /// One array
    Json,
    /// Rows with a head
    Csv,
}

impl From<StateArg> for FileState {
    fn from(state: StateArg) -> Self {
        match state {
            StateArg::Pending => Self::Pending,
            StateArg::Active => Self::Active,
            StateArg::Done => Self::Done,
            StateArg::Failed => Self::Failed,
        }
    }
}

/// The error as it may be shown: the value of a `--header` may be a password.
pub(crate) fn without_secrets(mut error: clap::Error) -> clap::Error {
    let is_header =
        |arg: &ContextValue| matches!(arg, ContextValue::String(arg) if arg.starts_with("--header"));
    if error.get(ContextKind::InvalidArg).is_some_and(is_header) {
        error.insert(ContextKind::InvalidValue, ContextValue::String("(not shown)".to_owned()));
    }
    error
}

/// The whole grammar, for completions and the manual page.
pub(crate) fn grammar() -> clap::Command {
    Cli::command()
}

const QUERY_EXAMPLES: &str = "Examples:
  skyhaul pull THEMIS_ASI_RAW --start 2022-01-01T06 --end 2022-01-01T06 --site gill --out ./data
  skyhaul pull REGO_RAW --start 2021-11 --end 2021-11 --site gill,resu --out ./data
  skyhaul pull THEMIS_ASI_RAW --events substorms.csv --margin 15 --out ./events
  skyhaul pull --urls list.txt --base https://data.phys.ucalgary.ca/sort_by_project --out ./mirror";

fn exit_codes() -> String {
    let lines: Vec<String> =
        Exit::ALL.iter().map(|exit| format!("  {:<4}{}", exit.code(), exit.sentence())).collect();
    format!("Exit codes:\n{}", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use clap::error::ErrorKind;

    use super::*;

    fn parse(line: &str) -> Result<Cli, ErrorKind> {
        Cli::try_parse_from(std::iter::once("skyhaul").chain(line.split_whitespace()))
            .map_err(|error| error.kind())
    }

    #[test]
    fn the_grammar_is_sound() {
        grammar().debug_assert();
    }

    #[test]
    fn well_formed_lines_are_accepted() {
        let lines = [
            "pull A B --start 2022 --end 2022-01 --site gill,fsmi --site rank --device themis19 --out d",
            "pull A --events e.csv --margin 10",
            "pull --urls - --base https://h/p --out d",
            "pull --manifest m.json --out d --on-existing trust --verify length --accept-corrupt",
            "submit A --start 2022 --end 2022 --no-start --name winter --priority -5 --json",
            "plan A --start 2022 --end 2022 --connections 4",
            "pull A --start 2022 --end 2022 --connections 1 --in-flight 2 --limit-rate 2M --requests-per-second 0.5",
            "pull A --start 2022 --end 2022 --retries 0 --timeout 5 --outage 2h --min-free 5G --wait-for-space",
            "jobs --json -q",
            "--json status",
            "status 7",
            "files winter --state failed",
            "pause 1 2 three",
            "resume --all",
            "verify 1 --repair",
            "manifest 1 --format csv",
            "coverage winter --format csv --offline",
            "refresh 1 2",
            "refresh --all",
            "cite THEMIS_ASI_RAW",
            "datasets",
            "datasets themis",
            "datasets show THEMIS_ASI_RAW",
            "sites rego",
            "engine run --until-idle --connections 2 -vv",
            "engine status",
            "engine start",
            "engine stop",
            "engine run --detached lasting",
            "pull A --start 2022 --follow --window 30 --every 1h --checksums SHA256SUMS",
            "submit A --start 2022 --end 2022 --follow",
            "watch",
            "watch winter --json",
            "set 7 --priority -5 --limit-rate 2M",
            "set 7 --follow --every 1h",
            "set 7 --no-follow",
            "--log-format json jobs",
            "completions zsh",
            "man",
        ];
        for line in lines {
            assert_eq!(parse(line).map(drop), Ok(()), "{line}");
        }
    }

    #[test]
    fn wrong_lines_are_refused() {
        use ErrorKind as E;
        let table = [
            ("", E::DisplayHelpOnMissingArgumentOrSubcommand),
            ("pull", E::MissingRequiredArgument),
            ("pull A", E::MissingRequiredArgument),
            ("pull A --start 2022", E::MissingRequiredArgument),
            ("pull A --follow", E::MissingRequiredArgument),
            ("pull A --start 2022 --end 2022 --every 1h", E::MissingRequiredArgument),
            ("pull A --start 2022 --follow --every 0", E::ValueValidation),
            ("pull --urls l --follow", E::ArgumentConflict),
            ("pull A --end 2022", E::MissingRequiredArgument),
            ("pull A --start yesterday --end 2022", E::ValueValidation),
            ("pull A --start 2022 --end 2022 --events e.csv", E::ArgumentConflict),
            ("pull A --start 2022 --end 2022 --margin 5", E::ArgumentConflict),
            ("pull A --start 2022 --end 2022 --base https://h", E::ArgumentConflict),
            ("pull A --margin 5", E::MissingRequiredArgument),
            ("pull A --urls l", E::ArgumentConflict),
            ("pull --urls l --manifest m", E::ArgumentConflict),
            ("pull --urls l --start 2022 --end 2022", E::ArgumentConflict),
            ("pull --urls l --site gill", E::ArgumentConflict),
            ("pull --urls l --base ftp://h", E::ValueValidation),
            ("pull --manifest m --base https://h", E::ArgumentConflict),
            ("pull A --start 2022 --end 2022 --site gill,,fsmi", E::ValueValidation),
            ("pull A --start 2022 --end 2022 --priority 101", E::ValueValidation),
            ("pull A --start 2022 --end 2022 --connections 0", E::ValueValidation),
            ("pull A --start 2022 --end 2022 --limit-rate fast", E::ValueValidation),
            ("pull A --start 2022 --end 2022 --requests-per-second 0", E::ValueValidation),
            ("pull A --start 2022 --end 2022 --timeout 0", E::ValueValidation),
            ("pull A --start 2022 --end 2022 --retries -1", E::ValueValidation),
            ("pull A --start 2022 --end 2022 --min-free -1", E::ValueValidation),
            ("pull A --events e.csv --margin -5", E::ValueValidation),
            ("pull A --start 2022 --end 2022 --header nonsense", E::ValueValidation),
            ("pull A --start 2022 --end 2022 --on-existing keep", E::InvalidValue),
            ("pull A --start 2022 --end 2022 --name 7", E::ValueValidation),
            ("files 1 --state lost", E::InvalidValue),
            ("pause", E::MissingRequiredArgument),
            ("set 7", E::MissingRequiredArgument),
            ("set 7 --follow --no-follow", E::ArgumentConflict),
            ("set 7 --no-follow --window 3", E::ArgumentConflict),
            ("set --priority 5", E::MissingRequiredArgument),
            ("engine run --detached lasting --until-idle", E::ArgumentConflict),
            ("--log-format xml jobs", E::InvalidValue),
            ("pause 1 --all", E::ArgumentConflict),
            ("manifest 1 --format xml", E::InvalidValue),
            ("coverage 1 --format xml", E::InvalidValue),
            ("refresh", E::MissingRequiredArgument),
            ("frobnicate", E::InvalidSubcommand),
            ("jobs --frobnicate", E::UnknownArgument),
            ("--api ftp://h jobs", E::ValueValidation),
        ];
        for (line, kind) in table {
            assert_eq!(parse(line).map(drop), Err(kind), "{line}");
        }
    }

    #[test]
    fn header_values_do_not_show_in_debug_output() {
        let line = ["skyhaul", "pull", "A", "--start", "2022", "--end", "2022", "--header", "X-Key: s3cret"];
        let cli = Cli::try_parse_from(line).unwrap();
        let shown = format!("{cli:?}");
        assert!(shown.contains("X-Key") && !shown.contains("s3cret"), "{shown}");
    }

    #[test]
    fn a_wrong_header_is_refused_without_its_value() {
        let line = |header| ["skyhaul", "pull", "A", "--start", "2022", "--end", "2022", "--header", header];
        for header in ["s3cret", "two words: s3cret", ": s3cret"] {
            let shown = without_secrets(Cli::try_parse_from(line(header)).unwrap_err()).to_string();
            assert!(shown.contains("--header") && !shown.contains("s3cret"), "{shown}");
        }
    }
}
