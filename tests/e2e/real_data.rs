//! Real files of the archive, through the replica, to digests that were published with them.

use std::collections::BTreeMap;

use skyhaul_tests::{Replica, Sky, files_below, hex_sha256, published_data, skipped};

/// The published digests of the files below one tree, by their path from there.
fn published(tree: &str) -> Option<BTreeMap<String, String>> {
    let folder = published_data()?;
    let sums = std::fs::read_to_string(folder.join("SHA256SUMS")).ok()?;
    let rows = sums.lines().filter_map(|line| line.split_once("  "));
    let below =
        rows.filter_map(|(digest, path)| Some((path.strip_prefix(tree)?.to_owned(), digest.to_owned())));
    Some(below.collect())
}

fn pulls_the_published_files(dataset: &str, tree: &str, start: &str, end: &str) {
    let (Some(folder), Some(digests)) = (published_data(), published(tree)) else {
        skipped("the archive's sample files are not laid out beside the workspace");
        return;
    };
    let replica = Replica::start(&format!("--data {}", folder.display()));
    let sky = Sky::new(&replica).with("SKYHAUL_API", "");
    let api = replica.base();
    sky.ok(&format!("pull {dataset} --start {start} --end {end} --site gill --api {api} --out out"));
    let found: BTreeMap<_, _> =
        files_below(&sky.path("out")).into_iter().map(|(path, bytes)| (path, hex_sha256(&bytes))).collect();
    let expected: BTreeMap<_, _> =
        digests.into_iter().map(|(path, digest)| (format!("{dataset}/{path}"), digest)).collect();
    assert_eq!(expected.len(), 5);
    assert_eq!(found, expected);
    for file in sky.files("1") {
        assert_eq!(file["verified"], "container", "{file}");
    }
}

#[test]
fn five_themis_minutes_arrive_with_their_published_digests() {
    let tree = "sort_by_project/THEMIS/asi/stream0/";
    pulls_the_published_files("THEMIS_ASI_RAW", tree, "2014-03-10T06:00", "2014-03-10T06:04");
}

#[test]
fn five_near_infrared_minutes_arrive_with_their_published_digests() {
    let tree = "sort_by_project/TREx/NIR/stream0/";
    pulls_the_published_files("TREX_NIR_RAW", tree, "2022-03-07T06:00", "2022-03-07T06:04");
}
