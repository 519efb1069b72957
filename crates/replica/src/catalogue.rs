//! The datasets: names, levels, resolutions, trees, and which files each of them has.
//!
//! The facts are data (`data/datasets.json`, `data/citations.json`); this module gives them types and answers two
//! questions: which dataset has this name, and does a dataset have a file for this minute.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::names::{Label, Template};

/// The folder that every dataset's tree is in.
pub(crate) const ROOT: &str = "/sort_by_project/";

/// The first day of the dataset `REPLICA_BULK_RAW`, whose length is a setting.
pub(crate) const BULK_FIRST_DAY: Date = Date::constant(2000, 1, 1);

/// One row of the table.
#[derive(Debug, Deserialize)]
pub(crate) struct Dataset {
    pub(crate) name: String,
    pub(crate) level: Level,
    pub(crate) resolution: Resolution,
    /// The folder below [`ROOT`], without slashes at its ends.
    pub(crate) tree: String,
    /// The instrument array whose stations write it; none for what has no site.
    pub(crate) array: Option<String>,
    #[serde(rename = "when")]
    pub(crate) presence: Presence,
    /// The names each period has, in ascending order.
    pub(crate) names: Vec<Template>,
    pub(crate) body: Body,
    pub(crate) short: String,
    pub(crate) long: String,
    #[serde(rename = "cite")]
    cite_key: Option<String>,
}

/// A processing level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) enum Level {
    L0,
    L1,
    L1A,
    L2,
    L3,
}

/// How much time a file covers, as the API words it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) enum Resolution {
    #[serde(rename = "1min")]
    Minute,
    #[serde(rename = "1hr")]
    Hour,
    #[serde(rename = "1day")]
    Day,
    #[serde(rename = "not_applicable")]
    NotApplicable,
}

/// When a dataset has files.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Presence {
    /// The dark hours, here always 00:00 to 13:33 UTC: 814 minutes, as one real night had.
    Night,
    /// Three of four minutes of the night.
    Burst,
    /// Four minutes a night.
    Few,
    /// Every minute of every day.
    Always,
    /// Every minute from [`BULK_FIRST_DAY`] on, as many as the listing size says.
    Bulk,
    /// One file per station for each of these dates.
    Epochs(Vec<String>),
    /// One file per detector and date.
    Instances(Vec<(String, String)>),
}

/// What a dataset's files hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Body {
    /// Image frames, gzipped.
    Pgm { frames: u32, width: u32, height: u32, bits: u32 },
    /// About this many bytes of what the name's ending says.
    Bytes(u64),
}

/// How a dataset is to be cited.
#[derive(Debug, Default, Clone, Deserialize, Serialize)]
pub(crate) struct Citation {
    pub(crate) doi: Option<String>,
    pub(crate) doi_details: Option<String>,
    pub(crate) citation: Option<String>,
}

impl Dataset {
    /// The path of the dataset's tree: [`ROOT`], the tree, no slash at the end.
    pub(crate) fn root(&self) -> String {
        format!("{ROOT}{}", self.tree)
    }

    /// Whether its files have a date in their path (others are few and known one by one).
    pub(crate) fn is_dated(&self) -> bool {
        !matches!(self.presence, Presence::Epochs(_) | Presence::Instances(_))
    }

    /// Whether a file exists for this date and minute, as far as time decides it.
    pub(crate) fn has_minute(&self, date: Date, minute_of_day: i64, bulk_files: u64) -> bool {
        let in_night = minute_of_day < 814;
        match &self.presence {
            Presence::Night => in_night,
            Presence::Burst => in_night && minute_of_day % 4 != 0,
            Presence::Few => in_night && minute_of_day % 240 == 0,
            Presence::Always => true,
            Presence::Bulk => {
                let days = BULK_FIRST_DAY.until(date).map_or(-1, |span| i64::from(span.get_days()));
                u64::try_from(days * 1440 + minute_of_day).is_ok_and(|index| index < bulk_files)
            }
            Presence::Epochs(_) | Presence::Instances(_) => false,
        }
    }

    /// The full path of one file.
    pub(crate) fn path(&self, template: &Template, label: &Label) -> String {
        let mut path = String::with_capacity(160);
        path.push_str(ROOT);
        path.push_str(&self.tree);
        path.push('/');
        template.write(label, &mut path);
        path
    }

    /// Reads a full path back, if it is one of this dataset's.
    pub(crate) fn read(&self, path: &str) -> Option<(&Template, Label)> {
        let name = path.strip_prefix(ROOT)?.strip_prefix(self.tree.as_str())?.strip_prefix('/')?;
        self.names.iter().find_map(|template| Some((template, template.read(name)?)))
    }
}

/// The whole table.
#[derive(Debug)]
pub(crate) struct Catalogue {
    pub(crate) datasets: Vec<Dataset>,
    citations: BTreeMap<String, Citation>,
}

impl Catalogue {
    /// Reads the built-in table.
    pub(crate) fn load() -> Result<Self, serde_json::Error> {
        Ok(Self {
            datasets: serde_json::from_str(include_str!("data/datasets.json"))?,
            citations: serde_json::from_str(include_str!("data/citations.json"))?,
        })
    }

    /// The dataset of this name, in whatever case, with its place in the table.
    pub(crate) fn find(&self, name: &str) -> Option<(usize, &Dataset)> {
        self.datasets.iter().enumerate().find(|(_, dataset)| dataset.name.eq_ignore_ascii_case(name))
    }

    /// How a dataset is cited; all empty where nothing is known.
    pub(crate) fn citation(&self, dataset: &Dataset) -> Citation {
        dataset.cite_key.as_ref().and_then(|key| self.citations.get(key)).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sound() {
        let catalogue = Catalogue::load().unwrap();
        let mut names: Vec<_> = catalogue.datasets.iter().map(|dataset| &dataset.name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), catalogue.datasets.len(), "a name stands twice");
        assert!(names.len() >= 83);
        for dataset in &catalogue.datasets {
            assert!(!dataset.names.is_empty());
            if let Some(key) = &dataset.cite_key {
                assert!(catalogue.citations.contains_key(key), "{key}");
            }
        }
    }

    #[test]
    fn a_night_has_814_minutes_and_a_burst_hour_45() {
        let catalogue = Catalogue::load().unwrap();
        let day = Date::constant(2023, 1, 1);
        let count = |name: &str, range: std::ops::Range<i64>| {
            let (_, dataset) = catalogue.find(name).unwrap();
            range.filter(|minute| dataset.has_minute(day, *minute, 0)).count()
        };
        assert_eq!(count("themis_asi_raw", 0..1440), 814);
        assert_eq!(count("TREX_RGB_RAW_BURST", 600..660), 45);
        assert_eq!(count("THEMIS_ASI_RAW_WIDE", 0..1440), 4);
    }

    #[test]
    fn paths_read_back_to_their_dataset() {
        let catalogue = Catalogue::load().unwrap();
        let (_, dataset) = catalogue.find("REGO_CALIBRATION_FLATFIELD_IDLSAV").unwrap();
        let path = "/sort_by_project/GO-Canada/REGO/calibration/REGO_flatfield_15655_20141002-+_v01.sav";
        let (template, label) = dataset.read(path).unwrap();
        assert_eq!(label.device, "15655");
        assert_eq!(dataset.path(template, &label), path);
    }
}
