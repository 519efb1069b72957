//! Jobs that share files: what one fetches, the other takes over.

use std::collections::BTreeMap;

use skyhaul_tests::{Replica, Request, Sky};

use crate::TEN_MINUTES;

/// The ten files and two before and behind them.
const AROUND: &str = "THEMIS_ASI_RAW --start 2022-01-01T05:59 --end 2022-01-01T06:10 --site gill";

#[test]
fn two_jobs_that_want_one_file_at_the_same_moment_fetch_it_once() {
    let replica = Replica::start("--small-files --rate 200k");
    let sky = Sky::new(&replica);
    sky.ok(&format!("submit {TEN_MINUTES} --out out --no-start"));
    sky.ok(&format!("submit {AROUND} --out out --no-start"));
    sky.ok("engine run --until-idle");
    let mut asked = BTreeMap::new();
    let of_files = |request: &Request| request.is_fetch() && request.path.ends_with(".gz");
    for request in replica.requests().into_iter().filter(of_files) {
        *asked.entry(request.path).or_insert(0) += 1;
    }
    assert!(asked.len() == 12 && asked.values().all(|&times| times == 1), "{asked:?}");
    let bytes = |job, what: &str| sky.status(job)["bytes"][what].as_u64().unwrap();
    let both = |what| bytes("1", what) + bytes("2", what);
    assert_eq!(both("received") + both("adopted"), both("done"));
    assert_eq!(sky.assert_byte_true("1", "out", &replica), 10);
    assert_eq!(sky.assert_byte_true("2", "out", &replica), 12);
}
