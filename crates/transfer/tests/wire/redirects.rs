//! Redirects: where the next attempt begins, which validators hold, and what goes along.

use std::sync::{Arc, Mutex};

use skyhaul_model::{Backoff, ErrorKind};
use skyhaul_transfer::End;

use super::server::{Asked, Leaves, Says, Server};
use super::{Desk, noise};

const LENGTH: usize = 300;
const HALF: usize = 150;

fn file() -> Vec<u8> {
    noise(LENGTH, 1)
}

fn moved(to: &str) -> Says {
    // Its own tag is none of the file's (rule 58).
    let head = format!("HTTP/1.1 302 Found\netag: \"redirect\"\ncontent-length: 5\nlocation: {to}");
    Says::with(&head, b"moved", Leaves::Stays)
}

fn cut(bytes: &[u8]) -> Says {
    let head = format!("HTTP/1.1 200 OK\netag: \"t\"\ncontent-length: {LENGTH}");
    Says::with(&head, &bytes[..HALF], Leaves::Closes)
}

/// What was asked, in short: the path, and under which condition.
type Log = Arc<Mutex<Vec<String>>>;

fn note(log: &Log, asked: &Asked) {
    let condition = asked.header("if-range").map(|tag| format!(" if {tag}")).unwrap_or_default();
    log.lock().unwrap().push(format!("{}{condition}", asked.path));
}

#[tokio::test]
async fn rules_57_and_58_each_attempt_begins_at_the_first_url_under_the_final_answers_tag() {
    let log = Log::default();
    let server = Server::start({
        let log = Arc::clone(&log);
        move |asked| {
            note(&log, asked);
            match (asked.path.as_str(), asked.times) {
                ("x.dat", times) => moved(&format!("/store/x.dat?token={times}")),
                ("store/x.dat?token=0", _) => cut(&file()),
                _ => Says::honest(asked, &file(), "\netag: \"t\"", Some("\"t\"")),
            }
        }
    })
    .await;
    let desk = Desk::new();
    let mut order = desk.order(&server, "x.dat");
    let End::Failed(failure) = desk.attempt(&mut order).await else { panic!("it is cut") };
    assert!(failure.progressed);
    let End::Whole(whole) = desk.attempt(&mut order).await else { panic!("it is not cut") };
    assert_eq!(whole.sealed.received, LENGTH as u64, "bodies of redirects are not the file's");
    assert_eq!(desk.lies(&order), Some(file()));
    let expected = ["x.dat", "store/x.dat?token=0", "x.dat if \"t\"", "store/x.dat?token=1 if \"t\""];
    assert_eq!(*log.lock().unwrap(), expected);
}

#[tokio::test]
async fn rule_63_another_place_is_another_file_whatever_its_tag() {
    let other = noise(LENGTH, 2);
    let server = Server::start({
        let other = other.clone();
        move |asked| match (asked.path.as_str(), asked.times) {
            ("x.dat", 0) => moved("/here/x.dat"),
            ("x.dat", _) => moved("/there/x.dat"),
            ("here/x.dat", _) => cut(&file()),
            _ => Says::honest(asked, &other, "\netag: \"t\"", Some("\"t\"")),
        }
    })
    .await;
    let desk = Desk::new();
    let mut order = desk.order(&server, "x.dat");
    let End::Failed(_) = desk.attempt(&mut order).await else { panic!("it is cut") };
    let End::Whole(_) = desk.attempt(&mut order).await else { panic!("it is not cut") };
    assert_eq!(desk.lies(&order), Some(other));
}

#[tokio::test]
async fn rule_59_secrets_stay_with_their_origin() {
    let told = Log::default();
    let witness = |told: &Log, name: &'static str, asked: &Asked| {
        let secret = asked.header("x-key").unwrap_or("nothing");
        told.lock().unwrap().push(format!("{name} {secret}"));
    };
    let store = Server::start({
        let told = Arc::clone(&told);
        move |asked| {
            witness(&told, "store", asked);
            Says::honest(asked, &file(), "", None)
        }
    })
    .await;
    let store_url = format!("http://{}/x.dat", store.address());
    let origin = Server::start({
        let told = Arc::clone(&told);
        move |asked| {
            witness(&told, "origin", asked);
            moved(&store_url)
        }
    })
    .await;
    let desk = Desk::new();
    let mut order = desk.order(&origin, "x.dat");
    order.secret_headers.insert("x-key", "k".parse().unwrap());
    let End::Whole(_) = desk.attempt(&mut order).await else { panic!("nothing is wrong") };
    assert_eq!(*told.lock().unwrap(), ["origin k", "store nothing"]);
}

#[tokio::test]
async fn rule_60_a_login_page_is_no_file_and_costs_a_few_tries_alone() {
    let server = Server::start(|asked| match asked.path.as_str() {
        "x.dat" => moved("/login?from=x"),
        "y.dat" => Says::with("HTTP/1.1 511 Login\ncontent-length: 0", b"", Leaves::Stays),
        _ => {
            let page = b"<!doctype html><title>Log in</title>";
            let head = format!("HTTP/1.1 200 OK\ncontent-type: text/html\ncontent-length: {}", page.len());
            Says::with(&head, page, Leaves::Stays)
        }
    })
    .await;
    let desk = Desk::new();
    let table = [
        ("x.dat", ErrorKind::WrongContent, Backoff::Doubtful),
        ("y.dat", ErrorKind::Http, Backoff::Transient),
    ];
    for (path, kind, backoff) in table {
        let mut order = desk.order(&server, path);
        let End::Failed(failure) = desk.attempt(&mut order).await else { panic!("{path} is no file") };
        assert_eq!((failure.error.kind, failure.backoff), (kind, backoff), "{failure:?}");
        assert_eq!(desk.lies(&order), None);
    }
}

#[tokio::test]
async fn rule_61_a_redirect_to_itself_is_followed_so_often_and_no_more() {
    let server = Server::start(|asked| match (asked.path.as_str(), asked.times) {
        ("thrice.dat", 3) => Says::honest(asked, &file(), "", None),
        (path, _) => moved(&format!("/{path}")),
    })
    .await;
    let desk = Desk::new();
    let End::Whole(_) = desk.attempt(&mut desk.order(&server, "thrice.dat")).await else {
        panic!("it is given")
    };
    let End::Failed(failure) = desk.attempt(&mut desk.order(&server, "ever.dat")).await else {
        panic!("there is nothing to give")
    };
    assert_eq!((failure.error.kind, failure.backoff), (ErrorKind::Redirect, Backoff::Never));
}
