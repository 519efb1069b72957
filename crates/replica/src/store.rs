//! The files behind the paths: their sizes, times and bytes, with what the faults make of them at the source.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use jiff::Timestamp;

use crate::archive::{Archive, Found, Query, packed_twin};
use crate::cache::ContentCache;
use crate::catalogue::Dataset;
use crate::chance::Selection;
use crate::config::FileScale;
use crate::desk::FaultDesk;
use crate::faults::Faults;
use crate::names::Label;
use crate::seed::{Dice, seed};
use crate::synth::{Recipe, weak_spot};

/// Gives out files.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) archive: Arc<Archive>,
    scale: FileScale,
    cache: ContentCache,
    /// How often a file was replaced by hand.
    versions: Mutex<HashMap<String, u32>>,
}

/// The length up to which a file is made anew for each request.
const MADE_AT_ONCE_MAX: u64 = 64 << 10;

/// A file as it stands at the source right now.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) path: String,
    pub(crate) len: u64,
    /// Seconds since 1970.
    pub(crate) modified: i64,
    /// Another number for each state of the file, whatever its length and time.
    pub(crate) state: u64,
    condition: Condition,
    origin: Origin,
}

/// Where a file's length, time and bytes are told, and how many GETs of it there were before.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sight {
    /// In a listing or a folder page.
    Told(u32),
    /// In an answer of its own.
    Served(u32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Condition {
    Sound,
    Damaged,
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

    /// The paths of one page of a listing, with the twins that a fault puts beside them.
    pub(crate) fn page(&self, query: &Query, number: u32, faults: &Faults) -> Vec<String> {
        let paths = self.archive.page(query, number);
        let Some(twins) = &faults.twins else { return paths };
        let with_twin = |path: String| {
            let twin = path.strip_suffix(".gz").filter(|twin| twin.ends_with(".pgm"));
            let twin = twin.filter(|_| twins.contains(&path, faults.seed, "twins")).map(str::to_owned);
            twin.into_iter().chain([path])
        };
        paths.into_iter().flat_map(with_twin).collect()
    }

    /// The file at a path (unescaped), if there is one.
    pub(crate) fn item(&self, path: &str, faults: &Faults, sight: Sight) -> Option<Item> {
        self.found_item(path, self.archive.find(path)?, faults, sight)
    }

    /// The file that was found at a path, if the faults leave it there.
    pub(crate) fn found_item(
        &self,
        path: &str,
        found: Found<'_>,
        faults: &Faults,
        sight: Sight,
    ) -> Option<Item> {
        let struck = |fault: &Option<Selection>, name| strikes(fault, path, faults.seed, name);
        let is_there = match found {
            Found::Twin(..) => strikes(&faults.twins, &packed_twin(path), faults.seed, "twins"),
            Found::Real(_) | Found::Synthetic(..) => true,
        };
        if !is_there || struck(&faults.missing, "missing") {
            return None;
        }
        let (Sight::Told(earlier) | Sight::Served(earlier)) = sight;
        let replaced = earlier > 0 && struck(&faults.replaced, "replaced");
        let outdated = matches!(sight, Sight::Served(_)) && struck(&faults.outdated, "outdated");
        let version = self.version(path) + u32::from(replaced) + u32::from(outdated);
        let mut item = self.untouched(path, found, version)?;
        if struck(&faults.empty, "empty") {
            item.len = 0;
        } else if struck(&faults.truncated, "truncated") {
            item.len = item.len * 6 / 10;
        } else if struck(&faults.damaged, "damaged") {
            item.condition = Condition::Damaged;
        }
        Some(item)
    }

    /// The file at a path as it is without faults, but after so many replacements.
    pub(crate) fn sound(&self, path: &str, replacements: u32) -> Option<Item> {
        self.untouched(path, self.archive.find(path)?, self.version(path) + replacements)
    }

    /// How often the file at a path was replaced by hand.
    fn version(&self, path: &str) -> u32 {
        self.versions.lock().unwrap_or_else(PoisonError::into_inner).get(path).copied().unwrap_or(0)
    }

    /// The bytes of a file.
    pub(crate) async fn content(&self, item: &Item) -> io::Result<Bytes> {
        if item.len == 0 {
            return Ok(Bytes::new());
        }
        let key = (item.path.clone(), item.state);
        let mut content = match item.origin.clone() {
            // Asking another thread for so little would cost more than making it.
            Origin::Made(recipe) if recipe.len() <= MADE_AT_ONCE_MAX => recipe.make(),
            Origin::Made(recipe) => self.cache.get(key, item.len, move || Ok(recipe.make())).await?,
            Origin::Disk(path) => {
                self.cache.get(key, item.len, || std::fs::read(path).map(Bytes::from)).await?
            }
        };
        content.truncate(usize::try_from(item.len).unwrap_or(usize::MAX));
        Ok(if item.condition == Condition::Damaged { damaged(&item.path, &content) } else { content })
    }

    /// The sum of the sizes of files, as far as they exist.
    pub(crate) fn total_bytes<'a>(&self, paths: impl Iterator<Item = &'a str>, desk: &FaultDesk) -> u64 {
        let faults = desk.faults();
        let item = |path| self.item(path, &faults, Sight::Told(desk.attempts(path)));
        paths.filter_map(item).map(|item| item.len).sum()
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
            Found::Synthetic(dataset, label) | Found::Twin(dataset, label) => {
                Some(self.made_up(path, dataset, label, version))
            }
        }
    }

    fn made_up(&self, path: &str, dataset: &Dataset, label: Label, version: u32) -> Item {
        // Some hours after the observation, the same each time; replaced files are younger.
        let delay = Dice::new(seed(&[b"written", path.as_bytes()])).below(36_000);
        let modified = label.start() + 7200 + i64::try_from(delay).unwrap_or(0) + i64::from(version) * 3600;
        let recipe = Recipe::new(path, dataset, label, version, self.scale);
        let state = recipe.state();
        Item {
            path: path.to_owned(),
            len: recipe.len(),
            modified,
            state,
            condition: Condition::Sound,
            origin: Origin::Made(recipe),
        }
    }
}

fn strikes(fault: &Option<Selection>, path: &str, fault_seed: u64, name: &str) -> bool {
    fault.as_ref().is_some_and(|chosen| chosen.contains(path, fault_seed, name))
}

/// The same wrong byte each time.
fn damaged(path: &str, content: &Bytes) -> Bytes {
    let mut changed = content.to_vec();
    let spot = weak_spot(path, content.len() as u64);
    if let Some(byte) = usize::try_from(spot).ok().and_then(|spot| changed.get_mut(spot)) {
        *byte ^= 0x10;
    }
    Bytes::from(changed)
}

/// A file of this machine as it is now; none if it is gone.
fn on_disk(path: &str, disk_path: &Path) -> Option<Item> {
    let metadata = std::fs::metadata(disk_path).ok()?;
    let modified =
        metadata.modified().ok().and_then(|time| Timestamp::try_from(time).ok()).unwrap_or_default();
    let (len, moment) = (metadata.len(), modified.as_nanosecond());
    let state = seed(&[&len.to_le_bytes(), &moment.to_le_bytes()]);
    let origin = Origin::Disk(disk_path.to_owned());
    let (path, modified) = (path.to_owned(), modified.as_second());
    Some(Item { path, len, modified, state, condition: Condition::Sound, origin })
}
