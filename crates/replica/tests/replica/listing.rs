//! The API: listings, their limits and errors, datasets and observatories.

use serde_json::{Value, json};
use skyhaul_replica::{Config, DatasetShape, Faults, FileScale, Replica};
use tokio::io::AsyncReadExt as _;

use crate::client::{api, get, parse, request, send, start};

#[tokio::test]
async fn an_hour_of_a_site_has_sixty_files_in_order() {
    let replica = start(Faults::default()).await;
    let query = "urls?name=themis_asi_raw&start=2022-01-01T06:00&end=2022-01-01%2006:59:00&site_uid=GILL";
    let listing = api(&replica, query).await;
    assert_eq!(listing.status, 200);
    assert!(listing.is_complete());
    let listing = listing.json();
    let urls: Vec<_> = listing["urls"].as_array().unwrap().iter().map(|url| url.as_str().unwrap()).collect();
    assert_eq!((urls.len(), &listing["count"]), (60, &json!(60)));
    assert!(urls.is_sorted());
    let prefix = format!("{}/sort_by_project/THEMIS/asi/stream0", replica.base_url());
    assert_eq!(listing["path_prefix"], json!(prefix));
    assert_eq!(listing["dataset"]["data_tree_url"], json!(prefix));
    assert_eq!(
        urls[0],
        format!("{prefix}/2022/01/01/gill_themis19/ut06/20220101_0600_gill_themis19_full.pgm.gz")
    );
    assert_eq!(listing["total_bytes"], Value::Null);
    replica.shutdown().await;
}

#[tokio::test]
async fn total_bytes_is_the_sum_of_the_sizes() {
    let replica = start(Faults::default()).await;
    let query = "urls?name=REGO_RAW&start=2022-01-01T06:00&end=2022-01-01T06:04&site_uid=gill&include_total_bytes=true";
    let listing = api(&replica, query).await.json();
    let mut sum = 0;
    for url in listing["urls"].as_array().unwrap() {
        let target = url.as_str().unwrap().strip_prefix(replica.base_url()).unwrap();
        sum += get(&replica, target).await.body.len();
    }
    assert_eq!(listing["total_bytes"], json!(sum));
    replica.shutdown().await;
}

#[tokio::test]
async fn limits_and_errors_have_the_archives_words() {
    let replica = start(Faults::default()).await;
    let one_day = "Timeframe exceeds valid range; this dataset listing must be limited to one day";
    let cases = [
        ("THEMIS_ASI_RAW", "2023-01-01T00:00:00", "2023-01-01T23:59:59", 200, ""),
        ("THEMIS_ASI_RAW", "2023-01-01T00:00:00", "2023-01-02T00:00:00", 400, one_day),
        ("THEMIS_ASI_THUMB32", "2023-01-01T06:00:00", "2023-01-02T05:59:59", 200, ""),
        ("THEMIS_ASI_THUMB32", "2023-01-01T06:00:00", "2023-01-02T06:00:00", 400, one_day),
        ("THEMIS_ASI_DAILY_KEOGRAM_JPG", "2020-01-01", "2023-01-01", 200, ""),
        ("THEMIS_ASI_SKYMAP_IDLSAV", "2000-01-01", "2026-01-01", 200, ""),
        ("THEMIS_ASI_RAW", "2023-01-02", "2023-01-01", 400, "Start time is after the end time"),
        ("NO_SUCH", "2023-01-01", "2023-01-01", 404, "Dataset name does not exist"),
    ];
    for (name, start, end, status, detail) in cases {
        let answer = api(&replica, &format!("urls?name={name}&start={start}&end={end}")).await;
        assert_eq!(answer.status, status, "{name} {start} {end}");
        if !detail.is_empty() {
            assert_eq!(answer.json(), json!({ "detail": detail }));
        }
    }
    let none = api(&replica, "urls?name=THEMIS_ASI_RAW&start=2023-01-01&end=2023-01-01&site_uid=whit").await;
    assert_eq!((none.status, &none.json()["urls"], &none.json()["count"]), (200, &json!([]), &json!(0)));
    replica.shutdown().await;
}

#[tokio::test]
async fn missing_and_malformed_parameters_are_listed() {
    let replica = start(Faults::default()).await;
    let answer = api(&replica, "urls?start=x&include_total_bytes=perhaps").await;
    assert_eq!(answer.status, 422);
    let detail = answer.json()["detail"].clone();
    let places: Vec<_> = detail.as_array().unwrap().iter().map(|entry| entry["loc"].clone()).collect();
    let at = |name| json!(["query", name]);
    assert_eq!(places, [at("name"), at("start"), at("end"), at("include_total_bytes")]);
    for entry in detail.as_array().unwrap() {
        assert!(entry["msg"].is_string() && entry["type"].is_string());
    }
    for target in ["observatories", "observatories?instrument_array=bad", "datasets?level=L9"] {
        assert_eq!(api(&replica, target).await.status, 422, "{target}");
    }
    assert_eq!(api(&replica, "nothing").await.status, 404);
    let post = request(&replica, "POST", "/api/v1/data_distribution/urls", &[]).await;
    assert_eq!(post.status, 405);
    replica.shutdown().await;
}

#[tokio::test]
async fn datasets_are_found_by_name_and_level() {
    let replica = start(Faults::default()).await;
    let all = api(&replica, "datasets").await.json();
    assert!(all.as_array().unwrap().len() >= 83);
    let found = api(&replica, "datasets?name=themis_asi&level=l0").await.json();
    let names: Vec<_> = found.as_array().unwrap().iter().map(|dataset| dataset["name"].clone()).collect();
    assert_eq!(names, ["THEMIS_ASI_RAW", "THEMIS_ASI_RAW_ROW2", "THEMIS_ASI_RAW_WIDE"]);
    let themis = &found[0];
    assert_eq!((&themis["doi"], &themis["file_time_resolution"]), (&Value::Null, &json!("1min")));
    let rego = api(&replica, "datasets?name=REGO_RAW").await.json();
    assert_eq!(rego[0]["doi"], json!("https://doi.org/10.11575/Z7X6-5C42"));
    assert_eq!(api(&replica, "datasets?name=nothing").await.json(), json!([]));
    replica.shutdown().await;
}

#[tokio::test]
async fn older_shapes_of_a_dataset_lack_fields() {
    let replica = start(Faults::default()).await;
    for (shape, has_libraries) in [(DatasetShape::Legacy1, false), (DatasetShape::Legacy2, true)] {
        replica.set_faults(Faults { dataset_shape: shape, ..Faults::default() });
        let dataset = api(&replica, "datasets?name=REGO_RAW").await.json()[0].clone();
        assert!(dataset.get("file_time_resolution").is_none());
        assert_eq!(dataset.get("supported_libraries").is_some(), has_libraries);
    }
    replica.shutdown().await;
}

#[tokio::test]
async fn old_clients_are_told_the_older_shape_by_their_name() {
    let replica = start(Faults { dataset_shape: DatasetShape::ByAgent, ..Faults::default() }).await;
    let table = [
        ("python-pyaurorax/1.3.3", false),
        ("python-pyaurorax/0.13", false),
        ("python-pyaurorax/1.3.4", true),
        ("python-pyaurorax/2.0", true),
        ("python-pyaurorax/new", true),
        ("skyhaul/0.1.0", true),
    ];
    for (agent, is_current) in table {
        let target = "/api/v1/data_distribution/datasets?name=REGO_RAW";
        let dataset = request(&replica, "GET", target, &[("user-agent", agent)]).await.json()[0].clone();
        assert_eq!(dataset.get("file_time_resolution").is_some(), is_current, "{agent}");
    }
    replica.shutdown().await;
}

#[tokio::test]
async fn observatories_and_dark_hours() {
    let replica = start(Faults::default()).await;
    for (query, count) in
        [("rego&uid=fs", 2), ("themis_asi&uid=ATHA", 1), ("rego&uid=bad", 0), ("swan_hsr", 14)]
    {
        let answer = api(&replica, &format!("observatories?instrument_array={query}")).await.json();
        assert_eq!(answer.as_array().unwrap().len(), count, "{query}");
    }
    let target = "/api/v1/data_distribution/imaging_timeframes";
    let body = r#"{"timestamp":"2022-01-01T06:00:00","locations":[{"site_uid":"gill"}]}"#;
    let mut bytes = Vec::new();
    send(&replica, "POST", target, &[], body).await.read_to_end(&mut bytes).await.unwrap();
    let frames = parse(&bytes).json();
    assert_eq!(frames[0]["site_uid"], json!("gill"));
    assert!(frames[0]["imaging_start"].as_str().unwrap() < frames[0]["imaging_end"].as_str().unwrap());
    replica.shutdown().await;
}

#[tokio::test]
async fn a_bulk_listing_has_as_many_files_as_asked() {
    let config = Config { listing_size: 100_000, file_scale: FileScale::Small, ..Config::default() };
    let replica = Replica::start(config).await.unwrap();
    let answer = api(&replica, "urls?name=REPLICA_BULK_RAW&start=2000-01-01&end=2099-01-01").await;
    assert!(answer.is_complete());
    let listing = answer.json();
    let urls = listing["urls"].as_array().unwrap();
    assert_eq!((urls.len(), &listing["count"]), (100_000, &json!(100_000)));
    let last = urls[99_999].as_str().unwrap();
    let file = get(&replica, last.strip_prefix(replica.base_url()).unwrap()).await;
    assert_eq!(file.status, 200);
    assert!(file.body.len() < 500, "{}", file.body.len());
    replica.shutdown().await;
}
