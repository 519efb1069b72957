//! `GET datasets`: which datasets there are, and how one is described.

use std::sync::Arc;

use http::StatusCode;
use serde::Serialize;

use super::Problem;
use super::params::Params;
use crate::body::Reply;
use crate::catalogue::{Citation, Dataset, Level, Resolution};
use crate::faults::{DatasetShape, Faults};
use crate::server::Shared;

/// A dataset on the wire.
#[derive(Debug, Serialize)]
pub(crate) struct Description<'a> {
    name: &'a str,
    short_description: &'a str,
    long_description: &'a str,
    pub(crate) data_tree_url: String,
    file_listing_supported: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_time_resolution: Option<Resolution>,
    level: Level,
    #[serde(flatten)]
    citation: Citation,
    #[serde(skip_serializing_if = "Option::is_none")]
    supported_libraries: Option<&'static [&'static str]>,
}

/// The datasets whose name contains `name` and whose level is `level`.
pub(crate) fn list(shared: &Arc<Shared>, faults: &Faults, query: &str) -> Result<Reply, Problem> {
    const LEVELS: [(&str, Level); 5] =
        [("L0", Level::L0), ("L1", Level::L1), ("L1A", Level::L1A), ("L2", Level::L2), ("L3", Level::L3)];
    let mut params = Params::new(query);
    let name = params.text("name").unwrap_or_default().to_ascii_lowercase();
    let level = params.text("level");
    let level = level.map(|text| LEVELS.iter().find(|(known, _)| known.eq_ignore_ascii_case(&text)));
    if level == Some(None) {
        params.reject_choice("level", &LEVELS.map(|(known, _)| known));
    }
    params.verdict()?;
    let level = level.flatten().map(|(_, level)| *level);
    let fits = |dataset: &&Dataset| {
        dataset.name.to_ascii_lowercase().contains(&name) && level.is_none_or(|level| level == dataset.level)
    };
    let datasets = shared.store.archive.catalogue.datasets.iter().filter(fits);
    let described: Vec<_> = datasets.map(|dataset| describe(shared, faults, dataset)).collect();
    Ok(Reply::json(StatusCode::OK, &described))
}

/// The description of one dataset, its tree on this server.
pub(crate) fn describe<'a>(shared: &Shared, faults: &Faults, dataset: &'a Dataset) -> Description<'a> {
    let shape = faults.dataset_shape;
    Description {
        name: &dataset.name,
        short_description: &dataset.short,
        long_description: &dataset.long,
        data_tree_url: format!("{}{}", shared.base_url, dataset.root()),
        file_listing_supported: true,
        file_time_resolution: (shape == DatasetShape::Current).then_some(dataset.resolution),
        level: dataset.level,
        citation: shared.store.archive.catalogue.citation(dataset),
        supported_libraries: (shape != DatasetShape::Legacy1).then_some(libraries(dataset)),
    }
}

fn libraries(dataset: &Dataset) -> &'static [&'static str] {
    match dataset.array.as_deref() {
        Some("norstar_riometer" | "swan_hsr") => &["pyucrio", "idl-ucrio", "pyucalgarysrs"],
        _ => &["pyaurorax", "idl-aurorax", "pyucalgarysrs"],
    }
}
