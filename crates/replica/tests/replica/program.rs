//! The program: its first line, its log, its ends.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

fn start(switches: &[&str]) -> (Child, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_skyhaul-replica"))
        .args(switches)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (child, line.trim_end().to_owned())
}

#[test]
fn it_says_where_it_is_and_ends_with_its_stdin() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let switches = ["--until-stdin-closes", "--small-files", "--rate", "10M", "--log", log.to_str().unwrap()];
    let (mut child, base_url) = start(&switches);
    let address = base_url.strip_prefix("http://127.0.0.1:").unwrap();
    let mut socket = TcpStream::connect(("127.0.0.1", address.parse().unwrap())).unwrap();
    socket.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"));
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    let text = std::fs::read_to_string(log).unwrap();
    assert!(text.contains("\"path\":\"/\"") && text.ends_with('\n'), "{text}");
}

#[test]
fn a_bad_switch_or_folder_ends_it_at_once() {
    let (bad_switch, _) = start(&["--cut", "sometimes"]);
    assert_eq!(bad_switch.wait_with_output().unwrap().status.code(), Some(2));
    let (bad_folder, _) = start(&["--data", "/nonexistent/folder"]);
    let output = bad_folder.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("/nonexistent/folder"), "{message}");
}
