//! The observing sites: where they are, and which devices stood there in which years.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A place with an observatory, in the API's own words.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub(crate) struct Place {
    pub(crate) uid: String,
    pub(crate) full_name: String,
    pub(crate) geodetic_latitude: f64,
    pub(crate) geodetic_longitude: f64,
}

/// A device at a site, with the years it ran.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Station {
    pub(crate) site: String,
    pub(crate) device: String,
    first_year: i16,
    last_year: Option<i16>,
}

impl Station {
    /// Its site and device.
    pub(crate) fn post(&self) -> (&str, &str) {
        (&self.site, &self.device)
    }

    /// Whether the device ran in `year`.
    pub(crate) fn ran_in(&self, year: i16) -> bool {
        self.first_year <= year && self.last_year.is_none_or(|last| year <= last)
    }
}

/// All places, and the stations of each instrument array.
#[derive(Debug, Deserialize)]
pub(crate) struct Sites {
    places: Vec<Place>,
    arrays: BTreeMap<String, Vec<Station>>,
}

/// The arrays that the API knows, in the order in which it names them.
pub(crate) const ARRAYS: [&str; 9] = [
    "norstar_riometer",
    "rego",
    "smile_asi",
    "swan_hsr",
    "themis_asi",
    "trex_blue",
    "trex_nir",
    "trex_rgb",
    "trex_spectrograph",
];

/// The arrays behind the replica's own bulk datasets; no observatory query names them.
const BULK_ARRAYS: [(&str, u8); 3] = [("bulk_one", 1), ("bulk_many", 100), ("formats", 10)];

impl Sites {
    /// Reads the built-in table and adds the bulk stations to it.
    pub(crate) fn load() -> Result<Self, serde_json::Error> {
        let mut sites: Self = serde_json::from_str(include_str!("data/sites.json"))?;
        for (array, count) in BULK_ARRAYS {
            sites.arrays.insert(array.to_owned(), (0..count).map(bulk_station).collect());
        }
        for stations in sites.arrays.values_mut() {
            stations.sort_by(|a, b| (&a.site, &a.device).cmp(&(&b.site, &b.device)));
        }
        Ok(sites)
    }

    /// The stations of an array, by site and device; empty for an unknown array.
    pub(crate) fn stations(&self, array: &str) -> &[Station] {
        self.arrays.get(array).map_or(&[], Vec::as_slice)
    }

    /// The place with this uid.
    pub(crate) fn place(&self, uid: &str) -> Option<&Place> {
        self.places.iter().find(|place| place.uid.eq_ignore_ascii_case(uid))
    }

    /// The places of an array whose uid contains `uid_part` (lower case), in order.
    pub(crate) fn places_of(&self, array: &str, uid_part: &str) -> Vec<&Place> {
        let mut uids: Vec<_> = self.stations(array).iter().map(|station| &station.site).collect();
        uids.dedup();
        uids.into_iter().filter(|uid| uid.contains(uid_part)).filter_map(|uid| self.place(uid)).collect()
    }
}

fn bulk_station(number: u8) -> Station {
    Station { site: "bulk".into(), device: format!("bulk-{number:02}"), first_year: 2000, last_year: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_station_has_a_place() {
        let sites = Sites::load().unwrap();
        for array in ARRAYS {
            assert!(!sites.stations(array).is_empty(), "{array}");
            for station in sites.stations(array) {
                assert!(sites.place(&station.site).is_some(), "{}", station.site);
            }
        }
    }

    #[test]
    fn twelve_themis_sites_ran_in_2023_and_two_rego_sites_match_fs() {
        let sites = Sites::load().unwrap();
        assert_eq!(sites.stations("themis_asi").len(), 24);
        assert_eq!(sites.stations("themis_asi").iter().filter(|station| station.ran_in(2023)).count(), 12);
        let uids: Vec<_> = sites.places_of("rego", "fs").iter().map(|place| place.uid.clone()).collect();
        assert_eq!(uids, ["fsim", "fsmi"]);
    }
}
