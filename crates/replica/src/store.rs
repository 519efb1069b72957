//! The files behind the paths: their sizes, times and bytes, with what the faults make of them at the source.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use jiff::Timestamp;

use crate::archive::{Archive, Found};
use crate::cache::ContentCache;
use crate::catalogue::Dataset;
use crate::config::FileScale;
use crate::desk::FaultDesk;
use crate::faults::Faults;
use crate::names::Label;
use crate::seed::{Dice, seed};
use crate::synth::Recipe;

/// Gives out files.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) archive: Arc<Archive>,
    scale: FileScale,
    cache: ContentCache,
    /// How often a file was replaced by hand.
    versions: Mutex<HashMap<String, u32>>,
}

/// A file as it stands at the source right now.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) path: String,
    pub(crate) len: u64,
    /// Seconds since 1970.
    pub(crate) modified: i64,
    /// Another number for each state of the file, whatever its length and time.
    pub(crate) state: u64,
    origin: Origin,
}

#[derive(Debug, Clone)]
enum Origin {
    Disk(PathBuf),
    Made(Recipe),
}

impl Store {
    /// A store of all that the archive has.
    pub(crate) fn new(archive: Arc<Archive>, scale: FileScale, cache_bytes_max: u64) -> Self {
        Self { archive, scale, cache: ContentCache::new(cache_bytes_max), versions: Mutex::default() }
    }

    /// Replaces the file at a path (unescaped) by another one of the same name.
    pub(crate) fn replace(&self, path: &str) {
        let mut versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        *versions.entry(path.to_owned()).or_default() += 1;
    }

    /// The version of the file at a path, given how many GETs of it there were before.
    pub(crate) fn version(&self, path: &str, faults: &Faults, earlier_attempts: u32) -> u32 {
        let by_hand =
            self.versions.lock().unwrap_or_else(PoisonError::into_inner).get(path).copied().unwrap_or(0);
        let by_fault = earlier_attempts > 0
            && faults.replaced.as_ref().is_some_and(|chosen| chosen.contains(path, faults.seed, "replaced"));
        by_hand + u32::from(by_fault)
    }

    /// The file at a path (unescaped), if there is one.
    pub(crate) fn item(&self, path: &str, faults: &Faults, earlier_attempts: u32) -> Option<Item> {
        let found = self.archive.find(path)?;
        let chosen = |fault: &Option<crate::chance::Selection>, name| {
            fault.as_ref().is_some_and(|chosen| chosen.contains(path, faults.seed, name))
        };
        if chosen(&faults.missing, "missing") {
            return None;
        }
        let version = self.version(path, faults, earlier_attempts);
        let mut item = self.untouched(path, found, version)?;
        if chosen(&faults.empty, "empty") {
            item.len = 0;
        } else if chosen(&faults.truncated, "truncated") {
            item.len = item.len * 6 / 10;
        }
        Some(item)
    }

    /// The bytes of a file.
    pub(crate) async fn content(&self, item: &Item) -> io::Result<Bytes> {
        if item.len == 0 {
            return Ok(Bytes::new());
        }
        let key = (item.path.clone(), item.state);
        let origin = item.origin.clone();
        let make = move || match origin {
            Origin::Disk(path) => std::fs::read(path).map(Bytes::from),
            Origin::Made(recipe) => Ok(recipe.make()),
        };
        let mut content = self.cache.get(key, item.len, make).await?;
        content.truncate(usize::try_from(item.len).unwrap_or(usize::MAX));
        Ok(content)
    }

    /// The sum of the sizes of files, as far as they exist.
    pub(crate) fn total_bytes<'a>(&self, paths: impl Iterator<Item = &'a str>, desk: &FaultDesk) -> u64 {
        let faults = desk.faults();
        paths.filter_map(|path| self.item(path, &faults, desk.attempts(path))).map(|item| item.len).sum()
    }

    /// The file as it would be without the faults that shorten it.
    fn untouched(&self, path: &str, found: Found<'_>, version: u32) -> Option<Item> {
        match found {
            Found::Real(disk_path) if version == 0 => on_disk(path, disk_path),
            // A real file that was replaced has a made-up one in its place, if its name says what it holds.
            Found::Real(disk_path) => {
                let datasets = &self.archive.catalogue.datasets;
                let named = datasets.iter().find_map(|dataset| Some((dataset, dataset.read(path)?.1)));
                match named {
                    Some((dataset, label)) => Some(self.made_up(path, dataset, label, version)),
                    None => on_disk(path, disk_path),
                }
            }
            Found::Synthetic(dataset, label) => Some(self.made_up(path, dataset, label, version)),
        }
    }

    fn made_up(&self, path: &str, dataset: &Dataset, label: Label, version: u32) -> Item {
        // Some hours after the observation, the same each time; replaced files are younger.
        let delay = Dice::new(seed(&[b"written", path.as_bytes()])).below(36_000);
        let modified = label.start() + 7200 + i64::try_from(delay).unwrap_or(0) + i64::from(version) * 3600;
        let recipe = Recipe::new(path, dataset, label, version, self.scale);
        let state = recipe.state();
        Item { path: path.to_owned(), len: recipe.len(), modified, state, origin: Origin::Made(recipe) }
    }
}

/// A file of this machine as it is now; none if it is gone.
fn on_disk(path: &str, disk_path: &Path) -> Option<Item> {
    let metadata = std::fs::metadata(disk_path).ok()?;
    let modified =
        metadata.modified().ok().and_then(|time| Timestamp::try_from(time).ok()).unwrap_or_default();
    let (len, moment) = (metadata.len(), modified.as_nanosecond());
    let state = seed(&[&len.to_le_bytes(), &moment.to_le_bytes()]);
    let origin = Origin::Disk(disk_path.to_owned());
    Some(Item { path: path.to_owned(), len, modified: modified.as_second(), state, origin })
}
