//! The life of an engine in the background: started, found, killed, started again, stopped. This program
//! is both sides: called with `engine DIR` it is the engine. All of it runs under umask 0.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

#[cfg(unix)]
fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("engine") => engine::run(arguments[2].as_ref()),
        _ => starter::run(),
    }
}

#[cfg(not(unix))]
fn main() {}

#[cfg(unix)]
mod engine {
    use std::path::Path;
    use std::sync::Arc;

    use skyhaul_control::{Endpoint, EngineView, Server, Started, own_session};
    use skyhaul_engine::Scope;
    use skyhaul_queue::MemoryQueue;
    use tokio::sync::watch;
    use tokio_util::sync::CancellationToken;

    #[tokio::main(flavor = "current_thread")]
    pub(super) async fn run(state_dir: &Path) {
        own_session();
        let (_progress, progress) = watch::channel(Arc::default());
        let stop = CancellationToken::new();
        let view = EngineView {
            progress,
            stop: stop.clone(),
            started: Started::OnDemand,
            stay: CancellationToken::new(),
            scope: Scope::everything(),
            instruments: skyhaul_control::Instruments::default(),
        };
        let endpoint = Endpoint::for_state_dir(state_dir).unwrap();
        let server = Server::start(endpoint, Arc::new(MemoryQueue::new()), view).await.unwrap();
        stop.cancelled().await;
        server.shutdown().await;
    }
}

#[cfg(unix)]
mod starter {
    use std::os::unix::fs::PermissionsExt;
    use std::path::{Path, PathBuf};
    use std::process::Command;
    use std::time::Duration;

    use rustix::process::WaitOptions;
    use skyhaul_control::{Client, ControlError, StartedEngine, start_engine};

    const LIMIT: Duration = Duration::from_secs(30);

    #[tokio::main(flavor = "current_thread")]
    pub(super) async fn run() {
        rustix::process::umask(rustix::fs::Mode::empty());
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o777)).unwrap();
        let state_dir = dir.path();

        let mut first = begin(state_dir);
        let client = first.wait_until_up(LIMIT).await.unwrap();
        assert_eq!(client.pid(), first.pid());
        everything_is_ours_alone(state_dir);
        it_leads_a_session(first.pid());
        a_second_one_gives_way_to_the_first(state_dir, first.pid()).await;

        assert!(Command::new("kill").args(["-9", &first.pid().to_string()]).status().unwrap().success());
        client.until_gone(LIMIT).await.unwrap();
        assert!(socket(state_dir).exists(), "killed engines leave their sockets");
        assert!(Client::connect(state_dir).await.unwrap().is_none());

        let mut next = begin(state_dir);
        let client = next.wait_until_up(LIMIT).await.unwrap();
        assert_eq!(client.pid(), next.pid());
        let socket = socket(state_dir);
        client.stop().await.unwrap();
        client.until_gone(LIMIT).await.unwrap();
        assert!(Client::connect(state_dir).await.unwrap().is_none());
        assert!(!socket.exists() && !state_dir.join("engine.json").exists());

        one_that_fails_tells_why(state_dir).await;
    }

    fn begin(state_dir: &Path) -> StartedEngine {
        let exe = std::env::current_exe().unwrap();
        start_engine(&exe, ["engine".as_ref(), state_dir.as_os_str()], state_dir).unwrap()
    }

    fn socket(state_dir: &Path) -> PathBuf {
        let text = std::fs::read(state_dir.join("engine.json")).unwrap();
        let told: serde_json::Value = serde_json::from_slice(&text).unwrap();
        told["socket"].as_str().unwrap().into()
    }

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o777
    }

    fn everything_is_ours_alone(state_dir: &Path) {
        let socket = socket(state_dir);
        for path in [&socket, &state_dir.join("engine.json"), &state_dir.join("engine.log")] {
            assert_eq!(mode(path), 0o600, "{}", path.display());
        }
        let folder = socket.parent().unwrap();
        if folder != state_dir.canonicalize().unwrap() {
            assert_eq!(mode(folder), 0o700);
        }
        assert!(!socket.with_extension("d").exists(), "nothing is left beside the socket");
    }

    fn it_leads_a_session(pid: u32) {
        // proc(5), /proc/pid/stat: behind the name stand state, parent, group and session.
        if let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) {
            let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
            assert_eq!((fields[2], fields[3]), (pid.to_string().as_str(), pid.to_string().as_str()));
        }
    }

    async fn a_second_one_gives_way_to_the_first(state_dir: &Path, first: u32) {
        let mut second = begin(state_dir);
        let client = second.wait_until_up(LIMIT).await.unwrap();
        assert_eq!(client.pid(), first);
        // Were it still on its way when the first one is killed, it would take over.
        let pid = rustix::process::Pid::from_raw(second.pid().try_into().unwrap());
        let (_, status) = rustix::process::waitpid(pid, WaitOptions::empty()).unwrap().unwrap();
        assert_ne!(status.exit_status(), Some(0), "it could not become the engine");
    }

    async fn one_that_fails_tells_why(state_dir: &Path) {
        let script = ["-c", "echo the disk is gone >&2; exit 6"];
        let mut failing = start_engine("/bin/sh".as_ref(), script, state_dir).unwrap();
        let error = failing.wait_until_up(LIMIT).await.unwrap_err();
        let told = error.to_string();
        assert!(matches!(error, ControlError::NotUp { .. }), "{told}");
        assert!(told.contains("code 6") && told.contains("the disk is gone"), "{told}");
        let missing = start_engine("/nowhere/skyhaul".as_ref(), ["engine"], state_dir).unwrap_err();
        assert!(missing.to_string().contains("/nowhere/skyhaul"), "{missing}");
    }
}
