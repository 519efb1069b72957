//! What folder pages told of files' lengths: one request may serve a whole folder.
//!
//! Kept in memory as long as the output tree is held, for a bounded number of folders and a bounded time.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};
use skyhaul_http::Body;
use tokio::sync::OnceCell;
use tokio::time::Instant;
use url::Url;

use crate::ask::Ask;
use crate::index::exact_sizes;
use crate::request::Asker;

/// A folder's page is asked for when this many of its files have been asked about one by one.
const WORTH_A_PAGE: u32 = 2;

/// Folders whose pages are kept.
const MOST_FOLDERS: usize = 64;

/// A longer page is not read.
const LONGEST_PAGE: usize = 8 << 20;

/// What a page told is believed for so long.
const BELIEVED: Duration = Duration::from_mins(10);

/// Pages without a single exact size after which a site is asked for no more.
const PATIENCE: u32 = 2;

/// The lengths that folder pages told.
#[derive(Debug, Default)]
pub(crate) struct Lengths {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    folders: HashMap<Url, Folder>,
    /// The folders in the order in which they came.
    order: VecDeque<Url>,
    /// Pages of no use, by site.
    useless: HashMap<String, u32>,
}

#[derive(Debug)]
struct Folder {
    since: Instant,
    asked: u32,
    page: Page,
}

/// A folder's page, or the wait for it.
type Page = Arc<OnceCell<HashMap<String, u64>>>;

impl Lengths {
    /// The length of the asker's file as its folder's page tells it; none when it is not to be had that way.
    pub(crate) async fn of(&self, asker: &Asker<'_>) -> Option<u64> {
        let folder = folder_of(&asker.url)?;
        let page = self.page(&folder)?;
        // Another's question may be on its way for long; who is told to stop does not wait for it.
        let sizes = tokio::select! {
            biased;
            () = asker.stop.cancelled() => return None,
            sizes = page.get_or_try_init(|| self.fetch(asker, &folder)) => sizes.ok()?,
        };
        sizes.get(asker.url.path()).copied()
    }

    /// The page of a folder, if it is worth asking for.
    fn page(&self, folder: &Url) -> Option<Page> {
        let mut known = self.known();
        if known.useless.get(&site(folder)).is_some_and(|&pages| pages >= PATIENCE) {
            return None;
        }
        let now = Instant::now();
        if known.folders.get(folder).is_none_or(|known| now.duration_since(known.since) > BELIEVED) {
            known.begin(folder, now);
        }
        let entry = known.folders.get_mut(folder)?;
        entry.asked += 1;
        (entry.asked > WORTH_A_PAGE).then(|| Arc::clone(&entry.page))
    }

    /// What a folder's page tells; nothing when there is none.
    async fn fetch(&self, asker: &Asker<'_>, folder: &Url) -> Result<HashMap<String, u64>, NoAnswer> {
        let page = read(asker, folder).await?;
        let sizes = page.map(|page| exact_sizes(&page, folder)).unwrap_or_default();
        if sizes.is_empty() {
            *self.known().useless.entry(site(folder)).or_default() += 1;
        }
        tracing::debug!(%folder, files = sizes.len(), "asked for a folder's page");
        Ok(sizes)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // The maps are whole between any two calls, whoever panicked.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn begin(&mut self, folder: &Url, since: Instant) {
        let fresh = Folder { since, asked: 0, page: Page::default() };
        if self.folders.insert(folder.clone(), fresh).is_some() {
            return;
        }
        self.order.push_back(folder.clone());
        if self.order.len() > MOST_FOLDERS
            && let Some(oldest) = self.order.pop_front()
        {
            self.folders.remove(&oldest);
        }
    }
}

/// The site cannot answer now, or we are told to stop: the file's own question will tell.
struct NoAnswer;

/// Reads a folder's page, if there is one of bearable length.
async fn read(asker: &Asker<'_>, folder: &Url) -> Result<Option<String>, NoAnswer> {
    let mut response = asker.ask_at(folder, Method::GET, &Ask::Whole).await.map_err(|_| NoAnswer)?;
    if response.status.is_server_error() || response.status == StatusCode::TOO_MANY_REQUESTS {
        return Err(NoAnswer);
    }
    let is_page = response.headers.get(CONTENT_TYPE).is_some_and(is_html);
    let is_plain = !response.headers.contains_key(CONTENT_ENCODING);
    if response.status != StatusCode::OK || response.url != *folder || !is_page || !is_plain {
        return Ok(None);
    }
    let mut page = Vec::new();
    while let Some(piece) = next_piece(asker, &mut response.body).await? {
        page.extend_from_slice(&piece);
        if page.len() > LONGEST_PAGE {
            return Ok(None);
        }
    }
    Ok(String::from_utf8(page).ok())
}

async fn next_piece(asker: &Asker<'_>, body: &mut Body) -> Result<Option<Bytes>, NoAnswer> {
    tokio::select! {
        biased;
        () = asker.stop.cancelled() => Err(NoAnswer),
        piece = body.chunk() => piece.map_err(|_| NoAnswer),
    }
}

fn is_html(value: &HeaderValue) -> bool {
    value.to_str().is_ok_and(|media| media.trim_start().to_ascii_lowercase().starts_with("text/html"))
}

/// The folder of a plain file's URL. What a query names lies in no folder.
fn folder_of(file: &Url) -> Option<Url> {
    let is_plain = file.query().is_none() && !file.path().ends_with('/');
    is_plain.then(|| file.join(".").ok())?
}

fn site(url: &Url) -> String {
    url.origin().ascii_serialization()
}
