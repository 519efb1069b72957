//! The API's endpoints as methods.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Method};
use jiff::Timestamp;
use serde_json::Value;
use skyhaul_http::{Fetch, Request, Treatment};
use url::Url;

use crate::answer::{Answer, list};
use crate::listing::read_listing;
use crate::{ArchiveError, Dataset, ImagingTimeframe, Listing, ListingRequest, Observatory, imaging};

/// The archive's API.
#[derive(Clone)]
pub struct Archive {
    fetch: Arc<dyn Fetch>,
    api: Url,
    stall: Duration,
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");

impl Archive {
    /// The API at a base URL, as `https://api.phys.ucalgary.ca`. Asks nothing yet.
    ///
    /// # Errors
    /// [`ArchiveError::Api`] when that is no http(s) URL with a host.
    pub fn new(fetch: Arc<dyn Fetch>, api: &str) -> Result<Self, ArchiveError> {
        let wrong = |why: String| ArchiveError::Api { api: api.to_owned(), why };
        let mut url: Url = api.trim().parse().map_err(|error: url::ParseError| wrong(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(wrong("it must begin with http:// or https://".to_owned()));
        }
        url.set_query(None);
        url.set_fragment(None);
        Ok(Self { fetch, api: url, stall: Duration::from_secs(60) })
    }

    /// The same, with another stall limit than 60 s.
    #[must_use]
    pub fn with_stall(self, stall: Duration) -> Self {
        Self { stall, ..self }
    }

    /// Datasets whose name holds `name`, in any case; all without one. Members that have no name are
    /// left out.
    ///
    /// # Errors
    /// Any [`ArchiveError`].
    pub async fn datasets(&self, name: Option<&str>) -> Result<Vec<Dataset>, ArchiveError> {
        let mut url = self.endpoint("datasets");
        if let Some(name) = name {
            url.query_pairs_mut().append_pair("name", name);
        }
        Ok(members(self.get(url).await?, Dataset::from_raw))
    }

    /// The dataset of exactly this name, in any case.
    ///
    /// # Errors
    /// Any [`ArchiveError`].
    pub async fn dataset(&self, name: &str) -> Result<Option<Dataset>, ArchiveError> {
        let name = name.trim();
        let found = self.datasets(Some(name)).await?;
        Ok(found.into_iter().find(|dataset| dataset.name.eq_ignore_ascii_case(name)))
    }

    /// Observatories of an instrument array (as `themis_asi`, in any case) whose uid holds `uid`.
    ///
    /// # Errors
    /// Any [`ArchiveError`]; an array that does not exist is [`ArchiveError::Refused`].
    pub async fn observatories(
        &self,
        array: &str,
        uid: Option<&str>,
    ) -> Result<Vec<Observatory>, ArchiveError> {
        let mut url = self.endpoint("observatories");
        url.query_pairs_mut().append_pair("instrument_array", &array.trim().to_ascii_lowercase());
        if let Some(uid) = uid {
            url.query_pairs_mut().append_pair("uid", uid);
        }
        Ok(members(self.get(url).await?, Observatory::from_raw))
    }

    /// The files of a dataset in a span of time; nothing found is an empty listing.
    ///
    /// # Errors
    /// Any [`ArchiveError`]; [`ArchiveError::SpanTooLong`] asks for smaller spans. A listing that is cut
    /// or damaged is an error, never a short list.
    pub async fn listing(&self, request: &ListingRequest) -> Result<Listing, ArchiveError> {
        let mut url = self.endpoint("urls");
        request.write_query(&mut url);
        let response = self.fetch.fetch(self.request(url)).await?;
        read_listing(Answer::accept(response, &request.dataset).await?).await
    }

    /// When each site could take images in the night of `timestamp`: while the sun's zenith angle is
    /// above `threshold_degrees` (the archive's instruments use 102, nautical twilight).
    ///
    /// # Errors
    /// Any [`ArchiveError`].
    pub async fn imaging_timeframes(
        &self,
        timestamp: Timestamp,
        sites: &[&str],
        threshold_degrees: f64,
    ) -> Result<Vec<ImagingTimeframe>, ArchiveError> {
        let question = imaging::question(timestamp, sites, threshold_degrees);
        let mut request = self.request(self.endpoint("imaging_timeframes"));
        request.method = Method::POST;
        request.headers.insert(CONTENT_TYPE, JSON);
        request.body = Some(question.to_string().into());
        Ok(members(self.ask(request).await?, ImagingTimeframe::from_raw))
    }

    async fn get(&self, url: Url) -> Result<Vec<Value>, ArchiveError> {
        self.ask(self.request(url)).await
    }

    async fn ask(&self, request: Request) -> Result<Vec<Value>, ArchiveError> {
        let asked = request.url.path().to_owned();
        let response = self.fetch.fetch(request).await?;
        list(Answer::accept(response, &asked).await?.json().await?)
    }

    fn request(&self, url: Url) -> Request {
        let mut request = Request { stall: self.stall, treatment: Treatment::ahead(), ..Request::get(url) };
        request.headers.insert(ACCEPT, JSON);
        request
    }

    fn endpoint(&self, name: &str) -> Url {
        let mut url = self.api.clone();
        // Only URLs without a host have no path; `new` refuses those.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["api", "v1", "data_distribution", name]);
        }
        url
    }
}

impl fmt::Debug for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Archive").field("api", &self.api.as_str()).finish_non_exhaustive()
    }
}

fn members<T>(raw: Vec<Value>, read: impl Fn(Value) -> Option<T>) -> Vec<T> {
    let total = raw.len();
    let read: Vec<T> = raw.into_iter().filter_map(read).collect();
    if read.len() < total {
        tracing::debug!(left_out = total - read.len(), "members of the archive's answer have no name");
    }
    read
}
