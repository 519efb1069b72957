//! The archive's catalogue: asked for, and kept for the times when the archive cannot be reached.
//!
//! What is kept lies in `catalogue/` of the state directory, a file for each API base. It is a
//! convenience: losing it, or not being able to write it, costs nothing but offline answers.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use skyhaul_archive::{Archive, ArchiveError};

use crate::asking::{archive, ask, unanswered};
use crate::context::{Context, blocking};
use crate::error::CliError;
use crate::human::short_moment;

/// The archive's instrument arrays, as its API names them.
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

/// A catalogue of one archive.
pub(crate) struct Catalogue<'a> {
    context: &'a Context,
    archive: Archive,
    api: String,
}

/// What is kept of an answer.
#[derive(Debug, Deserialize, Serialize)]
struct Kept {
    api: String,
    asked_at: Timestamp,
    objects: Vec<Value>,
}

impl<'a> Catalogue<'a> {
    /// The catalogue at this API base.
    pub(crate) async fn of(context: &'a Context, api: &str) -> Result<Self, CliError> {
        let (api, transfer) = (api.to_owned(), context.settings.transfer.clone());
        let asked = api.clone();
        let archive = blocking(move || archive(&asked, &transfer)).await?;
        Ok(Self { context, archive, api })
    }

    /// Every dataset, as the archive describes it.
    pub(crate) async fn datasets(&self) -> Result<Vec<Value>, CliError> {
        let asked = ask(|| self.archive.datasets(None)).await;
        let objects = asked.map(|all| all.into_iter().map(|dataset| dataset.raw).collect());
        self.kept_or("datasets", objects).await
    }

    /// Every site of an instrument array, as the archive describes it.
    pub(crate) async fn sites(&self, array: &str) -> Result<Vec<Value>, CliError> {
        let asked = ask(|| self.archive.observatories(array, None)).await;
        let objects = asked.map(|all| all.into_iter().map(|site| site.raw).collect());
        self.kept_or(&format!("sites-{array}"), objects).await
    }

    /// Keeps a fresh answer; without one, gives what an earlier one left. A refusal is an answer.
    async fn kept_or(
        &self,
        what: &str,
        asked: Result<Vec<Value>, ArchiveError>,
    ) -> Result<Vec<Value>, CliError> {
        let path = kept_path(&self.context.settings.state_dir, &self.api, what);
        match asked {
            Ok(objects) => {
                let kept = Kept { api: self.api.clone(), asked_at: Timestamp::now(), objects };
                blocking(move || {
                    if let Err(error) = keep(&path, &kept) {
                        tracing::info!("the catalogue cannot be kept in {}: {error}", path.display());
                    }
                    Ok(kept.objects)
                })
                .await
            }
            Err(error) if error.is_transient() => {
                let api = self.api.clone();
                let Some(kept) = blocking(move || Ok(recall(&path, &api))).await? else {
                    return Err(unanswered(&error, &self.api));
                };
                let since = short_moment(kept.asked_at);
                self.context.output.note(&format!("note: {error}; this is what it said on {since}"));
                Ok(kept.objects)
            }
            Err(error) => Err(unanswered(&error, &self.api)),
        }
    }
}

/// A text field of an archive's object; none when it is missing, null or empty.
pub(crate) fn text<'a>(object: &'a Value, field: &str) -> Option<&'a str> {
    object.get(field).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty())
}

/// The dataset of this name, in any case.
pub(crate) fn dataset_named<'a>(datasets: &'a [Value], name: &str) -> Option<&'a Value> {
    datasets.iter().find(|dataset| text(dataset, "name").is_some_and(|its| its.eq_ignore_ascii_case(name)))
}

/// The error for a dataset that the archive does not have, with the names that may have been meant.
pub(crate) fn no_dataset(name: &str, datasets: &[Value]) -> CliError {
    let error = CliError::failed(format!("the archive has no dataset '{name}'"));
    let names = datasets.iter().filter_map(|dataset| text(dataset, "name"));
    let near = crate::nearest::nearest(name, names);
    if near.is_empty() {
        return error.hint("'skyhaul datasets' lists what it has");
    }
    error.hint(format!("the nearest names are {}", near.join(", ")))
}

/// The file name is the API base with every odd character replaced; the base itself stands in the file,
/// in case two come to the same name.
fn kept_path(state_dir: &Path, api: &str, what: &str) -> PathBuf {
    let odd = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '_' };
    let base: String = api.chars().map(odd).take(120).collect();
    state_dir.join("catalogue").join(format!("{base}-{what}.json"))
}

fn keep(path: &Path, kept: &Kept) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(path);
    private_folder(folder)?;
    // Temporary files are the owner's alone from the start (0600), and a rename is all or nothing.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    serde_json::to_writer(&mut file, kept)?;
    file.persist(path)?;
    Ok(())
}

fn recall(path: &Path, api: &str) -> Option<Kept> {
    let text = std::fs::read(path).ok()?;
    let kept: Kept = serde_json::from_slice(&text).ok()?;
    (kept.api == api).then_some(kept)
}

#[cfg(unix)]
fn private_folder(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(not(unix))]
fn private_folder(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn kept(api: &str) -> Kept {
        Kept { api: api.into(), asked_at: Timestamp::UNIX_EPOCH, objects: vec![json!({"name": "A"})] }
    }

    #[test]
    fn what_is_kept_is_recalled_for_the_same_api_alone() {
        let state = tempfile::tempdir().unwrap();
        let path = kept_path(state.path(), "https://a:1", "datasets");
        assert!(recall(&path, "https://a:1").is_none());
        keep(&path, &kept("https://a:1")).unwrap();
        assert_eq!(recall(&path, "https://a:1").unwrap().objects, [json!({"name": "A"})]);
        assert!(recall(&path, "https://a_1").is_none(), "another base that comes to the same file name");
        std::fs::write(&path, "{").unwrap();
        assert!(recall(&path, "https://a:1").is_none());
    }

    #[cfg(unix)]
    #[test]
    fn what_is_kept_is_the_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let state = tempfile::tempdir().unwrap();
        let path = kept_path(&state.path().join("new"), "https://a", "datasets");
        keep(&path, &kept("https://a")).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    }

    #[test]
    fn datasets_are_found_in_any_case_or_nearly() {
        let datasets = [json!({"name": "THEMIS_ASI_RAW"}), json!({"name": "REGO_RAW"}), json!({"x": 1})];
        assert_eq!(dataset_named(&datasets, "rego_raw"), Some(&datasets[1]));
        assert_eq!(dataset_named(&datasets, "rego"), None);
        let CliError::Report(report) = no_dataset("REGO_ROW", &datasets) else { panic!() };
        assert_eq!(report.hints, ["the nearest names are REGO_RAW"]);
    }
}
