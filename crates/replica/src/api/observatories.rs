//! `GET observatories`: where the stations of an instrument array are.

use std::sync::Arc;

use http::StatusCode;

use super::Problem;
use super::params::Params;
use crate::body::Reply;
use crate::server::Shared;
use crate::sites::ARRAYS;

/// The observatories of `instrument_array` whose uid contains `uid`.
pub(crate) fn list(shared: &Arc<Shared>, query: &str) -> Result<Reply, Problem> {
    let mut params = Params::new(query);
    let array = params.required("instrument_array").to_ascii_lowercase();
    if params.verdict().is_ok() && !ARRAYS.contains(&array.as_str()) {
        params.reject_choice("instrument_array", &ARRAYS);
    }
    params.verdict()?;
    let uid = params.text("uid").unwrap_or_default().to_ascii_lowercase();
    Ok(Reply::json(StatusCode::OK, &shared.store.archive.sites.places_of(&array, &uid)))
}
