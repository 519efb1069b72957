//! Datasets as the catalogue tells them, in any of the three shapes that are in use.

use serde_json::Value;

use crate::lenient::text;

/// A dataset of the archive.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// Its name, as `THEMIS_ASI_RAW`.
    pub name: String,
    /// One line about it; empty where the archive tells nothing.
    pub short_description: String,
    /// More about it; empty where the archive tells nothing.
    pub long_description: String,
    /// The URL below which its files lie, without a trailing slash; empty where the archive tells nothing.
    pub data_tree_url: String,
    /// `L0`, `L1`, `L1A`, `L2` or `L3`; empty where the archive tells nothing.
    pub level: String,
    /// Its DOI; not every dataset has one.
    pub doi: Option<String>,
    /// A page about the DOI.
    pub doi_details: Option<String>,
    /// How it is to be cited.
    pub citation: Option<String>,
    /// Libraries that can read it, as `pyaurorax`; the older shapes lack it.
    pub supported_libraries: Vec<String>,
    /// Whether its files can be listed; taken for granted where the archive tells nothing.
    pub file_listing_supported: bool,
    /// How much time one file covers.
    pub file_time_resolution: Resolution,
    /// The archive's own object, untouched.
    pub raw: Value,
}

/// How much time one file covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resolution {
    /// `1min`.
    Minute,
    /// `1hr`.
    Hour,
    /// `1day`.
    Day,
    /// `not_applicable`, as for sky maps and calibrations.
    NotApplicable,
    /// The archive did not tell (the older shapes), or told something new.
    Unknown,
}

impl Dataset {
    /// Reads one member of the catalogue; none for what has no name.
    pub(crate) fn from_raw(raw: Value) -> Option<Self> {
        let object = raw.as_object()?;
        let name = text(object, "name").filter(|name| !name.trim().is_empty())?;
        let told = |key| text(object, key).unwrap_or_default();
        let optional = |key| text(object, key).filter(|value| !value.trim().is_empty());
        let libraries = object.get("supported_libraries").and_then(Value::as_array).into_iter().flatten();
        Some(Self {
            name,
            short_description: told("short_description"),
            long_description: told("long_description"),
            data_tree_url: told("data_tree_url").trim_end_matches('/').to_owned(),
            level: told("level"),
            doi: optional("doi"),
            doi_details: optional("doi_details"),
            citation: optional("citation"),
            supported_libraries: libraries.filter_map(Value::as_str).map(str::to_owned).collect(),
            file_listing_supported: object
                .get("file_listing_supported")
                .and_then(Value::as_bool)
                .unwrap_or(true),
            file_time_resolution: Resolution::from_wire(&told("file_time_resolution")),
            raw,
        })
    }
}

impl Resolution {
    fn from_wire(text: &str) -> Self {
        match text.trim().to_ascii_lowercase().as_str() {
            "1min" => Self::Minute,
            "1hr" => Self::Hour,
            "1day" => Self::Day,
            "not_applicable" => Self::NotApplicable,
            _ => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn current() -> Value {
        json!({
            "name": "REGO_RAW", "short_description": "s", "long_description": "l",
            "data_tree_url": "https://d.example/sort_by_project/GO-Canada/REGO/stream0/",
            "file_listing_supported": true, "level": "L0", "doi": "https://doi.org/10.11575/Z7X6-5C42",
            "doi_details": null, "citation": "c", "supported_libraries": ["pyucalgarysrs", 7],
            "file_time_resolution": "1min", "something_new": {"a": [1]},
        })
    }

    #[test]
    fn the_current_shape_is_read_and_kept() {
        let dataset = Dataset::from_raw(current()).unwrap();
        assert_eq!(dataset.data_tree_url, "https://d.example/sort_by_project/GO-Canada/REGO/stream0");
        assert_eq!(dataset.doi_details, None);
        assert_eq!(dataset.supported_libraries, ["pyucalgarysrs"]);
        assert_eq!(dataset.file_time_resolution, Resolution::Minute);
        assert_eq!(dataset.raw, current());
    }

    #[test]
    fn the_older_shapes_lack_fields() {
        for gone in [&["file_time_resolution"][..], &["file_time_resolution", "supported_libraries"]] {
            let mut raw = current();
            for key in gone {
                raw.as_object_mut().unwrap().remove(*key);
            }
            let dataset = Dataset::from_raw(raw).unwrap();
            assert_eq!(dataset.file_time_resolution, Resolution::Unknown);
            assert_eq!(dataset.level, "L0");
        }
    }

    #[test]
    fn nulls_and_new_words_are_no_errors() {
        let raw = json!({
            "name": "X", "short_description": null, "level": 3, "data_tree_url": null,
            "file_listing_supported": null, "supported_libraries": null, "file_time_resolution": "1week",
        });
        let dataset = Dataset::from_raw(raw).unwrap();
        assert_eq!(dataset.file_time_resolution, Resolution::Unknown);
        assert!(dataset.file_listing_supported && dataset.level.is_empty());
    }

    #[test]
    fn what_has_no_name_is_no_dataset() {
        for raw in [json!(null), json!("X"), json!({}), json!({"name": " "}), json!({"name": 7})] {
            assert_eq!(Dataset::from_raw(raw), None);
        }
    }
}
