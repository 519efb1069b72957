//! Real files laid over the synthetic ones. Needs the project's sample data; says so where it is absent.

use std::path::{Path, PathBuf};

use serde_json::json;
use skyhaul_replica::{Config, Replica, RunningReplica};

use crate::client::{api, get, get_range};

#[expect(clippy::print_stdout, reason = "whoever runs the tests should know what was not tested")]
/// Real files laid over the archive, or nothing where there are none.
async fn with_real_files() -> Option<(RunningReplica, PathBuf)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    if !folder.is_dir() {
        println!("skipped: no sample data at {}", folder.display());
        return None;
    }
    let config = Config { data_dir: Some(folder.clone()), ..Config::default() };
    Some((Replica::start(config).await.unwrap(), folder))
}

#[tokio::test]
async fn real_files_take_the_place_of_synthetic_ones() {
    let Some((replica, folder)) = with_real_files().await else { return };
    let cases = [
        ("THEMIS_ASI_RAW", "start=2014-03-10T06:00&end=2014-03-10T06:04&site_uid=gill", 5, 10_681_023),
        ("THEMIS_ASI_RAW", "start=2014-03-10T00:00&end=2014-03-10T23:59&site_uid=gill", 5, 10_681_023),
        ("TREX_NIR_RAW", "start=2022-03-07T06:00&end=2022-03-07T06:59&site_uid=gill", 5, 3_631_453),
    ];
    for (name, window, count, total) in cases {
        let listing =
            api(&replica, &format!("urls?name={name}&{window}&include_total_bytes=true")).await.json();
        assert_eq!((&listing["count"], &listing["total_bytes"]), (&json!(count), &json!(total)));
        for url in listing["urls"].as_array().unwrap() {
            let path = url.as_str().unwrap().strip_prefix(replica.base_url()).unwrap();
            let real = std::fs::read(folder.join(&path[1..])).unwrap();
            assert_eq!(get(&replica, path).await.body, real);
            assert_eq!(get_range(&replica, path, "bytes=1000-1999").await.body, real[1000..2000]);
        }
    }
    let day = "start=2014-03-10T06:00&end=2014-03-10T06:04";
    let all_sites = api(&replica, &format!("urls?name=THEMIS_ASI_RAW&{day}")).await.json();
    assert_eq!(all_sites["count"], 24 * 5, "the other sites keep their synthetic files");
    let synthetic = "/sort_by_project/THEMIS/asi/stream0/2014/03/10/gill_themis19/ut06/\
                     20140310_0605_gill_themis19_full.pgm.gz";
    assert_eq!(get(&replica, synthetic).await.status, 404);
    replica.shutdown().await;
}

#[tokio::test]
async fn a_file_exchanged_on_disk_is_served_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = "/sort_by_project/elsewhere/notes.txt";
    let disk_path = folder.path().join(&path[1..]);
    std::fs::create_dir_all(disk_path.parent().unwrap()).unwrap();
    std::fs::write(&disk_path, "one").unwrap();
    let config = Config { data_dir: Some(folder.path().to_owned()), ..Config::default() };
    let replica = Replica::start(config).await.unwrap();
    let first = get(&replica, path).await;
    assert_eq!(first.body, b"one");
    std::fs::write(&disk_path, "three").unwrap();
    let second = get(&replica, path).await;
    assert_eq!(second.body, b"three");
    assert_ne!(first.header("etag"), second.header("etag"));
    assert_eq!(second.header("content-type"), Some("text/plain"));
    std::fs::remove_file(disk_path).unwrap();
    assert_eq!(get(&replica, path).await.status, 404);
    assert_eq!(get(&replica, "/sort_by_project/../notes.txt").await.status, 404);
    replica.shutdown().await;
}
