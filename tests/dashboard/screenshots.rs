//! The pictures in `docs/`: `make screenshots` takes them anew.

use skyhaul_tests::{Replica, Sky};

use crate::browser::Browser;
use crate::door::orderer;
use crate::{link, root};

/// The job in detail has come some way.
const HUNDREDS: &str = "[...document.querySelectorAll('#detail .gauge')].some((gauge) => /Files [1-9]\\d\\d+ of/.test(gauge.textContent))";

#[test]
#[ignore = "writes docs/*.png; 'make screenshots' runs it"]
fn three_jobs() {
    let Some(browser) = Browser::start() else { return };
    let replica = Replica::start("--small-files --rate 250k --missing _0603_");
    let sky = Sky::new(&replica);
    sky.ok("submit THEMIS_ASI_RAW --start 2022-01-01T06:00 --end 2022-01-01T06:04 --site gill --out new-year --priority 10");
    sky.run("watch 1").exits(3);
    sky.ok("submit THEMIS_ASI_RAW --start 2022-01-02 --end 2022-01-03 --site gill --out winter");
    sky.ok("set 2 --name winter-at-Gillam");
    sky.ok("submit REGO_RAW --start 2021-11-03 --end 2021-11-04 --out rego --name substorms --no-start");
    sky.ok("pause substorms");
    browser.go(&link(&sky));
    browser.look_as("light", 1280, 860);
    browser.run("location.hash = '#job=2'");
    browser.wait(HUNDREDS);
    take(&browser, "dashboard-3-jobs");
    browser.look_as("dark", 1280, 860);
    take(&browser, "dashboard-3-jobs-dark");
}

#[test]
#[ignore = "writes docs/*.png; 'make screenshots' runs it"]
fn three_thousand_jobs() {
    let Some(browser) = Browser::start() else { return };
    let replica = Replica::start("--small-files --rate 1M --missing *kuuj*_0603_*");
    let sky = Sky::new(&replica);
    sky.ok("engine start");
    let order = orderer(&sky);
    let sites = ["gill", "fsmi", "rank", "fsim", "atha", "pina", "inuv", "kuuj"];
    for number in 0..2_999_u32 {
        let (day, site) = (number / 8 % 28 + 1, sites[number as usize % sites.len()]);
        let month = number / 8 / 28 % 12 + 1;
        let year = 2010 + number / 8 / 28 / 12;
        let date = format!("{year}-{month:02}-{day:02}");
        let name = if number % 40 == 0 {
            serde_json::json!(format!("event of {date} at {site}"))
        } else {
            serde_json::Value::Null
        };
        let wish = serde_json::json!({
            "datasets": ["THEMIS_ASI_RAW"], "start": format!("{date}T06:00"), "end": format!("{date}T06:04"),
            "sites": [site], "out": sky.path("many"), "name": name, "priority": i32::from(number % 97 == 0) * 20,
        });
        let asked = order(&wish);
        assert_eq!(asked.status, 201, "{asked:?}");
    }
    browser.go(&link(&sky));
    browser.look_as("light", 1280, 860);
    browser.wait("document.querySelectorAll('[role=option]').length > 20");
    browser.wait(
        "Number(document.querySelector('[data-show=finished] b').textContent.replace(/\\D/g, '')) > 600",
    );
    sky.ok("submit THEMIS_ASI_RAW --start 2022-01-01 --end 2022-01-05 --site gill --out days --name five-days-at-Gillam --priority 50");
    browser.run("location.hash = '#job=3000'");
    browser.wait(HUNDREDS);
    browser.wait_text("[aria-selected=true]", "five-days-at-Gillam");
    take(&browser, "dashboard-3000-jobs");
}

fn take(browser: &Browser, name: &str) {
    let png = decode(&browser.picture());
    assert!(png.len() < 300_000, "{name} has {} bytes", png.len());
    std::fs::write(root().join(format!("docs/{name}.png")), png).unwrap();
}

/// Base 64 (RFC 4648, section 4), as WebDriver writes pictures.
fn decode(text: &str) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut held, mut bits) = (Vec::with_capacity(text.len()), 0_u32, 0);
    for digit in text.bytes().filter_map(|byte| DIGITS.iter().position(|&digit| digit == byte)) {
        held = held << 6 | digit as u32;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits) as u8);
        }
    }
    bytes
}
