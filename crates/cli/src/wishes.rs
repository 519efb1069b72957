//! Orders that come in words by way of the dashboard or a script: read like the command line's, by the same readers.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use skyhaul_control::{Orders, Wish};
use skyhaul_model::{parse_end, parse_start};
use skyhaul_queue::NewJob;

use crate::args::{QueryArgs, TransferArgs, job_name, list_item};
use crate::order::{Order, Worker};

/// Reads orders as `submit` would, with the config file's transfer settings.
#[derive(Debug)]
pub(crate) struct WishReader {
    pub(crate) api: String,
    pub(crate) transfer: TransferArgs,
}

#[async_trait]
impl Orders for WishReader {
    async fn prepare(&self, wish: Wish) -> Result<NewJob, String> {
        let query = query(&wish)?;
        let order = Order::by(self.api.clone(), query, self.transfer.clone(), Worker::Background).await;
        order.map(Order::into_job).map_err(|error| error.to_string())
    }
}

fn query(wish: &Wish) -> Result<QueryArgs, String> {
    if wish.datasets.is_empty() {
        return Err("an order needs the name of a dataset".to_owned());
    }
    if !(-100..=100).contains(&wish.priority) {
        return Err(format!("the priority {} is not within -100 and 100", wish.priority));
    }
    Ok(QueryArgs {
        datasets: items(&wish.datasets)?,
        start: Some(parse_start(&wish.start).map_err(|why| format!("the start cannot be read: {why}"))?),
        end: Some(parse_end(&wish.end).map_err(|why| format!("the end cannot be read: {why}"))?),
        site: items(&wish.sites)?,
        device: items(&wish.devices)?,
        out: folder(&wish.out)?,
        name: wish.name.as_deref().map(job_name).transpose()?,
        priority: wish.priority,
        ..QueryArgs::default()
    })
}

fn items(names: &[String]) -> Result<Vec<String>, String> {
    names.iter().map(|name| list_item(name)).collect()
}

/// The engine's own folder is nobody's to speak of: a path must be absolute, or begin at home.
fn folder(text: &str) -> Result<PathBuf, String> {
    let text = text.trim();
    let path = match (text.strip_prefix("~/"), std::env::home_dir()) {
        (Some(below), Some(home)) => home.join(below),
        _ => Path::new(text).to_owned(),
    };
    if path.is_absolute() { Ok(path) } else { Err(format!("the folder '{text}' must be an absolute path")) }
}

#[cfg(test)]
mod tests {
    use skyhaul_model::Source;

    use super::*;

    fn wish(out: &str) -> Wish {
        Wish {
            datasets: vec!["themis_asi_raw".into()],
            start: "2022".into(),
            end: "2022".into(),
            sites: vec!["GILL".into()],
            out: out.into(),
            ..Wish::default()
        }
    }

    fn reader() -> WishReader {
        WishReader { api: "https://api.example".into(), transfer: TransferArgs::default() }
    }

    #[tokio::test]
    async fn an_order_is_the_job_that_submit_would_make() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("a/b");
        let job = reader().prepare(wish(&out.display().to_string())).await.unwrap();
        let Source::Archive { datasets, intervals, sites, .. } = job.query.source else {
            panic!("another source")
        };
        assert_eq!((datasets, sites), (vec!["THEMIS_ASI_RAW".to_owned()], vec!["gill".to_owned()]));
        assert_eq!(intervals[0].end.to_string(), "2022-12-31T23:59:59Z");
        assert!(out.is_dir() && job.policy.background);
    }

    #[tokio::test]
    async fn what_makes_no_sense_is_said_in_a_sentence() {
        let good = || wish("/nowhere/at/all");
        let table = [
            (Wish { datasets: Vec::new(), ..good() }, "dataset"),
            (Wish { datasets: vec![" ".into()], ..good() }, "empty name"),
            (Wish { start: "yesterday".into(), ..good() }, "start"),
            (Wish { end: String::new(), ..good() }, "end"),
            (Wish { start: "2023".into(), ..good() }, "after"),
            (Wish { out: "data".into(), ..good() }, "absolute"),
            (Wish { name: Some("7".into()), ..good() }, "digits"),
            (Wish { priority: 101, ..good() }, "priority"),
        ];
        for (wish, word) in table {
            let why = reader().prepare(wish.clone()).await.unwrap_err();
            assert!(why.contains(word), "{wish:?}: {why}");
        }
    }
}
