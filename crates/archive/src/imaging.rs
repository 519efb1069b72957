//! Imaging time frames: when a site's sky is dark enough, and so how many minutes a day can have.

use jiff::Timestamp;
use serde_json::{Value, json};
use skyhaul_model::parse_start;

use crate::lenient::text;

/// One site's night.
#[derive(Clone, Debug, PartialEq)]
pub struct ImagingTimeframe {
    /// The site.
    pub site_uid: Option<String>,
    /// When imaging could begin; none where the sky does not get dark.
    pub imaging_start: Option<Timestamp>,
    /// When it had to end.
    pub imaging_end: Option<Timestamp>,
    /// The archive's own object, untouched.
    pub raw: Value,
}

impl ImagingTimeframe {
    /// Reads one member of the answer; none for what is no object.
    pub(crate) fn from_raw(raw: Value) -> Option<Self> {
        let object = raw.as_object()?;
        // Times come with and without an offset; without one they are UTC.
        let time = |key| parse_start(&text(object, key)?).ok();
        Some(Self {
            site_uid: text(object, "site_uid"),
            imaging_start: time("imaging_start"),
            imaging_end: time("imaging_end"),
            raw,
        })
    }
}

/// The question's body.
pub(crate) fn question(timestamp: Timestamp, sites: &[&str], threshold_degrees: f64) -> Value {
    let locations: Vec<Value> = sites.iter().map(|site| json!({"site_uid": site})).collect();
    json!({
        "timestamp": timestamp.strftime("%Y-%m-%dT%H:%M:%S").to_string(),
        "locations": locations,
        "threshold": threshold_degrees,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_night_may_be_missing() {
        let raw = json!({"site_uid": "gill", "imaging_start": "2023-01-01T23:10:00", "imaging_end": null});
        let frame = ImagingTimeframe::from_raw(raw).unwrap();
        assert_eq!(frame.imaging_start, Some("2023-01-01T23:10:00Z".parse().unwrap()));
        assert_eq!(frame.imaging_end, None);
        assert_eq!(ImagingTimeframe::from_raw(json!([])), None);
    }
}
