//! Servers that break the protocol: nothing wrong comes to a final path, and what can be had is had in the end.
//! (How each breach is judged stands in the table of docs/transfer.md; resets need a socket of their own and are
//! tested there.)

use std::collections::HashMap;
use std::sync::Mutex;

use skyhaul_tests::{Asked, Page, Shelf, Sky, hex_sha256};

/// A file's bytes, other ones for each path. Its format has no check of its own: the protocol alone protects it.
fn file(path: &str) -> Vec<u8> {
    (0..3_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8 ^ path.len() as u8).collect()
}

fn chunked(body: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", body.len()).as_bytes(), body, b"\r\n"].concat()
}

/// The breaches: a name, and the raw answer that a whole body, or half of it, is sent in.
fn breaches(whole: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let (half, length) = (&whole[..whole.len() / 2], whole.len());
    let answer = |head: &str, body: &[u8]| {
        [b"HTTP/1.1 ", head.replace('\n', "\r\n").as_bytes(), b"\r\n\r\n", body].concat()
    };
    let te = "200 OK\ntransfer-encoding: chunked";
    let cl = format!("200 OK\ncontent-length: {length}");
    vec![
        ("cut", answer(&cl, half)),
        ("no-last-chunk", answer(te, &chunked(whole))),
        ("half-a-chunk", answer(te, &chunked(whole)[..length / 2])),
        ("endless-chunk", answer(te, b"ffffffffffffffffff\r\nx")),
        ("nonsense-chunk", answer(te, b"zz\r\nx")),
        ("gzipped-transfer", answer("200 OK\ntransfer-encoding: gzip", whole)),
        ("two-lengths", answer(&format!("{cl}\ncontent-length: 7"), whole)),
        ("negative-length", answer("200 OK\ncontent-length: -3000", whole)),
        ("flood", answer(&format!("200 OK{}", "\nx: y".repeat(20_000)), whole)),
        ("not-http", b"220 ready\r\n".to_vec()),
        ("half-a-head", b"HTTP/1.1 200 OK\r\ncontent-le".to_vec()),
        ("nothing", Vec::new()),
        ("part-unasked", answer(&format!("206 Part\ncontent-range: bytes 0-{}/{length}", length - 1), whole)),
        ("not-modified", answer("304 Not Modified", b"")),
        ("no-content", answer("204 No Content", b"")),
        ("empty", answer("200 OK", b"")),
        ("coded", answer(&format!("{cl}\ncontent-encoding: br"), whole)),
        ("a-page", answer("200 OK\ncontent-type: text/html\ncontent-length: 6", b"<html>")),
        ("only-interim", answer("103 Early Hints", b"").repeat(50)),
    ]
}

/// The name of the file that is asked for, which is that of its breach.
fn name(asked: &Asked) -> &str {
    asked.path().trim_start_matches('/').trim_end_matches(".dat")
}

fn breach(name: &str) -> Page {
    let path = format!("/{name}.dat");
    let found = breaches(&file(&path)).into_iter().find(|(known, _)| *known == name);
    found.map_or(Page::status(404), |(_, raw)| Page::raw(raw))
}

fn list(shelf: &Shelf) -> String {
    breaches(&[0; 4]).iter().map(|(name, _)| format!("{}/{name}.dat\n", shelf.base())).collect()
}

#[test]
fn a_server_that_comes_to_order_gives_every_file_in_the_end() {
    let times = Mutex::new(HashMap::new());
    let shelf = Shelf::open(move |asked| {
        let mut times = times.lock().unwrap();
        let before = times.entry(asked.path().to_owned()).or_insert(0_u32);
        *before += 1;
        if *before <= 2 { breach(name(asked)) } else { Page::ok(file(asked.path())) }
    });
    let sky = Sky::at("http://127.0.0.1:9");
    sky.write("list.txt", list(&shelf));
    sky.ok(&format!("pull --urls list.txt --base {} --out out --retries 6", shelf.base()));
    for (name, _) in breaches(&[0; 4]) {
        let expected = file(&format!("/{name}.dat"));
        assert_eq!(std::fs::read(sky.path(&format!("out/{name}.dat"))).unwrap(), expected, "{name}");
        assert_eq!(sky.file("1", name)["sha256"], hex_sha256(&expected), "{name}");
    }
    assert!(!sky.path("out/.skyhaul").exists());
}

#[test]
fn a_server_that_stays_as_it_is_gives_no_file_and_each_failure_has_its_kind() {
    let shelf = Shelf::open(|asked| breach(name(asked)));
    let sky = Sky::at("http://127.0.0.1:9");
    sky.write("list.txt", list(&shelf));
    sky.run(&format!("pull --urls list.txt --base {} --out out --retries 1", shelf.base())).exits(3);
    let kinds = ["truncated", "connection", "http", "wrong_content"];
    for file in sky.files("1") {
        let (path, kind) = (file["path"].as_str().unwrap(), file["error"]["kind"].as_str().unwrap());
        assert_eq!(file["state"], "failed", "{file}");
        assert!(kinds.contains(&kind), "{file}");
        assert!(!sky.path("out").join(path).exists(), "{path} is none of the file's bytes");
    }
}
