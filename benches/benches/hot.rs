//! The hot pieces: a list taken in, a listing into the queue, files claimed, sealed and completed.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be set up ends")]

use divan::counter::ItemsCount;
use skyhaul_benches::{Bench, files, url_list};
use skyhaul_planner::{ListForm, take_in};

const FILES: usize = 20_000;

fn main() {
    divan::main();
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}

#[divan::bench(sample_count = 10)]
fn a_url_list_is_taken_in(bencher: divan::Bencher<'_, '_>) {
    let (list, scratch) = (url_list(FILES), tempfile::tempdir().unwrap());
    bencher
        .counter(ItemsCount::new(FILES))
        .bench(|| take_in(&mut list.as_bytes(), &ListForm::Urls { base: None }, scratch.path()).unwrap());
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
