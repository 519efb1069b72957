//! Answers on stdout, everything else on stderr; nothing ever panics.

use skyhaul_tests::{Paged, Replica, Running, Signal, Sky, Terminal, skipped};

use crate::{TEN_MINUTES, knows_files};

#[test]
fn without_a_terminal_there_is_no_live_progress_and_no_colour() {
    let replica = Replica::start("--small-files --missing _0603_");
    let sky = Sky::new(&replica);
    for flags in ["", "-v", "-vv", "--no-progress"] {
        let ended = sky.run(&format!("pull {TEN_MINUTES} --out out{flags} {flags}")).exits(3);
        for text in [&ended.stdout, &ended.stderr] {
            assert!(!text.contains('\u{1b}') && !text.contains('\r'), "{flags}: {text:?}");
        }
    }
}

#[test]
fn on_a_pipe_progress_is_a_plain_line_now_and_then() {
    let replica = Replica::start("--small-files --rate 15k");
    let sky = Sky::new(&replica);
    let line = format!("pull {TEN_MINUTES} --out out");
    let pull = sky.spawn(&line);
    pull.wait_stderr("how far it is", |text| text.lines().any(|line| line.contains(" of 10 files")));
    let ended = pull.kill();
    assert!(!ended.stderr.contains('\r'), "{:?}", ended.stderr);
}

#[test]
fn on_a_terminal_progress_is_live_and_as_wide_as_the_terminal() {
    let Some(terminal) = Terminal::open(90) else { return skipped("there are no pseudo-terminals here") };
    let replica = Replica::start("--small-files --rate 5k");
    let sky = Sky::new(&replica).with("TERM", "xterm");
    let line = format!("pull {TEN_MINUTES} --out out --in-flight 2");
    let words: Vec<_> = line.split_whitespace().collect();
    let pull = Running::spawn_at(&terminal, sky.command(&words));
    // A line for all of it, one for each file in flight.
    pull.wait_stderr("three lines of this width", |text| drawn(text).any(|frame| frame.len() == 3 * 90));
    terminal.resize(40);
    pull.wait_stderr("three lines of the new width", |text| drawn(text).any(|frame| frame.len() == 3 * 40));
    pull.send(Signal::Interrupt);
    let ended = pull.finish().exits(130);
    let frame = drawn(&ended.stderr).find(|frame| frame.len() == 3 * 90).unwrap();
    assert!(frame.contains(" of 10 files") && frame.contains("gill_themis19_full.pgm.gz"), "{frame:?}");
    let said = drawn(&ended.stderr).last().unwrap_or_default();
    assert!(said.starts_with("hint: "), "the bars are gone in the end: {said:?}");
    let pull = Running::spawn_at(&terminal, sky.command(&[&words[..], &["--no-progress"]].concat()));
    pull.wait_stderr("how far it is", |text| text.contains(" of 10 files"));
    let said = pull.kill().stderr;
    assert!(!said.contains('\u{1b}'), "{said:?}");
}

/// What was written between one movement of the cursor and the next.
fn drawn(text: &str) -> impl Iterator<Item = &str> {
    let mut parts = text.split('\u{1b}');
    let first = parts.next();
    let rest =
        parts.map(|part| part.split_once(|c: char| c.is_ascii_alphabetic()).map_or("", |(_, rest)| rest));
    first.into_iter().chain(rest).flat_map(|part| part.split(['\r', '\n'])).filter(|part| !part.is_empty())
}

#[test]
fn quiet_says_nothing_when_all_is_well_and_one_thing_when_not() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    let ended = sky.ok(&format!("pull {TEN_MINUTES} --out out -q"));
    assert_eq!(ended.stderr, "");
    let ended = sky.run("pull NO_SUCH_DATASET --start 2022 --end 2022 --out out -q").exits(4);
    assert!(!ended.stderr.trim().is_empty());
}

#[test]
fn json_on_stdout_is_one_document_and_nothing_else_whatever_happens() {
    let replica = Replica::start("--small-files --missing _0603_ --flip first-attempt");
    let sky = Sky::new(&replica);
    let line = format!("{TEN_MINUTES} --out out");
    sky.ok(&format!("plan {line} --json -vv")).json();
    sky.ok(&format!("submit {line} --no-start --json -vv")).json();
    sky.run(&format!("pull {line} --json -vv")).exits(3).json();
    for line in
        ["status 1", "status", "jobs", "verify 1", "cite 1", "datasets", "sites", "manifest 1 --format json"]
    {
        sky.ok(&format!("{line} --json -vv")).json();
    }
    assert_eq!(sky.ok("files 1 --json -vv").json_lines().len(), 10);
    for line in ["status 99", "status nobody", "files 99", "frobnicate", "datasets show NOTHING_LIKE_IT"] {
        assert_eq!(sky.run(&format!("{line} --json")).stdout, "", "{line}");
    }
}

#[test]
fn answers_for_people_are_on_stdout_and_hints_on_stderr() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    sky.ok(&format!("pull {TEN_MINUTES} --out out --name winter"));
    for (line, told) in [
        ("jobs", "winter"),
        ("status 1", "completed"),
        ("files 1", "_0603_gill"),
        ("manifest 1", "_0603_gill"),
        ("datasets rego", "REGO_RAW"),
        ("sites rego", "gill"),
        ("cite REGO_RAW", "10.11575"),
        ("--version", "skyhaul "),
    ] {
        let ended = sky.ok(line);
        assert!(ended.stdout.contains(told), "{line}: {}", ended.stdout);
    }
}

#[test]
fn errors_are_a_sentence_and_their_causes_come_with_v() {
    let sky = Sky::at("http://127.0.0.1:9");
    let short = sky.run("datasets").exits(4).tells("127.0.0.1:9");
    assert!(short.stderr.lines().count() <= 3, "{}", short.stderr);
    let long = sky.run("datasets -v").exits(4);
    assert!(long.stderr.lines().count() > short.stderr.lines().count(), "{}", long.stderr);
    assert!(!long.stderr.contains("backtrace"), "{}", long.stderr);
}

#[test]
fn the_log_is_as_loud_as_the_variable_says() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    let usual = sky.ok("datasets rego").stderr;
    let sky = sky.with("SKYHAUL_LOG", "trace");
    let traced = sky.ok("datasets rego --state-dir fresh").stderr;
    assert!(traced.len() > usual.len(), "{traced}");
    // A filter that makes no sense is told or ignored, but nothing to fall over.
    let sky = sky.with("SKYHAUL_LOG", "=[=nonsense");
    let ended = sky.run("jobs");
    assert!(matches!(ended.code, Some(0 | 2)), "{ended:?}");
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
}

#[test]
fn a_reader_that_leaves_is_no_reason_to_complain() {
    let replica = Replica::start("--small-files --listing-size 5000");
    let sky = Sky::new(&replica);
    let query = "REPLICA_BULK_RAW --start 2000-01-01 --end 2000-01-31 --out out";
    let pull = sky.spawn(&format!("pull {query} --requests-per-second 2"));
    pull.wait_stderr("that all files are known", |text| knows_files(text, 5000));
    pull.send(Signal::Interrupt);
    pull.finish().exits(130);
    for line in ["files 1", "files 1 --json"] {
        let words: Vec<_> = line.split_whitespace().collect();
        let mut pager = Paged::spawn(&mut sky.command(&words));
        assert_eq!(pager.read_lines(3), 3);
        let (_, said) = pager.close();
        assert_eq!(said, "", "{line}");
    }
}

#[test]
fn completions_and_the_manual_page_are_printed() {
    let sky = Sky::at("http://127.0.0.1:9");
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = sky.ok(&format!("completions {shell}")).stdout;
        assert!(script.contains("skyhaul") && script.contains("on-existing"), "{shell}: {script}");
    }
    sky.run("completions tcsh").exits(2);
    let page = sky.ok("man").stdout;
    assert!(page.contains(".TH") && page.contains("pull") && page.contains("130"), "no manual page");
    for line in ["--help", "pull --help", "help submit", "engine --help"] {
        assert!(!sky.ok(line).stdout.is_empty(), "{line}");
    }
}

#[test]
fn nothing_panics_whatever_is_typed() {
    let sky = Sky::at("http://127.0.0.1:9");
    let words: [&[&str]; 11] = [
        &[""],
        &["pull", ""],
        &["pull", "A", "--start", "", "--end", ""],
        &["pull", "ä", "--start", "2022-01-01T99", "--end", "2022"],
        &["pull", "A", "--start", "-1", "--end", "99999"],
        &["status", "99999999999999999999999"],
        &["status", "-1"],
        &["files", "1", "--state", ""],
        &["--state-dir", "", "jobs"],
        &["--api", "http://[::1", "jobs"],
        &["--api", "http://ä.example:99999", "datasets"],
    ];
    let pulls: [&[&str]; 4] = [
        &["--start", "0000", "--end", "0000", "--out", ""],
        &["--start", "9999", "--end", "9999", "--out", "out"],
        &["--start", "2022", "--end", "2022", "--out", "out", "--limit-rate", "99999999999999999999T"],
        &["--start", "2022", "--end", "2022", "--out", "out", "--outage", "99999999999999d"],
    ];
    let pulls = pulls.map(|flags| [&["pull", "A", "--retries", "0"][..], flags].concat());
    for line in words.into_iter().chain(pulls.iter().map(Vec::as_slice)) {
        let ended = sky.run_words(line);
        assert!(matches!(ended.code, Some(1..=6)), "{line:?}: {ended:?}");
        assert!(
            !ended.stderr.contains("panicked") && !ended.stderr.trim().is_empty(),
            "{line:?}: {}",
            ended.stderr
        );
    }
}

#[test]
fn a_format_that_is_said_wins_over_json_in_the_config_file() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    sky.ok(&format!("pull {TEN_MINUTES} --out out"));
    let config = sky.write("config.toml", "json = true\n").display().to_string();
    let run = |line: &str| sky.ok(&format!("{line} --config {config}"));
    assert_eq!(run("manifest 1").json()["files"].as_array().unwrap().len(), 10);
    assert_eq!(run("manifest 1 --format sha256sum").stdout, sky.ok("manifest 1").stdout);
    assert!(run("coverage 1 --format csv").stdout.starts_with("dataset,"));
}

#[test]
fn an_engine_that_is_steered_answers_in_json_too() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    assert_eq!(sky.ok("engine stop --json").json()["running"], false);
    for _ in 0..2 {
        let up = sky.ok("engine start --json").json();
        assert_eq!((&up["running"], up["pid"].is_u64()), (&true.into(), true), "{up}");
    }
    assert_eq!(sky.ok("engine stop --json").json()["running"], false);
    sky.ok(&format!("submit {TEN_MINUTES} --out out --no-start"));
    let ran = sky.ok("engine run --until-idle --json").json();
    assert_eq!((&ran["engine"]["running"], &ran["jobs"][0]["files"]["done"]), (&false.into(), &10.into()));
}

#[test]
fn a_password_in_the_address_of_the_archive_is_not_shown() {
    let sky = Sky::at("http://user:s3cret@127.0.0.1:9");
    let asked = sky.run("datasets").exits(4);
    assert!(!format!("{}{}", asked.stdout, asked.stderr).contains("s3cret"), "{}", asked.stderr);
    sky.ok(&format!("submit {TEN_MINUTES} --out out --no-start"));
    for line in ["status 1", "status 1 --json"] {
        let told = sky.ok(line).stdout;
        assert!(told.contains("127.0.0.1:9") && !told.contains("s3cret"), "{told}");
    }
}

#[test]
fn a_plan_refuses_what_a_submit_would_refuse() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    sky.write("file", "not a folder");
    for (flags, code) in [("--out file", 1), ("--out file/x", 1), ("--out out --checksums missing", 2)] {
        for command in ["plan", "submit --no-start"] {
            sky.run(&format!("{command} {TEN_MINUTES} {flags}")).exits(code);
        }
    }
}
