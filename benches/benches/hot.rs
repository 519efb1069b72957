//! The hot pieces: listings, lists and queries made into files and windows, files received, hashed and checked, the
//! queue taking in and giving out. `make bench` prints their times, and lays the instructions of each beside a baseline.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be set up ends")]

use std::sync::Arc;

use divan::counter::{BytesCount, ItemsCount};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use skyhaul_archive::Archive;
use skyhaul_benches::answers::Answers;
use skyhaul_benches::image::pgm_gz;
use skyhaul_benches::night::{self, Night};
use skyhaul_benches::{Bench, Fetching, files, url_list};
use skyhaul_model::{Interval, Source, WindowId};
use skyhaul_planner::{ListForm, Listed, Overlap, list_window, plan_query, take_in};
use skyhaul_verify::Container;

const FILES: usize = 20_000;

/// Small files that are fetched one after the other.
const FETCHED: usize = 200;

/// What comes from a socket at once.
const PIECE: usize = 64 << 10;

fn main() {
    divan::main();
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn archive(answers: Answers) -> Archive {
    Archive::new(Arc::new(answers), "https://archive.example").unwrap()
}

#[divan::bench(sample_count = 20)]
fn a_listing_is_parsed(bencher: divan::Bencher<'_, '_>) {
    let (archive, runtime) = (archive(Answers::of(Night(0))), runtime());
    let target = Night(0).window().target;
    bencher.counter(ItemsCount::new(night::FILES)).bench(|| {
        runtime.block_on(async {
            let listed = list_window(&archive, &target, WindowId(0), &Overlap::new(&[])).await.unwrap();
            let Listed::Files(mut files) = listed else { unreachable!("this archive splits nothing") };
            let mut count = 0;
            while let Some(batch) = files.next_batch().await.unwrap() {
                count += files.take(batch).len() as u64;
            }
            assert_eq!(count, night::FILES);
        });
    });
}

#[divan::bench(sample_count = 20)]
fn twenty_years_are_planned(bencher: divan::Bencher<'_, '_>) {
    let (archive, runtime) = (archive(Answers::of_the_catalogue()), runtime());
    let [start, end] = ["2005-01-01T00:00:00Z", "2024-12-31T23:59:59Z"].map(|text| text.parse().unwrap());
    let years = vec![Interval { start, end, site: None }];
    let sites: Vec<String> = (0..12).map(|number| format!("site{number}")).collect();
    let source = Source::archive("https://archive.example", &["THEMIS_ASI_RAW".into()], years, &sites, &[]);
    bencher.bench(|| runtime.block_on(plan_query(&archive, &source, Timestamp::MAX)).unwrap());
}

#[divan::bench(sample_count = 10)]
fn a_url_list_is_taken_in(bencher: divan::Bencher<'_, '_>) {
    let (list, scratch) = (url_list(FILES), tempfile::tempdir().unwrap());
    bencher
        .counter(ItemsCount::new(FILES))
        .bench(|| take_in(&mut list.as_bytes(), &ListForm::Urls { base: None }, scratch.path()).unwrap());
}

#[divan::bench(sample_count = 20)]
fn an_image_is_hashed_and_checked(bencher: divan::Bencher<'_, '_>) {
    let image = pgm_gz(20);
    bencher.counter(BytesCount::new(image.len())).bench(|| {
        let (mut hash, mut check) = (Sha256::new(), Container::of("a.pgm.gz").unwrap());
        for piece in image.chunks(PIECE) {
            hash.update(piece);
            check.feed(piece);
        }
        check.finish().unwrap().unwrap();
        hash.finalize()
    });
}

/// Looked for, asked, judged, received, hashed, checked, written: all but what makes it last.
#[divan::bench(sample_count = 10)]
fn small_files_are_fetched(bencher: divan::Bencher<'_, '_>) {
    let (server, runtime) = (Answers::of_file(pgm_gz(1)), runtime());
    bencher
        .counter(ItemsCount::new(FETCHED))
        .with_inputs(|| Fetching::new(FETCHED))
        .bench_refs(|fetching| runtime.block_on(fetching.run(&server)));
}

#[divan::bench(sample_count = 10)]
fn a_listing_goes_into_the_queue(bencher: divan::Bencher<'_, '_>) {
    let (files, runtime) = (files(FILES), runtime());
    bencher
        .counter(ItemsCount::new(FILES))
        .with_inputs(|| runtime.block_on(Bench::new()))
        .bench_refs(|bench| runtime.block_on(bench.ingest(&files)));
}

#[divan::bench(sample_count = 10)]
fn files_are_claimed_sealed_and_completed(bencher: divan::Bencher<'_, '_>) {
    let (files, runtime) = (files(FILES), runtime());
    bencher
        .counter(ItemsCount::new(FILES))
        .with_inputs(|| {
            let bench = runtime.block_on(Bench::new());
            runtime.block_on(bench.ingest(&files));
            bench
        })
        .bench_refs(|bench| assert_eq!(runtime.block_on(bench.work_off()), FILES));
}
