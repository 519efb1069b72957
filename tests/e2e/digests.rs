//! Digests that the server sends along: proof where they agree, no file where they do not.

use serde_json::Value;
use skyhaul_tests::{Page, Shelf, Sky};

/// SHA-256 of `hello`, in base64.
const HELLO: &str = "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=";

fn pulled(header: (&'static str, String), exit: i32) -> (Value, bool) {
    let shelf = Shelf::open(move |_| Page::ok("hello").with(header.0, &header.1));
    let sky = Sky::at(shelf.base());
    sky.write("list.txt", format!("{}/a.bin\n", shelf.base()));
    sky.run(&format!("pull --urls list.txt --base {} --out out --retries 1", shelf.base())).exits(exit);
    (sky.file("1", "a.bin"), sky.path("out/a.bin").exists())
}

#[test]
fn a_digest_of_the_server_that_agrees_is_the_strongest_word() {
    for header in [("Repr-Digest", format!("sha-256=:{HELLO}:")), ("Digest", format!("SHA-256={HELLO}"))] {
        let (file, is_there) = pulled(header.clone(), 0);
        assert_eq!((&file["verified"], is_there), (&"digest".into(), true), "{header:?}: {file}");
    }
}

#[test]
fn a_digest_of_the_server_that_disagrees_keeps_the_file_from_its_place() {
    let wrong = HELLO.replace("LPJN", "AAAA");
    let (file, is_there) = pulled(("Repr-Digest", format!("sha-256=:{wrong}:")), 3);
    assert_eq!((&file["error"]["kind"], is_there), (&"checksum".into(), false), "{file}");
}

#[test]
fn a_digest_that_cannot_be_read_is_no_digest() {
    for value in ["nonsense", "sha-256=:%%%:", "sha-999=:AAAA:", ""] {
        let (file, is_there) = pulled(("Repr-Digest", value.to_owned()), 0);
        assert_eq!((&file["verified"], is_there), (&"length".into(), true), "{value}: {file}");
    }
}
