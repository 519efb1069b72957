//! Listings: what is asked, and how an answer of any length becomes one.

use jiff::Timestamp;
use url::Url;

use crate::answer::Answer;
use crate::feed::{Feed, pipe};
use crate::parse::{ParseError, Parsed, parse_listing};
use crate::{ArchiveError, Urls};

/// What is to be listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListingRequest {
    /// Dataset name, in any case.
    pub dataset: String,
    /// First second, inclusive. Anything below a second is cut off.
    pub start: Timestamp,
    /// Last second, inclusive.
    pub end: Timestamp,
    /// One site, or every site.
    pub site: Option<String>,
    /// One device, or every device.
    pub device: Option<String>,
    /// Whether to ask for the sum of all sizes. The archive looks at every file for it, so that it is
    /// asked only for small windows.
    pub include_total_bytes: TotalBytes,
}

/// Whether the sum of all sizes is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TotalBytes {
    /// No.
    #[default]
    Omit,
    /// Yes.
    Include,
}

/// What the archive lists. It tells no sizes, times or digests of single files.
#[derive(Debug)]
pub struct Listing {
    /// The URL below which the files lie, without a trailing slash; empty where the archive told none.
    pub path_prefix: String,
    /// How many files the archive says there are; its own lists have held duplicates.
    pub count: Option<u64>,
    /// The sum of all sizes in bytes, where it was asked for.
    pub total_bytes: Option<u64>,
    /// The files, in the archive's order.
    pub urls: Urls,
}

impl ListingRequest {
    /// Adds the question to the endpoint's URL.
    pub(crate) fn write_query(&self, url: &mut Url) {
        let time = |time: Timestamp| time.strftime("%Y-%m-%dT%H:%M:%S").to_string();
        let mut query = url.query_pairs_mut();
        query.append_pair("name", &self.dataset);
        query.append_pair("start", &time(self.start)).append_pair("end", &time(self.end));
        if let Some(site) = &self.site {
            query.append_pair("site_uid", site);
        }
        if let Some(device) = &self.device {
            query.append_pair("device_uid", device);
        }
        if self.include_total_bytes == TotalBytes::Include {
            query.append_pair("include_total_bytes", "true");
        }
    }
}

/// Reads a listing from an answer, in bounded memory.
pub(crate) async fn read_listing(answer: Answer) -> Result<Listing, ArchiveError> {
    let (feed, reader) = pipe();
    // It ends by itself when the feed is dropped, so that giving up here leaves nothing running.
    let parsing = tokio::task::spawn_blocking(move || parse_listing(reader));
    let fed = feed_all(answer, feed).await;
    let parsed = parsing.await;
    // A broken connection explains a document that is cut, not the other way round.
    fed?;
    match parsed {
        Ok(Ok(parsed)) => Ok(listing(parsed)),
        Ok(Err(ParseError::Document(what))) => Err(ArchiveError::Answer { what }),
        Ok(Err(ParseError::Spool(source))) => Err(ArchiveError::Spool { source }),
        Err(error) => Err(ArchiveError::Answer { what: format!("reading it ended unexpectedly: {error}") }),
    }
}

async fn feed_all(answer: Answer, feed: Feed) -> Result<(), ArchiveError> {
    let Answer { first, mut rest } = answer;
    let mut next = Some(first);
    while let Some(piece) = next {
        if feed.send(piece).await.is_err() {
            // The parser has seen enough and will say what.
            return Ok(());
        }
        next = rest.chunk().await?;
    }
    // Likewise.
    let _ = feed.end().await;
    Ok(())
}

fn listing(parsed: Parsed) -> Listing {
    let path_prefix = parsed.path_prefix.unwrap_or_default().trim_end_matches('/').to_owned();
    Listing { path_prefix, count: parsed.count, total_bytes: parsed.total_bytes, urls: parsed.urls }
}
