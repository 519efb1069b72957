//! From a query to its windows, with the catalogue's help.

use jiff::Timestamp;
use skyhaul_archive::{Archive, Dataset};
use skyhaul_model::{ErrorKind, NewWindow, Source};

use crate::PlanError;
use crate::expand::{Tree, windows};

/// The windows of an archive query, in the order in which they are best listed: by time, all datasets
/// and sites of a day together. An open end goes as far as the day or month of `now`, so that later windows are
/// added behind these and never lie across them. Lists and manifests bring their own windows and give none here.
///
/// # Errors
/// [`PlanError`] when the catalogue cannot be asked or does not have a dataset.
pub async fn plan_query(
    archive: &Archive,
    source: &Source,
    now: Timestamp,
) -> Result<Vec<NewWindow>, PlanError> {
    let Source::Archive { datasets, intervals, sites, devices, .. } = source else { return Ok(Vec::new()) };
    let mut planned = Vec::new();
    for name in datasets {
        let dataset = archive.dataset(name).await?.ok_or_else(|| unknown(name))?;
        planned.extend(windows(&tree(dataset)?, intervals, sites, devices, now));
    }
    planned.sort_by_key(start_of);
    Ok(planned)
}

fn unknown(name: &str) -> PlanError {
    let message = format!("the archive has no dataset {name}; 'skyhaul datasets' lists what it has");
    PlanError::refused(ErrorKind::NotFound, message)
}

fn tree(dataset: Dataset) -> Result<Tree, PlanError> {
    if dataset.data_tree_url.is_empty() {
        let message = format!("the archive does not say where the files of {} lie", dataset.name);
        return Err(PlanError::refused(ErrorKind::Http, message));
    }
    Ok(Tree {
        name: dataset.name,
        prefix: dataset.data_tree_url.trim_end_matches('/').to_owned(),
        resolution: dataset.file_time_resolution,
    })
}

fn start_of(window: &NewWindow) -> Option<Timestamp> {
    match &window.target {
        skyhaul_model::WindowTarget::Listing { start, .. } => Some(*start),
        skyhaul_model::WindowTarget::Slice { .. } => None,
    }
}
