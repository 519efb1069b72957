//! Real files laid over the synthetic archive.
//!
//! A data folder in the archive's own tree is read once, at start. Where it holds files of a dataset for a site and
//! day, those are all that this dataset has there: the synthetic ones step aside. Files that fit no dataset's
//! grammar are served under their path but listed nowhere.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use jiff::civil::Date;

use crate::catalogue::Catalogue;
use crate::names::{Cadence, Label};

/// A listed real file: its path in the archive and what its name tells.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    pub(crate) path: String,
    pub(crate) label: Label,
    pub(crate) cadence: Cadence,
}

/// What decides which synthetic files step aside: the dataset's place in the table, and the day of dated files.
type Spot = (usize, Option<Date>);

/// All real files.
#[derive(Debug, Default)]
pub(crate) struct Overlay {
    /// Where each path is on this machine. Size and time are looked up when asked for: a file may be exchanged.
    files: BTreeMap<String, PathBuf>,
    spots: BTreeMap<Spot, BTreeMap<String, Vec<Listed>>>,
}

impl Overlay {
    /// Reads a data folder, the one that contains `sort_by_project`.
    pub(crate) fn scan(data_dir: &Path, catalogue: &Catalogue) -> io::Result<Self> {
        let mut overlay = Self::default();
        overlay.scan_folder(&data_dir.join("sort_by_project"), "/sort_by_project", catalogue)?;
        for group in overlay.spots.values_mut().flat_map(BTreeMap::values_mut) {
            group.sort_by(|a, b| a.path.cmp(&b.path));
        }
        Ok(overlay)
    }

    /// Where the real file of this path is on this machine.
    pub(crate) fn file(&self, path: &str) -> Option<&Path> {
        self.files.get(path).map(PathBuf::as_path)
    }

    /// The real files of a dataset on a day (none for undated datasets), by site.
    pub(crate) fn at(&self, dataset: usize, day: Option<Date>) -> Option<&BTreeMap<String, Vec<Listed>>> {
        self.spots.get(&(dataset, day))
    }

    /// Whether real files stand in for the synthetic ones of this dataset, day and site.
    pub(crate) fn replaces(&self, dataset: usize, day: Option<Date>, site: &str) -> bool {
        self.at(dataset, day).is_some_and(|sites| sites.contains_key(site))
    }

    /// Paths of real files below a folder.
    pub(crate) fn below<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = &'a str> {
        self.files
            .range(folder.to_owned()..)
            .map(|(path, _)| path.as_str())
            .take_while(move |path| path.starts_with(folder))
    }

    fn scan_folder(&mut self, folder: &Path, prefix: &str, catalogue: &Catalogue) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            // A name that a URL would have to escape is none of the archive's.
            let Some(name) = entry.file_name().to_str().filter(|name| is_plain(name)).map(str::to_owned)
            else {
                continue;
            };
            let path = format!("{prefix}/{name}");
            if fs::metadata(entry.path())?.is_dir() {
                self.scan_folder(&entry.path(), &path, catalogue)?;
            } else {
                self.enlist(&path, catalogue);
                self.files.insert(path, entry.path());
            }
        }
        Ok(())
    }

    fn enlist(&mut self, path: &str, catalogue: &Catalogue) {
        for (index, dataset) in catalogue.datasets.iter().enumerate() {
            if let Some((template, label)) = dataset.read(path) {
                let day = dataset.is_dated().then_some(label.date);
                let listed = Listed { path: path.to_owned(), cadence: template.cadence(), label };
                let site = listed.label.site.clone();
                self.spots.entry((index, day)).or_default().entry(site).or_default().push(listed);
                return;
            }
        }
    }
}

fn is_plain(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-+".contains(&byte))
}
