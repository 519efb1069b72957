//! Proxies that the environment names: the way out of many an institute's network.

use skyhaul_tests::{Asked, Page, Shelf, Sky};

/// A proxy that tells which URL it was asked for.
fn proxy() -> Shelf {
    Shelf::open(
        |asked| if asked.method == "CONNECT" { Page::status(403) } else { Page::ok(asked.target.clone()) },
    )
}

fn targets(asked: &[Asked]) -> Vec<String> {
    asked.iter().map(|asked| format!("{} {}", asked.method, asked.target)).collect()
}

#[test]
fn files_come_through_the_proxy_that_the_environment_names() {
    const URL: &str = "http://archive.invalid/a.bin";
    for variable in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        let proxy = proxy();
        let sky = Sky::at("http://127.0.0.1:9").with(variable, &format!("http://me:s3cret@{}", proxy.host()));
        sky.write("list.txt", format!("{URL}\n"));
        let ended = sky.ok("pull --urls list.txt --out out -vv");
        assert!(!ended.stderr.contains("s3cret"), "{}", ended.stderr);
        assert_eq!(targets(&proxy.asked()), [format!("GET {URL}")], "{variable}");
        // RFC 7617: user and password, in base64.
        assert_eq!(proxy.asked()[0].header("proxy-authorization"), Some("Basic bWU6czNjcmV0"), "{variable}");
        assert_eq!(std::fs::read_to_string(sky.path("out/archive.invalid/a.bin")).unwrap(), URL);
    }
}

#[test]
fn what_is_encrypted_goes_through_a_tunnel_or_not_at_all() {
    let proxy = proxy();
    let sky = Sky::at("http://127.0.0.1:9").with("https_proxy", proxy.base());
    sky.write("list.txt", "https://archive.invalid/a.bin\n");
    sky.run("pull --urls list.txt --out out --retries 0").exits(3);
    assert_eq!(targets(&proxy.asked()), ["CONNECT archive.invalid:443"]);
    assert_eq!(sky.file("1", "a.bin")["error"]["kind"], "connection");
}

#[test]
fn hosts_that_are_excepted_are_asked_directly() {
    let (proxy, host) = (proxy(), Shelf::open(|asked| Page::ok(asked.target.clone())));
    let sky = Sky::at("http://127.0.0.1:9").with("http_proxy", proxy.base()).with("no_proxy", "127.0.0.1");
    sky.write("list.txt", format!("{}/a.bin\n", host.base()));
    sky.ok(&format!("pull --urls list.txt --base {} --out out", host.base()));
    assert_eq!((targets(&proxy.asked()), targets(&host.asked())), (vec![], vec!["GET /a.bin".to_owned()]));
}
