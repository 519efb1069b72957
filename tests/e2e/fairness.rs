//! Who is served first: the more urgent at once, equals in turn.

use skyhaul_tests::{Replica, Request, Sky};

/// A winter day of one site: many hundred small files.
const DAY: &str = "THEMIS_ASI_RAW --start 2022-01-01 --end 2022-01-01 --site gill";

/// Ten files of another site.
const EVENT: &str = "THEMIS_ASI_RAW --start 2022-01-02T06:00 --end 2022-01-02T06:09 --site fsmi";

/// A corner whose engine is busy with a back-fill: many requests wait for two connections.
fn busy() -> (Replica, Sky) {
    let replica = Replica::start("--small-files --rate 400k");
    let sky = Sky::new(&replica);
    sky.ok(&format!("submit {DAY} --out day --in-flight 200 --connections 2"));
    replica.wait_fetches(3);
    (replica, sky)
}

fn is_event(request: &Request) -> bool {
    request.is_fetch() && request.path.contains("/2022/01/02/fsmi_")
}

#[test]
fn an_urgent_event_overtakes_a_back_fill_at_once() {
    let (replica, sky) = busy();
    sky.ok(&format!("submit {EVENT} --out event --priority 50"));
    assert_eq!(sky.ok("watch 2 --json").json()["files"]["done"], 10);
    let day = sky.status("1");
    assert!(day["files"]["pending"].as_u64() > Some(200), "the day was nearly done: {day}");
    let requests = replica.requests();
    let last = requests.iter().filter(|request| is_event(request)).map(|request| request.came_ms).max();
    let asked = requests.iter().filter(|request| request.is_listing() && request.query.contains("fsmi"));
    let asked = asked.map(|request| request.came_ms).min();
    let between: Vec<_> = requests
        .iter()
        .filter(|request| request.is_fetch() && !is_event(request))
        .filter(|request| Some(request.came_ms) > asked && Some(request.came_ms) < last)
        .collect();
    // Two hundred of the day's stood in line before it.
    assert!(between.len() < 100, "{} files of the day went first", between.len());
}

#[test]
fn a_job_of_many_does_not_starve_one_of_ten() {
    let (_replica, sky) = busy();
    sky.ok(&format!("submit {EVENT} --out event"));
    assert_eq!(sky.ok("watch 2 --json").json()["files"]["done"], 10);
    let day = sky.status("1");
    assert!(day["files"]["pending"].as_u64() > Some(0), "it had to wait for all of the day: {day}");
}
