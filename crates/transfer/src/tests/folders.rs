//! Whole folders that lie there already: one page of their server's may answer for all their files.

use std::time::Duration;

use skyhaul_model::{Proof, RelPath, Verified};
use tokio_util::sync::CancellationToken;

use super::site::Fault;
use super::{Bench, gz, noise};
use crate::{End, Meter, publish, transfer};

/// A folder's page, with a size behind each file.
fn page(sizes: &[(usize, &str)]) -> &'static [u8] {
    let line = |(number, size): &(usize, &str)| {
        format!("<a href=\"{number}.gz\">{number}.gz</a>   01-Jan-2022 06:00   {size}\n")
    };
    let lines: String = sizes.iter().map(line).collect();
    format!("<html><pre><a href=\"../\">../</a>\n{lines}</pre></html>").into_bytes().leak()
}

fn answers(page: &'static [u8]) -> Fault {
    Fault::Says(200, vec![("content-type", "text/html; charset=utf-8".to_owned())], page)
}

/// Lays the site's file as the file of this number, and lets it be looked at.
async fn adopts(bench: &mut Bench, number: usize, bytes: &[u8]) -> (Proof, Verified) {
    adopts_from(bench, "d", number, bytes).await
}

async fn adopts_from(bench: &mut Bench, folder: &str, number: usize, bytes: &[u8]) -> (Proof, Verified) {
    bench.assignment.url = format!("https://a.example/{folder}/{number}.gz");
    bench.assignment.path = RelPath::parse(&format!("D/{folder}/{number}.gz")).unwrap();
    bench.lay(bytes);
    let End::Whole(whole) = bench.attempt().await else { panic!("{number} is neither taken nor fetched") };
    let word = (whole.sealed.proof, whole.sealed.verified);
    publish(&[whole]).remove(0).unwrap();
    word
}

const TAKEN: (Proof, Verified) = (Proof::Adopted, Verified::Container);

#[tokio::test]
async fn the_third_file_of_a_folder_asks_for_its_page_and_the_rest_ask_nothing() {
    let bytes = gz(&noise(4_000));
    let size = bytes.len().to_string();
    let mut bench = Bench::new("a.gz", &bytes);
    for number in 0..2 {
        assert_eq!(adopts(&mut bench, number, &bytes).await, TAKEN);
    }
    bench.site.then(answers(page(&[(2, &size), (3, &size), (4, "17"), (5, "3.9K")])));
    for number in 2..4 {
        assert_eq!(adopts(&mut bench, number, &bytes).await, TAKEN);
    }
    assert_eq!(bench.site.log(), ["HEAD", "HEAD", "GET"]);
    assert_eq!(bench.site.asked.lock().unwrap()[2].url.path(), "/d/");
    // Another length than the page tells: fetched, and nothing else is asked before.
    assert_eq!(adopts(&mut bench, 4, &bytes).await.0, Proof::Fetched);
    // What the page rounds, or does not list, is asked for one by one.
    assert_eq!(adopts(&mut bench, 5, &bytes).await, TAKEN);
    assert_eq!(adopts(&mut bench, 6, &bytes).await, TAKEN);
    assert_eq!(bench.site.log()[3..], ["GET", "HEAD", "HEAD"]);
}

#[tokio::test]
async fn a_site_that_cannot_answer_now_is_asked_for_the_page_again() {
    let bytes = gz(&noise(4_000));
    let size = bytes.len().to_string();
    let mut bench = Bench::new("a.gz", &bytes);
    for number in 0..2 {
        adopts(&mut bench, number, &bytes).await;
    }
    bench.site.then(Fault::Says(503, vec![], b"")).then(Fault::With("x", None)).then(Fault::Away(true));
    for number in 2..4 {
        assert_eq!(adopts(&mut bench, number, &bytes).await, TAKEN);
    }
    bench.site.then(answers(page(&[(4, &size), (5, &size)])));
    for number in 4..6 {
        assert_eq!(adopts(&mut bench, number, &bytes).await, TAKEN);
    }
    assert_eq!(bench.site.log()[2..], ["GET", "HEAD", "GET", "HEAD", "GET"]);
}

#[tokio::test]
async fn a_site_whose_pages_are_of_no_use_is_soon_asked_for_none() {
    let bytes = gz(&noise(4_000));
    let pages = [
        answers(page(&[(2, "3.9K")])),
        Fault::Says(403, vec![], b""),
        Fault::Says(200, vec![("content-type", "application/json".to_owned())], b"[]"),
    ];
    for fault in pages {
        let mut bench = Bench::new("a.gz", &bytes);
        let mut asked = Vec::new();
        for folder in ["one", "two", "three"] {
            for number in 0..4 {
                if number == 2 && folder != "three" {
                    bench.site.then(fault.clone());
                }
                assert_eq!(adopts_from(&mut bench, folder, number, &bytes).await, TAKEN);
            }
            asked.push(bench.site.log().iter().filter(|asked| *asked == "GET").count());
        }
        assert_eq!((asked, bench.site.log().len()), (vec![1, 2, 2], 14), "a page each of two folders");
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_told_to_stop_does_not_wait_for_a_page_that_another_asks_for() {
    let bytes = gz(&noise(4_000));
    let mut bench = Bench::new("a.gz", &bytes);
    for number in 0..2 {
        assert_eq!(adopts(&mut bench, number, &bytes).await, TAKEN);
    }
    // The page never comes.
    bench.site.extra.lock().unwrap().push(("content-type", "text/html"));
    bench.site.then(Fault::Hang(0));
    bench.lay(&bytes);
    let (meter, never, stop) = (Meter::default(), CancellationToken::new(), CancellationToken::new());
    let one = transfer(&bench.site, &bench.assignment, &meter, &never);
    let other = async {
        while bench.site.log().len() < 3 {
            tokio::task::yield_now().await;
        }
        transfer(&bench.site, &bench.assignment, &meter, &stop).await
    };
    // The paused clock goes on when both wait for the page.
    let told = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        stop.cancel();
    };
    tokio::select! {
        _ = one => panic!("there is no page"),
        (end, ()) = async { tokio::join!(other, told) } => assert!(matches!(end, End::Stopped { .. }), "{end:?}"),
        () = tokio::time::sleep(Duration::from_secs(60)) => panic!("it waits on"),
    }
    assert_eq!(bench.site.log(), ["HEAD", "HEAD", "GET"]);
}
