//! Observatories: the sites of an instrument array.

use serde_json::Value;

use crate::lenient::{number, text};

/// A site of an instrument array.
#[derive(Clone, Debug, PartialEq)]
pub struct Observatory {
    /// Four letters, as `gill`.
    pub uid: String,
    /// As `Gillam, MB, Canada`; empty where the archive tells nothing.
    pub full_name: String,
    /// Degrees north.
    pub geodetic_latitude: Option<f64>,
    /// Degrees east.
    pub geodetic_longitude: Option<f64>,
    /// The archive's own object, untouched.
    pub raw: Value,
}

impl Observatory {
    /// Reads one member of the list; none for what has no uid.
    pub(crate) fn from_raw(raw: Value) -> Option<Self> {
        let object = raw.as_object()?;
        Some(Self {
            uid: text(object, "uid").filter(|uid| !uid.trim().is_empty())?,
            full_name: text(object, "full_name").unwrap_or_default(),
            geodetic_latitude: number(object, "geodetic_latitude"),
            geodetic_longitude: number(object, "geodetic_longitude"),
            raw,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_site_needs_only_its_uid() {
        let full = json!({"uid": "gill", "full_name": "Gillam, MB, Canada",
            "geodetic_latitude": 56.38, "geodetic_longitude": "-94.64", "more": 1});
        let site = Observatory::from_raw(full.clone()).unwrap();
        assert_eq!((site.geodetic_latitude, site.geodetic_longitude), (Some(56.38), Some(-94.64)));
        assert_eq!(site.raw, full);
        let bare = Observatory::from_raw(json!({"uid": "gill", "full_name": null})).unwrap();
        assert_eq!((bare.full_name.as_str(), bare.geodetic_latitude), ("", None));
        assert_eq!(Observatory::from_raw(json!({"full_name": "Gillam"})), None);
    }
}
