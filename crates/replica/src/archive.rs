//! Which files the archive has: the catalogue, the sites and the real files put together.
//!
//! A listing is made of pages (a day of a dated dataset, or all of an undated one), each made when asked for, so
//! that a listing of millions needs no more memory than its largest day.

use std::path::Path;

use jiff::civil::Date;

use crate::catalogue::{Catalogue, Dataset, Presence};
use crate::names::{Cadence, Label, Template, date_of, midnight};
use crate::overlay::{Listed, Overlay};
use crate::sites::{Sites, Station};

/// Everything that exists, and where.
#[derive(Debug)]
pub(crate) struct Archive {
    pub(crate) catalogue: Catalogue,
    pub(crate) sites: Sites,
    pub(crate) overlay: Overlay,
    /// How many files `REPLICA_BULK_RAW` has.
    pub(crate) bulk_files: u64,
}

/// A question for files: a dataset, a window (seconds since 1970, both ends included), and filters in lower case.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    pub(crate) dataset: usize,
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) site: Option<String>,
    pub(crate) device: Option<String>,
}

/// What a path leads to.
#[derive(Debug)]
pub(crate) enum Found<'a> {
    /// A file on this machine.
    Real(&'a Path),
    /// A file that is made up when asked for.
    Synthetic(&'a Dataset, Label),
    /// The unpacked twin of a synthetic file; there only where a fault says so.
    Twin(&'a Dataset, Label),
}

impl Query {
    fn covers(&self, label: &Label, cadence: Cadence, dataset: &Dataset) -> bool {
        let start = label.start();
        // Undated files count by the date in their name; the others by the period they cover.
        let length = if dataset.is_dated() { cadence.minutes() * 60 } else { 1 };
        start <= self.end && start + length > self.start
    }

    fn wants(&self, label: &Label, dataset: &Dataset) -> bool {
        // The archive ignores the site for calibrations and the device for skymaps; so the presence decides.
        let site_counts = !matches!(dataset.presence, Presence::Instances(_));
        let device_counts = !matches!(dataset.presence, Presence::Epochs(_)) && !label.device.is_empty();
        let site_fits = self.site.as_ref().is_none_or(|site| label.site.is_empty() || *site == label.site);
        let device_fits = self.device.as_ref().is_none_or(|device| label.device.contains(device.as_str()));
        (!site_counts || site_fits) && (!device_counts || device_fits)
    }
}

impl Archive {
    /// How many pages a listing has.
    pub(crate) fn page_count(&self, query: &Query) -> u32 {
        let dataset = &self.catalogue.datasets[query.dataset];
        if !dataset.is_dated() {
            return 1;
        }
        let (first, last) = self.days(query, dataset);
        let days = first.until(last).map_or(-1, |span| span.get_days());
        u32::try_from(days + 1).unwrap_or(0)
    }

    /// The paths of one page, ascending.
    pub(crate) fn page(&self, query: &Query, number: u32) -> Vec<String> {
        let dataset = &self.catalogue.datasets[query.dataset];
        if !dataset.is_dated() {
            return self.undated(query, dataset);
        }
        let (first, _) = self.days(query, dataset);
        let Ok(date) = first.checked_add(jiff::Span::new().days(i64::from(number))) else {
            return Vec::new();
        };
        self.day(query, dataset, date)
    }

    /// What a path (unescaped) leads to.
    pub(crate) fn find(&self, path: &str) -> Option<Found<'_>> {
        if let Some(file) = self.overlay.file(path) {
            return Some(Found::Real(file));
        }
        let synthetic = |path: &str| self.find_synthetic(path);
        if let Some((dataset, label)) = synthetic(path) {
            return Some(Found::Synthetic(dataset, label));
        }
        let packed = path.ends_with(".pgm").then(|| synthetic(&packed_twin(path))).flatten();
        packed.map(|(dataset, label)| Found::Twin(dataset, label))
    }

    fn find_synthetic(&self, path: &str) -> Option<(&Dataset, Label)> {
        let (index, dataset, label) =
            self.catalogue.datasets.iter().enumerate().find_map(|(index, dataset)| {
                let (_, label) = dataset.read(path)?;
                Some((index, dataset, label))
            })?;
        let day = dataset.is_dated().then_some(label.date);
        let exists = self.is_real_free(index, day, &label) && self.has(dataset, &label);
        exists.then_some((dataset, label))
    }

    /// The days a query can touch: no bulk listing runs past its last file, none before the archive's first.
    fn days(&self, query: &Query, dataset: &Dataset) -> (Date, Date) {
        let first = date_of(query.start).max(Date::constant(1990, 1, 1));
        let mut last = date_of(query.end).min(Date::constant(2099, 12, 31));
        if matches!(dataset.presence, Presence::Bulk) {
            let bulk_end = midnight(crate::catalogue::BULK_FIRST_DAY)
                + i64::try_from(self.bulk_files).unwrap_or(i64::MAX / 120) * 60;
            last = last.min(date_of(bulk_end));
        }
        (first, last)
    }

    fn day(&self, query: &Query, dataset: &Dataset, date: Date) -> Vec<String> {
        let mut paths = Vec::new();
        let real = self.overlay.at(query.dataset, Some(date));
        let real_site = |site: &str| real.is_some_and(|sites| sites.contains_key(site));
        for (site, device) in self.posts(dataset, date) {
            if !real_site(site) {
                self.station_day(query, dataset, date, (site, device), &mut paths);
            }
        }
        if let Some(sites) = real {
            paths.extend(sites.values().flatten().filter_map(|listed| listed_path(query, dataset, listed)));
            // Real sites fall between synthetic ones.
            paths.sort_unstable();
        }
        paths
    }

    /// Where a dataset's files of a year come from: its stations, or one nameless post for what has no site.
    fn posts<'a>(&'a self, dataset: &Dataset, date: Date) -> impl Iterator<Item = (&'a str, &'a str)> {
        let stations = dataset.array.as_ref().map_or(&[][..], |array| self.sites.stations(array));
        let nameless = dataset.array.is_none().then_some(("", ""));
        let running = stations.iter().filter(move |station| station.ran_in(date.year()));
        running.map(Station::post).chain(nameless)
    }

    fn station_day(
        &self,
        query: &Query,
        dataset: &Dataset,
        date: Date,
        (site, device): (&str, &str),
        paths: &mut Vec<String>,
    ) {
        let mut label = Label { date, minute_of_day: 0, site: site.to_owned(), device: device.to_owned() };
        if !query.wants(&label, dataset) {
            return;
        }
        let cadence = dataset.names.first().map_or(Cadence::Day, Template::cadence);
        let since_midnight = midnight(date);
        let step = cadence.minutes();
        // Only the periods that can overlap the window are looked at: most windows are a small part of a day.
        let earliest = ((query.start - since_midnight) / 60 / step * step).clamp(0, 1440);
        let latest = ((query.end - since_midnight) / 60).clamp(-1, 1439);
        for minute in (earliest..=latest).step_by(usize::try_from(step).unwrap_or(1)) {
            label.minute_of_day = minute;
            if query.covers(&label, cadence, dataset) && dataset.has_minute(date, minute, self.bulk_files) {
                paths.extend(dataset.names.iter().map(|template| dataset.path(template, &label)));
            }
        }
    }

    fn undated(&self, query: &Query, dataset: &Dataset) -> Vec<String> {
        let fits = |label: &Label| query.wants(label, dataset) && query.covers(label, Cadence::Day, dataset);
        let mut paths: Vec<_> = self
            .undated_labels(dataset)
            .into_iter()
            .filter(|label| fits(label) && self.is_real_free(query.dataset, None, label))
            .flat_map(|label| dataset.names.iter().map(move |template| dataset.path(template, &label)))
            .collect();
        if let Some(sites) = self.overlay.at(query.dataset, None) {
            paths.extend(sites.values().flatten().filter_map(|listed| listed_path(query, dataset, listed)));
        }
        paths.sort_unstable();
        paths
    }

    fn undated_labels(&self, dataset: &Dataset) -> Vec<Label> {
        let label = |date: &str, site: &str, device: &str| {
            let date = date.parse().ok()?;
            Some(Label { date, minute_of_day: 0, site: site.to_owned(), device: device.to_owned() })
        };
        match &dataset.presence {
            Presence::Instances(all) => {
                all.iter().filter_map(|(detector, date)| label(date, "", detector)).collect()
            }
            Presence::Epochs(dates) => {
                let stations = dataset.array.as_ref().map_or(&[][..], |array| self.sites.stations(array));
                let of_station = |station: &Station| {
                    dates.iter().filter_map(|date| label(date, &station.site, "")).collect::<Vec<_>>()
                };
                stations.iter().flat_map(of_station).collect()
            }
            _ => Vec::new(),
        }
    }

    fn is_real_free(&self, dataset: usize, day: Option<Date>, label: &Label) -> bool {
        !self.overlay.replaces(dataset, day, &label.site)
    }

    fn has(&self, dataset: &Dataset, label: &Label) -> bool {
        if !dataset.is_dated() {
            return self.undated_labels(dataset).contains(label);
        }
        let device_named = !label.device.is_empty();
        dataset.has_minute(label.date, label.minute_of_day, self.bulk_files)
            && self
                .posts(dataset, label.date)
                .any(|(site, device)| site == label.site && (!device_named || device == label.device))
    }
}

/// The path of the packed file whose unpacked twin has this path.
pub(crate) fn packed_twin(path: &str) -> String {
    format!("{path}.gz")
}

fn listed_path(query: &Query, dataset: &Dataset, listed: &Listed) -> Option<String> {
    let fits = query.wants(&listed.label, dataset) && query.covers(&listed.label, listed.cadence, dataset);
    fits.then(|| listed.path.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(bulk_files: u64) -> Archive {
        Archive {
            catalogue: Catalogue::load().unwrap(),
            sites: Sites::load().unwrap(),
            overlay: Overlay::default(),
            bulk_files,
        }
    }

    fn list(
        archive: &Archive,
        name: &str,
        window: (&str, &str),
        site: Option<&str>,
        device: Option<&str>,
    ) -> Vec<String> {
        let second = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_second();
        let query = Query {
            dataset: archive.catalogue.find(name).unwrap().0,
            start: second(window.0),
            end: second(window.1),
            site: site.map(str::to_owned),
            device: device.map(str::to_owned),
        };
        (0..archive.page_count(&query)).flat_map(|page| archive.page(&query, page)).collect()
    }

    /// What the archive's own test suite and notebooks recorded, where the replica's stations allow it:
    /// dataset, start, end, site, device, count.
    const GOLDEN: &str = "
        THEMIS_ASI_RAW 2022-01-01T06:00:00Z 2022-01-01T06:59:00Z gill - 60
        THEMIS_ASI_RAW 2023-01-01T06:00:00Z 2023-01-01T06:09:59Z gill - 10
        THEMIS_ASI_RAW 2023-01-01T00:00:00Z 2023-01-01T23:59:59Z atha - 814
        THEMIS_ASI_RAW 2023-01-01T06:00:00Z 2023-01-01T06:04:00Z - - 60
        THEMIS_ASI_RAW 2023-01-01T06:40:00Z 2023-01-01T06:40:00Z gill - 1
        THEMIS_ASI_RAW 2023-01-01T09:40:15Z 2023-01-01T09:40:45Z gill - 1
        THEMIS_ASI_RAW 2023-01-01T06:00:00Z 2023-01-01T06:04:00Z whit - 0
        THEMIS_ASI_RAW 2023-01-01T06:00:00Z 2023-01-01T06:04:00Z - themis19 5
        THEMIS_ASI_RAW_WIDE 2023-01-01T00:00:00Z 2023-01-01T23:59:00Z gill - 4
        THEMIS_ASI_HOURLY_KEOGRAM_JPG 2023-01-01T09:40:15Z 2023-01-01T09:40:45Z gill - 1
        THEMIS_ASI_DAILY_KEOGRAM_PGM 2021-12-24T00:00:00Z 2021-12-28T23:59:59Z gill - 10
        THEMIS_ASI_DAILY_KEOGRAM_JPG 2021-12-24T00:00:00Z 2021-12-28T23:59:59Z gill - 5
        THEMIS_ASI_SKYMAP_IDLSAV 2010-01-01T00:00:00Z 2010-12-31T00:00:00Z gill themisxx 1
        THEMIS_ASI_SKYMAP_IDLSAV 2020-01-01T00:00:00Z 2020-01-01T00:00:00Z gill - 0
        THEMIS_ASI_SKYMAP_IDLSAV 2020-01-01T00:00:00Z 2020-12-31T00:00:00Z gill - 2
        REGO_CALIBRATION_FLATFIELD_IDLSAV 2014-01-01T00:00:00Z 2014-12-31T00:00:00Z gill - 6
        REGO_CALIBRATION_FLATFIELD_IDLSAV 2014-01-01T00:00:00Z 2014-12-31T00:00:00Z - 15649 1
        REGO_CALIBRATION_RAYLEIGHS_IDLSAV 2014-01-01T00:00:00Z 2020-12-31T00:00:00Z - - 9
        TREX_NIR_CALIBRATION_RAYLEIGHS_IDLSAV 2020-01-01T00:00:00Z 2023-12-31T00:00:00Z - - 15
        TREX_NIR_CALIBRATION_FLATFIELD_IDLSAV 2020-01-01T00:00:00Z 2023-12-31T00:00:00Z - - 7
        TREX_RGB_RAW_BURST 2021-10-30T10:00:00Z 2021-10-30T10:59:00Z atha - 45
        TREX_SPECT_PROCESSED_V1 2023-05-03T06:00:00Z 2023-05-03T06:59:00Z rabb - 1
        NORSTAR_RIOMETER_K0_TXT 2018-05-01T00:00:00Z 2018-05-03T23:59:00Z chur - 3
        REPLICA_BULK_RAW 2000-01-01T00:00:00Z 2098-01-01T00:00:00Z - - 10000";

    #[test]
    fn golden_counts() {
        let archive = archive(10_000);
        for case in GOLDEN.trim().lines() {
            let words: Vec<_> = case.split_whitespace().collect();
            let [name, start, end, site, device, count] = words[..] else { panic!("{case}") };
            let filter = |word| Some(word).filter(|word| *word != "-");
            let paths = list(&archive, name, (start, end), filter(site), filter(device));
            assert_eq!(paths.len().to_string(), count, "{case}");
            assert!(paths.is_sorted(), "{case}");
        }
    }

    #[test]
    fn every_listed_path_is_found_and_others_are_not() {
        let archive = archive(100);
        for dataset in &archive.catalogue.datasets {
            for path in
                list(&archive, &dataset.name, ("2000-01-01T00:00:00Z", "2000-01-01T02:00:00Z"), None, None)
                    .into_iter()
                    .chain(list(
                        &archive,
                        &dataset.name,
                        ("2025-01-01T06:00:00Z", "2025-01-01T06:05:00Z"),
                        None,
                        None,
                    ))
            {
                assert!(archive.find(&path).is_some(), "{path}");
            }
        }
        for path in [
            "/sort_by_project/THEMIS/asi/stream0/2022/01/01/gill_themis19/ut14/20220101_1400_gill_themis19_full.pgm.gz",
            "/sort_by_project/THEMIS/asi/stream0/2022/01/01/gill_themis18/ut06/20220101_0600_gill_themis18_full.pgm.gz",
            "/sort_by_project/THEMIS/asi/stream0/2022/01/01/whit_themis25/ut06/20220101_0600_whit_themis25_full.pgm.gz",
            "/etc/passwd",
        ] {
            assert!(archive.find(path).is_none(), "{path}");
        }
    }

    #[test]
    fn names_are_the_archives() {
        let paths = list(
            &archive(0),
            "REGO_RAW",
            ("2021-11-04T06:00:00Z", "2021-11-04T06:00:00Z"),
            Some("resu"),
            None,
        );
        let expected = "/sort_by_project/GO-Canada/REGO/stream0/2021/11/04/resu_rego-655/ut06/\
                        20211104_0600_resu_rego-655_6300.pgm.gz";
        assert_eq!(paths, [expected]);
    }
}
