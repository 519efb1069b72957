//! Flags before variables before the config file before defaults.

use skyhaul_tests::{Replica, Sky, files_below};

use crate::TEN_MINUTES;

/// A port at which nobody listens.
const NOBODY: &str = "http://127.0.0.1:9";

#[test]
fn the_api_is_told_by_flag_before_variable_before_file() {
    let (by_flag, by_variable, by_file) =
        (Replica::start("--small-files"), Replica::start("--small-files"), Replica::start("--small-files"));
    let sky = Sky::at(by_variable.base());
    sky.write("config.toml", format!("api = \"{}\"\n", by_file.base()));
    let asked = |replica: &Replica| replica.requests().len();
    sky.ok(&format!("--config config.toml datasets rego --api {}", by_flag.base()));
    assert_eq!((asked(&by_flag) > 0, asked(&by_variable), asked(&by_file)), (true, 0, 0));
    sky.ok("--config config.toml datasets rego");
    assert_eq!((asked(&by_variable) > 0, asked(&by_file)), (true, 0));
    let sky = sky.with("SKYHAUL_API", "");
    sky.ok("--config config.toml datasets rego");
    assert!(asked(&by_file) > 0);
}

#[test]
fn the_state_directory_is_told_by_flag_before_variable_before_file_before_the_platform() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    let dir = |name: &str| sky.path(name).display().to_string();
    let line = |job: &str| format!("submit {TEN_MINUTES} --out {job} --no-start --json");
    sky.write("config.toml", format!("state-dir = \"{}\"\n", dir("by-file")));
    let submitted = |sky: &Sky, line: String| sky.ok(&line).json()["id"].as_u64();
    assert_eq!(submitted(&sky, line("a") + " --config config.toml --state-dir by-flag"), Some(1));
    assert_eq!(submitted(&sky, line("b") + " --config config.toml"), Some(1));
    assert!(sky.path("by-flag").is_dir() && sky.path("state").is_dir() && !sky.path("by-file").exists());
    let sky = sky.with("SKYHAUL_STATE_DIR", "");
    assert_eq!(submitted(&sky, line("c") + " --config config.toml"), Some(1));
    assert!(sky.path("by-file").is_dir());
    assert_eq!(submitted(&sky, line("d")), Some(1));
    assert!(!files_below(&sky.path("home")).is_empty(), "the default is in the user's own folder");
}

#[test]
fn the_config_file_is_told_by_flag_before_variable_before_the_platform() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica).with("SKYHAUL_API", "");
    let good = format!("api = \"{}\"\n", replica.base());
    let flag = sky.write("flag.toml", &good).display().to_string();
    let variable = sky.write("variable.toml", &good).display().to_string();
    sky.write("wrong.toml", format!("api = \"{NOBODY}\"\n"));
    let wrong = sky.path("wrong.toml").display().to_string();
    let sky = sky.with("SKYHAUL_CONFIG", &wrong);
    sky.ok(&format!("datasets rego --config {flag}"));
    sky.run("datasets rego --state-dir fresh").exits(4);
    let sky = sky.with("SKYHAUL_CONFIG", &variable);
    sky.ok("datasets rego");
    // Where the platform keeps a user's configuration.
    let place =
        if cfg!(target_os = "macos") { "home/Library/Preferences/skyhaul" } else { "home/.config/skyhaul" };
    sky.write(&format!("{place}/config.toml"), good);
    let sky = sky.with("SKYHAUL_CONFIG", "");
    sky.ok("datasets rego");
}

#[test]
fn transfer_flags_are_keys_too_and_a_flag_wins() {
    let replica = Replica::start("--small-files --refuse-files 500");
    let sky = Sky::new(&replica);
    sky.write("config.toml", "retries = 0\nconnections = 2\nlimit-rate = \"50M\"\nmin-free = \"1M\"\n");
    sky.run(&format!("--config config.toml pull {TEN_MINUTES} --out file")).exits(3);
    sky.run(&format!("--config config.toml pull {TEN_MINUTES} --out flag --retries 1")).exits(3);
    for (job, attempts) in [("1", 1), ("2", 2)] {
        assert!(
            sky.files(job).iter().all(|file| file["attempts"] == attempts),
            "job {job}: {:?}",
            sky.file(job, "_0603_")
        );
    }
}

#[test]
fn json_and_quiet_can_be_keys() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    sky.write("config.toml", "json = true\nquiet = true\n");
    let ended = sky.ok(&format!("--config config.toml pull {TEN_MINUTES} --out out"));
    assert_eq!((&ended.json()["state"], ended.stderr.as_str()), (&"completed".into(), ""));
}

#[test]
fn what_cannot_be_read_is_named_with_its_file() {
    let sky = Sky::at(NOBODY);
    let table = [
        ("limit_rate = \"2M\"\n", "limit_rate"),
        ("conections = 3\n", "conections"),
        ("connections = 0\n", "connections"),
        ("connections = \"many\"\n", "connections"),
        ("on-existing = \"perhaps\"\n", "on-existing"),
        ("api = 7\n", "api"),
        ("json = \"yes\"\n", "json"),
        ("api = \"http://h\n", "line 1"),
        ("api = \"http://h\"\n= 3\n", "line 2"),
    ];
    for (text, told) in table {
        sky.write("broken.toml", text);
        sky.run("--config broken.toml jobs").exits(2).tells("broken.toml").tells(told);
    }
    sky.write("bytes.toml", [0xff, 0xfe, 0x00]);
    sky.run("--config bytes.toml jobs").exits(2).tells("bytes.toml");
}

#[test]
fn a_wrong_variable_is_named() {
    let sky = Sky::at("nonsense");
    sky.run("datasets").exits(2).tells("SKYHAUL_API");
}
