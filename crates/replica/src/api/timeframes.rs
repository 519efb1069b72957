//! `POST imaging_timeframes`: when it is dark enough to observe, from the geometry of the sun.

use std::sync::Arc;

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Problem;
use super::params;
use crate::body::Reply;
use crate::dates;
use crate::server::Shared;

#[derive(Debug, Deserialize)]
struct Request {
    timestamp: String,
    locations: Vec<Location>,
    #[serde(default = "nautical_twilight")]
    threshold: f64,
}

#[derive(Debug, Deserialize)]
struct Location {
    site_uid: Option<String>,
    geodetic_latitude: Option<f64>,
    geodetic_longitude: Option<f64>,
}

#[derive(Debug, Serialize)]
struct TimeFrame {
    timestamp: String,
    site_uid: Option<String>,
    geodetic_latitude: f64,
    geodetic_longitude: f64,
    imaging_start: Option<String>,
    imaging_end: Option<String>,
}

/// The solar zenith angle, in degrees, beyond which all optical instruments observe.
fn nautical_twilight() -> f64 {
    102.0
}

/// The dark period nearest to the time, for each place.
pub(crate) fn list(shared: &Arc<Shared>, body: &[u8]) -> Result<Reply, Problem> {
    let invalid = |message: String| {
        Problem::Invalid(vec![
            json!({ "type": "value_error", "loc": ["body"], "msg": message, "input": null }),
        ])
    };
    let request: Request = serde_json::from_slice(body).map_err(|error| invalid(error.to_string()))?;
    let second = params::time(&request.timestamp).ok_or_else(|| invalid("Invalid timestamp".to_owned()))?;
    let mut frames = Vec::new();
    for location in request.locations {
        let place = location.site_uid.as_deref().map(|uid| shared.store.archive.sites.place(uid));
        let (latitude, longitude) = match (place, location.geodetic_latitude, location.geodetic_longitude) {
            (Some(Some(place)), ..) => (place.geodetic_latitude, place.geodetic_longitude),
            (Some(None), ..) => return Err(Problem::Plain(StatusCode::NOT_FOUND, "Site not found")),
            (None, Some(latitude), Some(longitude)) => (latitude, longitude),
            _ => {
                return Err(Problem::Plain(
                    StatusCode::BAD_REQUEST,
                    "A site or a latitude and longitude is needed",
                ));
            }
        };
        let dark = dark_period(second, latitude, longitude, request.threshold);
        frames.push(TimeFrame {
            timestamp: request.timestamp.clone(),
            site_uid: location.site_uid,
            geodetic_latitude: latitude,
            geodetic_longitude: longitude,
            imaging_start: dark.map(|(start, _)| spell(start)),
            imaging_end: dark.map(|(_, end)| spell(end)),
        });
    }
    Ok(Reply::json(StatusCode::OK, &frames))
}

fn spell(second: i64) -> String {
    jiff::Timestamp::from_second(second).map(dates::precise).unwrap_or_default()
}

/// The first dark period that ends after `second`, within a day of it, to the minute.
fn dark_period(second: i64, latitude: f64, longitude: f64, threshold: f64) -> Option<(i64, i64)> {
    const MINUTES_EACH_WAY: i64 = 1440;
    let is_dark = |minute: i64| zenith_angle(second + minute * 60, latitude, longitude) > threshold;
    let end = (0..=MINUTES_EACH_WAY).find(|&minute| is_dark(minute) && !is_dark(minute + 1))?;
    let start = (-MINUTES_EACH_WAY..=end).rev().take_while(|&minute| is_dark(minute)).last()?;
    Some((second + start * 60, second + end * 60))
}

/// The angle between the sun and the zenith in degrees, good to about half a degree.
fn zenith_angle(second: i64, latitude: f64, longitude: f64) -> f64 {
    const YEAR_DAYS: f64 = 365.2422;
    let days = second as f64 / 86_400.0;
    // 2000-03-20 07:35 UTC, an equinox, is day 11036.316.
    let season = (days - 11_036.316) / YEAR_DAYS * std::f64::consts::TAU;
    let declination = (23.44_f64.to_radians().sin() * season.sin()).asin();
    let hour_angle = ((days.fract() - 0.5) * 360.0 + longitude).to_radians();
    let latitude = latitude.to_radians();
    let height = latitude.sin() * declination.sin() + latitude.cos() * declination.cos() * hour_angle.cos();
    height.acos().to_degrees()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gillam_is_dark_in_a_january_night_and_not_in_june() {
        let winter = params::time("2022-01-01T06:00").unwrap();
        let (start, end) = dark_period(winter, 56.38, -94.64, nautical_twilight()).unwrap();
        assert!(start < winter && winter < end);
        assert!((10 * 3600..16 * 3600).contains(&(end - start)), "{}", end - start);
        let summer = params::time("2022-06-21T06:00").unwrap();
        assert_eq!(dark_period(summer, 69.54, -93.56, nautical_twilight()), None);
    }
}
