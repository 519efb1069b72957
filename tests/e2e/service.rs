//! skyhaul under a service manager: systemd's readiness protocol, and the unit that comes with it.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;

use skyhaul_tests::{DEADLINE, Replica, Running, Signal, Sky, skipped};

/// The next thing that the service manager is told.
fn told(manager: &UnixDatagram) -> String {
    let mut buffer = [0; 512];
    let length = manager.recv(&mut buffer).expect("the engine tells its service manager how far it is");
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

#[test]
fn the_service_manager_is_told_when_the_engine_answers_and_when_it_stops() {
    let replica = Replica::start("--small-files");
    let sky = Sky::new(&replica);
    let socket = sky.path("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut command = sky.command(&["engine", "run", "--no-progress"]);
    command.env("NOTIFY_SOCKET", &socket);
    let engine = Running::spawn(command);
    assert!(told(&manager).lines().any(|line| line == "READY=1"));
    sky.ok("engine status");
    engine.send(Signal::Terminate);
    assert!(told(&manager).lines().any(|line| line == "STOPPING=1"));
    engine.finish().exits(0);
}

#[test]
fn the_unit_is_one_that_systemd_understands() {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/skyhaul.service");
    let folder = tempfile::tempdir().unwrap();
    // The program that a unit names has to be there, wherever this is run.
    let text = std::fs::read_to_string(unit).unwrap().replace("%h/.local/bin/skyhaul", "/bin/true");
    let copy = folder.path().join("skyhaul.service");
    std::fs::write(&copy, text).unwrap();
    let line = ["verify", "--user", "--man=no", "--recursive-errors=no"];
    let mut command = Command::new("systemd-analyze");
    command.args(line).arg(&copy).env("XDG_RUNTIME_DIR", folder.path());
    let Ok(ended) = command.output() else {
        return skipped("systemd-analyze is not installed");
    };
    let said = String::from_utf8_lossy(&ended.stderr);
    if said.contains("Failed to initialize manager") {
        return skipped("systemd-analyze cannot work here");
    }
    assert!(ended.status.success() && !said.contains("skyhaul.service:"), "{said}");
}
