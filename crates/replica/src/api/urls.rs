//! `GET urls`: the files of a dataset in a window of time.
//!
//! The answer is written twice: once into a counter, so that its length can be promised, and once into the
//! connection, page by page. So a listing of millions takes no more memory than one of its pages.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, StatusCode};

use super::Problem;
use super::datasets::describe;
use super::params::Params;
use crate::archive::Query;
use crate::body::{Content, Ending, Reply};
use crate::catalogue::Resolution;
use crate::faults::{Faults, PlusSpelling, TotalBytes};
use crate::server::Shared;

const DAY_S: i64 = 86_400;

/// The URLs that the query asks for.
pub(crate) fn list(shared: &Arc<Shared>, faults: &Arc<Faults>, query: &str) -> Result<Reply, Problem> {
    let mut params = Params::new(query);
    let name = params.required("name");
    let (start, end) = (params.time("start"), params.time("end"));
    let wants_total = params.switch("include_total_bytes");
    params.verdict()?;
    let plain = |status, detail| Err(Problem::Plain(status, detail));
    if start > end {
        return plain(StatusCode::BAD_REQUEST, "Start time is after the end time");
    }
    let Some((index, dataset)) = shared.store.archive.catalogue.find(&name) else {
        return plain(StatusCode::NOT_FOUND, "Dataset name does not exist");
    };
    let by_the_day = matches!(dataset.resolution, Resolution::Minute | Resolution::Hour);
    if by_the_day && end - start >= DAY_S {
        let detail = "Timeframe exceeds valid range; this dataset listing must be limited to one day";
        return plain(StatusCode::BAD_REQUEST, detail);
    }
    let lower = |name| params.text(name).map(|text: String| text.to_ascii_lowercase());
    let query = Query { dataset: index, start, end, site: lower("site_uid"), device: lower("device_uid") };
    let number = shared.desk.listing(&format!("{query:?}"));
    let listing = Listing { shared: Arc::clone(shared), faults: Arc::clone(faults), query, number };
    Ok(listing.reply(wants_total && faults.total_bytes == TotalBytes::Sum))
}

/// One answer to be.
struct Listing {
    shared: Arc<Shared>,
    faults: Arc<Faults>,
    query: Query,
    /// Which listing of this window it is, from 1.
    number: u32,
}

/// What the first writing finds out.
#[derive(Default)]
struct Measure {
    count: u64,
    text_len: u64,
    total_bytes: u64,
}

impl Listing {
    fn reply(self, wants_total: bool) -> Reply {
        let measure = self.measure(wants_total);
        let tail = Bytes::from(self.tail(&measure, wants_total));
        const HEAD: &[u8] = b"{\"urls\":[";
        let len = HEAD.len() as u64 + measure.text_len + tail.len() as u64;
        let pages = self.shared.store.archive.page_count(&self.query);
        let mut is_first = true;
        let pages = (0..pages).map(move |page| {
            let text = self.text(&self.page(page), is_first);
            is_first &= text.is_empty();
            text
        });
        let pieces = std::iter::once(Bytes::from_static(HEAD)).chain(pages).chain(std::iter::once(tail));
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let content = Content::Text(len, Box::new(pieces));
        Reply { status: StatusCode::OK, headers, content, ending: Ending::Whole }
    }

    fn measure(&self, wants_total: bool) -> Measure {
        let mut measure = Measure::default();
        for page in 0..self.shared.store.archive.page_count(&self.query) {
            let paths = self.page(page);
            measure.count += paths.len() as u64;
            measure.text_len += paths.iter().map(|path| self.url_len(path) + 3).sum::<u64>();
            if wants_total {
                let paths = paths.iter().map(String::as_str);
                measure.total_bytes += self.shared.store.total_bytes(paths, &self.shared.desk);
            }
        }
        // There is one comma less than there are URLs.
        measure.text_len = measure.text_len.saturating_sub(1);
        measure
    }

    /// The paths of a page, without those that a fault keeps out of it.
    fn page(&self, page: u32) -> Vec<String> {
        let mut paths = self.shared.store.page(&self.query, page, &self.faults);
        let seed = self.faults.seed;
        if let Some(unlisted) = &self.faults.unlisted {
            paths.retain(|path| !unlisted.contains(path, seed, "unlisted"));
        }
        if let Some(late) = self.faults.late.as_ref().filter(|_| self.number == 1) {
            paths.retain(|path| !late.contains(path, seed, "late"));
        }
        paths
    }

    fn text(&self, paths: &[String], is_first: bool) -> Bytes {
        let base = &self.shared.base_url;
        let room = paths.iter().map(|path| base.len() + path.len() + 3).sum();
        let mut text = String::with_capacity(room);
        for path in paths {
            if !(is_first && text.is_empty()) {
                text.push(',');
            }
            text.push('"');
            text.push_str(base);
            match self.faults.plus {
                PlusSpelling::Plain => text.push_str(path),
                PlusSpelling::Escaped => text.push_str(&path.replace('+', "%2B")),
            }
            text.push('"');
        }
        Bytes::from(text)
    }

    fn url_len(&self, path: &str) -> u64 {
        let escaped = match self.faults.plus {
            PlusSpelling::Plain => 0,
            PlusSpelling::Escaped => path.matches('+').count() * 2,
        };
        (self.shared.base_url.len() + path.len() + escaped) as u64
    }

    /// All that follows the URLs.
    fn tail(&self, measure: &Measure, wants_total: bool) -> String {
        let dataset = &self.shared.store.archive.catalogue.datasets[self.query.dataset];
        let description = describe(&self.shared, &self.faults, dataset);
        let total = if wants_total { measure.total_bytes.to_string() } else { "null".to_owned() };
        // A description is made of strings and always becomes JSON.
        let json = serde_json::to_string(&description).unwrap_or_default();
        let prefix = &description.data_tree_url;
        format!(
            "],\"path_prefix\":\"{prefix}\",\"count\":{},\"total_bytes\":{total},\"dataset\":{json}}}",
            measure.count
        )
    }
}
