//! The command line of `skyhaul-replica`: a switch per setting and per fault.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser};
use skyhaul_replica::{
    Config, ContentEncoding, Cut, CutStyle, DatasetShape, DetailShape, DigestHeaders, EtagKind, Faults,
    FileScale, HeadAnswer, IndexSizes, IndexStyle, LastModifiedKind, MissingAnswer, PlusSpelling, Ranges,
    Refusal, Selection, Stall, TotalBytes, When,
};

/// A local copy of the all-sky-imager archive's interface, with made-up files and faults on demand.
///
/// The first line on stdout is the base URL. The server ends on SIGTERM or SIGINT.
///
/// WHEN is one of: always (the default), first:K (the first K requests), first-attempt (the first GET of each
/// file), p:0.1 (with this probability). FILES is one of: all, fraction:0.1 (this share), or patterns separated
/// by commas: text that occurs in the path, or with * the whole path.
#[derive(Debug, Parser)]
#[command(name = "skyhaul-replica", version)]
pub(crate) struct Options {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// A folder of real files, the one that contains sort_by_project; they replace the made-up ones of the same
    /// dataset, site and day.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Append a JSON line per request to this file.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Body bytes per second of the whole server: a number, with k, M or G for powers of 1000.
    #[arg(long, value_name = "R", value_parser = rate)]
    rate: Option<u64>,
    /// Make files of about 20 kB with the structure of the real ones.
    #[arg(long)]
    small_files: bool,
    /// How many files the dataset REPLICA_BULK_RAW has.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    listing_size: u64,
    /// End when stdin is closed.
    #[arg(long)]
    until_stdin_closes: bool,
    #[command(flatten)]
    faults: FaultOptions,
}

/// What makes the program end, besides signals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WhenToEnd {
    Signalled,
    StdinCloses,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Faults")]
struct FaultOptions {
    /// What random faults are drawn from.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// How range requests are answered.
    #[arg(long, value_enum, default_value_t)]
    ranges: Ranges,
    /// How HEAD is answered.
    #[arg(long, value_enum, default_value_t)]
    head: HeadAnswer,
    /// What kind of ETag files have.
    #[arg(long, value_enum, default_value_t)]
    etag: EtagKind,
    /// What kind of Last-Modified files have.
    #[arg(long, value_enum, default_value_t)]
    last_modified: LastModifiedKind,
    /// How a request for a file that is not there is answered.
    #[arg(long, value_enum, default_value_t)]
    missing_answer: MissingAnswer,
    /// Files that are listed but gone.
    #[arg(long, value_name = "FILES")]
    missing: Option<Selection>,
    /// Files that are there but never listed.
    #[arg(long, value_name = "FILES")]
    unlisted: Option<Selection>,
    /// Files that the first listing of a window lacks and later ones have.
    #[arg(long, value_name = "FILES")]
    late: Option<Selection>,
    /// Break off the connection in mid body, after this many bytes or at a random place.
    #[arg(long, value_name = "BYTES|random[@WHEN]")]
    cut: Option<Cut>,
    /// Whether a connection that is broken off is closed or reset.
    #[arg(long, value_enum, default_value_t)]
    cut_style: CutStyle,
    /// Stop sending after this many bytes of a body and hold the connection.
    #[arg(long, value_name = "BYTES[@WHEN]")]
    stall: Option<Stall>,
    /// Refuse file requests: 503, 429/5 (with Retry-After: 5), …
    #[arg(long, value_name = "STATUS[/SECONDS][@WHEN]")]
    refuse_files: Option<Refusal>,
    /// Refuse API requests with an HTML page: 502, 500, 503/5, …
    #[arg(long, value_name = "STATUS[/SECONDS][@WHEN]")]
    refuse_api: Option<Refusal>,
    /// Answer file requests with an HTML page and status 200.
    #[arg(long, value_name = "WHEN")]
    html_page: Option<When>,
    /// Write an HTML page over the middle of a body, the length kept.
    #[arg(long, value_name = "WHEN")]
    html_inside: Option<When>,
    /// Change one byte of a body.
    #[arg(long, value_name = "WHEN")]
    flip: Option<When>,
    /// Files that are replaced at the source after their first GET.
    #[arg(long, value_name = "FILES")]
    replaced: Option<Selection>,
    /// Files that are replaced between being listed and being fetched.
    #[arg(long, value_name = "FILES")]
    outdated: Option<Selection>,
    /// Files that are empty at the source.
    #[arg(long, value_name = "FILES")]
    empty: Option<Selection>,
    /// Files that are cut off at the source, at 60 percent of their length.
    #[arg(long, value_name = "FILES")]
    truncated: Option<Selection>,
    /// Files that are damaged at the source: the same wrong byte each time, where the format's own check sees it.
    #[arg(long, value_name = "FILES")]
    damaged: Option<Selection>,
    /// .pgm.gz files that lie there as .pgm too, and are listed twice.
    #[arg(long, value_name = "FILES")]
    twins: Option<Selection>,
    /// Which digest headers files have.
    #[arg(long, value_enum, default_value_t)]
    digest: DigestHeaders,
    /// Send the digest headers of something else.
    #[arg(long, value_name = "WHEN")]
    wrong_digest: Option<When>,
    /// The shape of the API's "detail" in errors.
    #[arg(long, value_enum, default_value_t)]
    detail: DetailShape,
    /// The shape of a dataset in the API's answers.
    #[arg(long, value_enum, default_value_t)]
    dataset_shape: DatasetShape,
    /// Whether total_bytes is ever filled in.
    #[arg(long, value_enum, default_value_t)]
    total_bytes: TotalBytes,
    /// Whether .gz files are marked as an encoding of something else.
    #[arg(long, value_enum, default_value_t)]
    content_encoding: ContentEncoding,
    /// How a + in a listed name is written.
    #[arg(long, value_enum, default_value_t)]
    plus: PlusSpelling,
    /// What folder pages look like.
    #[arg(long, value_enum, default_value_t)]
    index: IndexStyle,
    /// How folder pages tell sizes.
    #[arg(long, value_enum, default_value_t)]
    index_sizes: IndexSizes,
    /// Start bodies at so many bytes per second and make them twice as fast each second.
    #[arg(long, value_name = "R", value_parser = rate)]
    slow_start: Option<u64>,
    /// Milliseconds before the first byte of a file answer.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    latency_files: u64,
    /// Milliseconds before the first byte of an API answer.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    latency_api: u64,
    /// Seconds by which the Date header is off.
    #[arg(long, value_name = "S", default_value_t = 0, allow_negative_numbers = true)]
    clock_skew: i64,
    /// Close connections of one address beyond this many.
    #[arg(long, value_name = "N")]
    connections_per_client: Option<usize>,
}

impl Options {
    /// What makes the program end.
    pub(crate) fn when_to_end(&self) -> WhenToEnd {
        if self.until_stdin_closes { WhenToEnd::StdinCloses } else { WhenToEnd::Signalled }
    }

    /// The settings of the replica.
    pub(crate) fn into_config(self) -> Config {
        Config {
            listen: self.listen,
            data_dir: self.data,
            log_path: self.log,
            rate_bytes_per_s: self.rate,
            file_scale: if self.small_files { FileScale::Small } else { FileScale::Real },
            listing_size: self.listing_size,
            // Nobody can ask a program for what it remembers.
            log_entries_max: 0,
            faults: self.faults.into_faults(),
            ..Config::default()
        }
    }
}

impl FaultOptions {
    fn into_faults(self) -> Faults {
        Faults {
            seed: self.seed,
            ranges: self.ranges,
            head: self.head,
            etag: self.etag,
            last_modified: self.last_modified,
            missing_answer: self.missing_answer,
            missing: self.missing,
            unlisted: self.unlisted,
            late: self.late,
            cut: self.cut,
            cut_style: self.cut_style,
            stall: self.stall,
            refuse_files: self.refuse_files,
            refuse_api: self.refuse_api,
            html_page: self.html_page,
            html_inside: self.html_inside,
            flip: self.flip,
            replaced: self.replaced,
            outdated: self.outdated,
            empty: self.empty,
            truncated: self.truncated,
            damaged: self.damaged,
            twins: self.twins,
            digest: self.digest,
            wrong_digest: self.wrong_digest,
            detail: self.detail,
            dataset_shape: self.dataset_shape,
            total_bytes: self.total_bytes,
            content_encoding: self.content_encoding,
            plus: self.plus,
            index: self.index,
            index_sizes: self.index_sizes,
            slow_start: self.slow_start,
            latency_files: Duration::from_millis(self.latency_files),
            latency_api: Duration::from_millis(self.latency_api),
            clock_skew_s: self.clock_skew,
            connections_per_client_max: self.connections_per_client,
        }
    }
}

fn rate(text: &str) -> Result<u64, String> {
    let (number, unit) = match text.char_indices().next_back() {
        Some((at, 'k' | 'K')) => (&text[..at], 1e3),
        Some((at, 'm' | 'M')) => (&text[..at], 1e6),
        Some((at, 'g' | 'G')) => (&text[..at], 1e9),
        _ => (text, 1.0),
    };
    let rate = number.parse::<f64>().map_err(|_| format!("{text:?} is not a number with k, M or G"))? * unit;
    if (1.0..1e15).contains(&rate) { Ok(rate as u64) } else { Err(format!("{text:?} is out of range")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates() {
        for (text, expected) in
            [("500", Some(500)), ("2k", Some(2000)), ("1.5M", Some(1_500_000)), ("1G", Some(1_000_000_000))]
        {
            assert_eq!(rate(text).ok(), expected);
        }
        for text in ["", "k", "-1", "0", "NaN", "1T"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_switches_fit_together() {
        use clap::CommandFactory as _;
        Options::command().debug_assert();
        let line =
            ["x", "--rate", "10M", "--cut", "random@p:0.5", "--missing", "a,b", "--ranges", "wrong-total"];
        let config = Options::parse_from(line).into_config();
        assert_eq!(config.rate_bytes_per_s, Some(10_000_000));
        assert_eq!(config.faults.ranges, Ranges::WrongTotal);
        assert_eq!(config.faults.missing, Some(Selection::Matching(vec!["a".into(), "b".into()])));
    }
}
