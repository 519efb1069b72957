//! Everything the replica can do wrong on purpose. The default does nothing wrong.

use std::str::FromStr;
use std::time::Duration;

use clap::ValueEnum;

use crate::chance::{BadSwitch, Selection, When};

/// The faults of a running replica; each one is off by default and independent of the others.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// What random faults are drawn from; the same seed strikes the same requests.
    pub seed: u64,
    /// How range requests are answered.
    pub ranges: Ranges,
    /// How HEAD is answered.
    pub head: HeadAnswer,
    /// What kind of ETag files have.
    pub etag: EtagKind,
    /// What kind of Last-Modified files have.
    pub last_modified: LastModifiedKind,
    /// How a request for a file that is not there is answered.
    pub missing_answer: MissingAnswer,
    /// Files that are listed but gone.
    pub missing: Option<Selection>,
    /// Files that are there but never listed.
    pub unlisted: Option<Selection>,
    /// Files that the first listing of a window lacks and later ones have.
    pub late: Option<Selection>,
    /// Connections broken off in mid body.
    pub cut: Option<Cut>,
    /// How a connection is broken off.
    pub cut_style: CutStyle,
    /// Bodies that stop in the middle while the connection stays open.
    pub stall: Option<Stall>,
    /// File requests refused for now.
    pub refuse_files: Option<Refusal>,
    /// API requests refused for now, or failing with an HTML page.
    pub refuse_api: Option<Refusal>,
    /// File requests answered with an HTML page and status 200.
    pub html_page: Option<When>,
    /// Bodies with an HTML page written over their middle, the length kept.
    pub html_inside: Option<When>,
    /// Bodies with one byte changed.
    pub flip: Option<When>,
    /// Files that are replaced at the source after their first GET.
    pub replaced: Option<Selection>,
    /// Files that are replaced between being listed and being fetched: folder pages and `total_bytes` tell of the
    /// file before.
    pub outdated: Option<Selection>,
    /// Files that are empty at the source.
    pub empty: Option<Selection>,
    /// Files that are cut off at the source, at 60 percent of their length.
    pub truncated: Option<Selection>,
    /// Files that are damaged at the source: the same wrong byte each time, where the format's own check sees it.
    pub damaged: Option<Selection>,
    /// `.pgm.gz` files that lie there as `.pgm` too, and are listed twice.
    pub twins: Option<Selection>,
    /// Which digest headers files have.
    pub digest: DigestHeaders,
    /// Answers whose digest headers are those of something else.
    pub wrong_digest: Option<When>,
    /// The shape of the API's `detail` in errors.
    pub detail: DetailShape,
    /// The shape of a dataset in the API's answers.
    pub dataset_shape: DatasetShape,
    /// Whether `total_bytes` is ever filled in.
    pub total_bytes: TotalBytes,
    /// Whether `.gz` files are marked as an encoding of something else.
    pub content_encoding: ContentEncoding,
    /// How a `+` in a listed name is written.
    pub plus: PlusSpelling,
    /// What folder pages look like.
    pub index: IndexStyle,
    /// How folder pages tell sizes.
    pub index_sizes: IndexSizes,
    /// Bodies that start at so many bytes per second and become twice as fast each second.
    pub slow_start: Option<u64>,
    /// Time before the first byte of a file answer.
    pub latency_files: Duration,
    /// Time before the first byte of an API answer.
    pub latency_api: Duration,
    /// How far the `Date` header is off, in seconds.
    pub clock_skew_s: i64,
    /// Connections of one address beyond this many are closed at once.
    pub connections_per_client_max: Option<usize>,
}

/// How range requests are answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Ranges {
    /// As they should be.
    #[default]
    On,
    /// `Accept-Ranges: none`, and always the whole file with 200.
    Off,
    /// Announced with `Accept-Ranges: bytes`, but always the whole file with 200.
    Ignored,
    /// 206 whose Content-Range names a total that is 1000 bytes too large.
    WrongTotal,
    /// 206 that starts one byte beside the place asked for, and says so.
    WrongStart,
}

/// How HEAD is answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum HeadAnswer {
    /// As GET without a body.
    #[default]
    On,
    /// 405.
    Refused,
    /// Without Content-Length.
    NoLength,
}

/// What kind of ETag files have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum EtagKind {
    /// One per version of a file.
    #[default]
    Strong,
    /// The same, marked `W/`.
    Weak,
    /// None.
    Off,
    /// Another one at every request.
    Changing,
}

/// What kind of Last-Modified files have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum LastModifiedKind {
    /// When the file was written.
    #[default]
    On,
    /// None.
    Off,
    /// The second of the answer, so that it is never a strong validator.
    Recent,
}

/// How a request for a file that is not there is answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum MissingAnswer {
    /// 404.
    #[default]
    NotFound,
    /// 302 to the home page, which is a 200.
    Redirect,
    /// 301 to the home page.
    Moved,
    /// The home page itself, with 200.
    HtmlPage,
}

/// How a connection is broken off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum CutStyle {
    /// Closed: what was sent arrives, then the end.
    #[default]
    Close,
    /// Reset: what was sent may not arrive.
    Reset,
}

/// The shape of the API's `detail` in errors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum DetailShape {
    /// A sentence (422 always has the list).
    #[default]
    Text,
    /// The list of objects that 422 has, for every error.
    List,
}

/// The shape of a dataset in the API's answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum DatasetShape {
    /// All fields.
    #[default]
    Current,
    /// Without `supported_libraries` and `file_time_resolution`.
    Legacy1,
    /// Without `file_time_resolution`.
    Legacy2,
    /// `legacy1` for PyAuroraX 1.3.3 and earlier, whose `User-Agent` says so, and `current` for all others.
    ByAgent,
}

impl DatasetShape {
    /// The shape that a client gets which calls itself so.
    pub(crate) fn told_to(self, agent: Option<&str>) -> Self {
        let version = agent.and_then(|agent| agent.strip_prefix("python-pyaurorax/"));
        let mut numbers = version.into_iter().flat_map(|text| text.split('.')).map(str::parse::<u32>);
        let mut number = || numbers.next().and_then(Result::ok);
        match (self, number(), number(), number()) {
            (Self::ByAgent, Some(major), minor, patch)
                if (major, minor.unwrap_or(0), patch.unwrap_or(0)) <= (1, 3, 3) =>
            {
                Self::Legacy1
            }
            (Self::ByAgent, ..) => Self::Current,
            (shape, ..) => shape,
        }
    }
}

/// Whether `total_bytes` is ever filled in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum TotalBytes {
    /// When asked for.
    #[default]
    Sum,
    /// Never.
    Null,
}

/// Whether `.gz` files are marked as an encoding of something else.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ContentEncoding {
    /// They are files of their own.
    #[default]
    Off,
    /// `Content-Encoding: gzip`, which makes a helpful client store something else.
    Gzip,
}

/// How a `+` in a listed name is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum PlusSpelling {
    /// `+`.
    #[default]
    Plain,
    /// `%2B`.
    Escaped,
}

/// Which digest headers files have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum DigestHeaders {
    /// None.
    #[default]
    Off,
    /// `Repr-Digest` (RFC 9530): SHA-256 of the whole file, with every part too.
    Repr,
    /// `Content-Digest` (RFC 9530): SHA-256 of what this answer carries.
    Content,
    /// `Digest` (RFC 3230): SHA-256 of the whole file, with every part too.
    Legacy,
    /// `Content-MD5`, with whole files only.
    Md5,
    /// `x-amz-checksum-crc32`, with whole files only.
    Amz,
    /// All of them.
    All,
}

/// What folder pages look like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum IndexStyle {
    /// Rows of a table.
    #[default]
    Table,
    /// Lines, as Apache's mod_autoindex makes them.
    Apache,
    /// Lines, as nginx's autoindex makes them.
    Nginx,
    /// There are none: 403.
    Off,
}

/// How folder pages tell sizes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum IndexSizes {
    /// To the byte.
    #[default]
    Exact,
    /// To two digits, with K, M or G.
    Rounded,
}

/// A connection broken off in mid body. Written `BYTES[@WHEN]` or `random[@WHEN]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cut {
    /// How many bytes of the body are sent before; none for a random place.
    pub after: Option<u64>,
    /// Which requests are cut.
    pub when: When,
}

/// A body that stops while the connection stays open. Written `BYTES[@WHEN]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stall {
    /// How many bytes of the body are sent before.
    pub after: u64,
    /// Which requests stall.
    pub when: When,
}

/// An answer other than what was asked for. Written `STATUS[/RETRY_AFTER_S][@WHEN]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Refusal {
    /// The status: 429, 500, 502, 503, …
    pub status: u16,
    /// The seconds in `Retry-After`, if it is sent.
    pub retry_after_s: Option<u32>,
    /// Which requests are refused.
    pub when: When,
}

impl FromStr for Cut {
    type Err = BadSwitch;

    fn from_str(text: &str) -> Result<Self, BadSwitch> {
        let (place, when) = split_when(text)?;
        let bad = |_| BadSwitch::new(text, "BYTES[@WHEN] or random[@WHEN]");
        let after = if place == "random" { None } else { Some(place.parse().map_err(bad)?) };
        Ok(Self { after, when })
    }
}

impl FromStr for Stall {
    type Err = BadSwitch;

    fn from_str(text: &str) -> Result<Self, BadSwitch> {
        let (place, when) = split_when(text)?;
        let after = place.parse().map_err(|_| BadSwitch::new(text, "BYTES[@WHEN]"))?;
        Ok(Self { after, when })
    }
}

impl FromStr for Refusal {
    type Err = BadSwitch;

    fn from_str(text: &str) -> Result<Self, BadSwitch> {
        let bad = || BadSwitch::new(text, "STATUS[/RETRY_AFTER_S][@WHEN]");
        let (answer, when) = split_when(text)?;
        let (status, retry_after) = match answer.split_once('/') {
            Some((status, seconds)) => (status, Some(seconds.parse().map_err(|_| bad())?)),
            None => (answer, None),
        };
        let status = status.parse().ok().filter(|status| (400..600).contains(status)).ok_or_else(bad)?;
        Ok(Self { status, retry_after_s: retry_after, when })
    }
}

fn split_when(text: &str) -> Result<(&str, When), BadSwitch> {
    match text.split_once('@') {
        Some((what, when)) => Ok((what, when.parse()?)),
        None => Ok((text, When::Always)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn switches_are_read() {
        assert_eq!("100@first-attempt".parse(), Ok(Cut { after: Some(100), when: When::FirstAttempt }));
        assert_eq!("random@p:0.5".parse(), Ok(Cut { after: None, when: When::Probability(0.5) }));
        assert_eq!("7".parse(), Ok(Stall { after: 7, when: When::Always }));
        let busy = Refusal { status: 503, retry_after_s: Some(2), when: When::FirstRequests(5) };
        assert_eq!("503/2@first:5".parse(), Ok(busy));
        for text in ["200", "503/x", "x", "503@never"] {
            assert!(text.parse::<Refusal>().is_err(), "{text}");
        }
        assert!("random".parse::<Stall>().is_err());
    }
}
