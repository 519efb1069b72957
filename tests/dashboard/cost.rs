//! What an open page costs the engine at ten thousand jobs, in processor time: `make bench-dashboard` prints it.
//! That its bytes and readings do not grow with the queue is held by the tests of the board itself.

use std::io::Write;
use std::time::{Duration, Instant};

use skyhaul_model::Intent;
use skyhaul_queue::conformance::fixture;
use skyhaul_queue::{JobQueue, PlanOutcome, PlanQueue};
use skyhaul_queue_sled::{BootId, SledQueue};
use skyhaul_tests::{Replica, Sky};

use crate::door::Session;
use crate::http::Following;

const JOBS: u64 = 10_000;

/// What the page asks for when it is opened.
const BOARD: &str = "/v1/board/events?show=all&from=0&count=80";

/// How long each of the engine's lives is watched.
const STRETCH: Duration = Duration::from_secs(20);

/// A job that goes on for as long as anybody measures.
const NIGHT: &str = "THEMIS_ASI_RAW --start 2022-01-01 --end 2022-01-31 --site gill --out night --name night";

#[test]
#[ignore = "measures for two minutes; 'make bench-dashboard' runs it"]
fn a_page_at_ten_thousand_jobs() {
    let replica = Replica::start("--small-files --rate 200k");
    let sky = Sky::new(&replica);
    fill(&sky.path("state"));
    sky.ok("engine start");
    let idle = [watch(&sky, Seen::ByNobody), watch(&sky, Seen::OnAPage)];
    sky.ok(&format!("submit {NIGHT}"));
    skyhaul_tests::eventually("a running job", || sky.status("night")["files"]["done"].as_u64() > Some(0));
    let at_work = [watch(&sky, Seen::ByNobody), watch(&sky, Seen::OnAPage)];
    for (what, [alone, seen]) in [("idle", idle), ("one job at work", at_work)] {
        let page = seen.percent - alone.percent;
        let Cost { percent, events, bytes } = seen;
        writeln!(
            std::io::stdout(),
            "{JOBS} jobs, {what}: {:.2} % of a core without a page, {percent:.2} % with one ({page:.2} % for the page; \
             {events} events of {bytes} bytes in {} s)",
            alone.percent,
            STRETCH.as_secs(),
        )
        .unwrap();
    }
}

/// Ten thousand jobs as after some months: most are over, some wait for a person.
#[tokio::main(flavor = "current_thread")]
async fn fill(state_dir: &std::path::Path) {
    let queue = SledQueue::open(state_dir, BootId::named("before")).await.unwrap().queue;
    for number in 1..=JOBS {
        let mut new = fixture::new_job(&format!("THEMIS_ASI_{number}"));
        new.name = (number % 4 == 0).then(|| format!("event {number}"));
        let id = queue.create_job(new, fixture::at(number as i64)).await.unwrap().id;
        match number % 10 {
            0 => queue.set_intent(id, Intent::Paused, fixture::at(0)).await.unwrap(),
            1 => queue.set_intent(id, Intent::Cancelled, fixture::at(0)).await.unwrap(),
            _ => queue.settle_plan(id, PlanOutcome::Windows(Vec::new()), fixture::at(0)).await.unwrap(),
        }
    }
    queue.close().await.unwrap();
}

#[derive(Clone, Copy)]
enum Seen {
    ByNobody,
    OnAPage,
}

/// What a stretch of an engine's life cost.
struct Cost {
    percent: f64,
    events: u64,
    bytes: u64,
}

fn watch(sky: &Sky, seen: Seen) -> Cost {
    let page = match seen {
        Seen::ByNobody => None,
        Seen::OnAPage => Some(Session::open(sky).get(BOARD).follow()),
    };
    let engine = sky.engine();
    // What opening costs is over by then.
    std::thread::sleep(Duration::from_secs(3));
    let (before, begun) = (ticks(engine), Instant::now());
    let told = page.as_ref().map_or((0, 0), Following::told);
    std::thread::sleep(STRETCH);
    let (used, took) = (ticks(engine) - before, begun.elapsed());
    let (events, bytes) = page.as_ref().map_or((0, 0), Following::told);
    Cost { percent: used as f64 / took.as_secs_f64(), events: events - told.0, bytes: bytes - told.1 }
}

/// The processor time that a process has used, in hundredths of a second (proc(5), `/proc/pid/stat`: fields 14 and
/// 15, counted from the state, which follows the name in brackets).
fn ticks(process: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields = stat.rsplit_once(')').unwrap().1.split_ascii_whitespace();
    fields.skip(14 - 3).take(2).map(|field| field.parse::<u64>().unwrap()).sum()
}
