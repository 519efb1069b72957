//! A server that runs until its test ends, however that ends.

use std::fs::{self, File, Permissions};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use skyhaul_tests::{DEADLINE, skipped};
use tempfile::TempDir;

use crate::certificate::Certificate;
use crate::kinds::{Kind, Setting};

/// A server on a port of its own; it is killed when this goes.
#[derive(Debug)]
pub(crate) struct Server {
    base: String,
    /// Goes before the folder that it writes to.
    _process: Process,
    own: TempDir,
    certificate: Option<Certificate>,
}

/// A process that ends when this goes.
#[derive(Debug)]
struct Process(Child);

impl Server {
    /// Serves `files`; none, with a word about it, where the server is not installed.
    pub(crate) fn start(kind: Kind, files: &Path) -> Option<Self> {
        let Some(program) = kind.program() else {
            skipped(&format!("{kind:?} is not installed (make setup gets it where it can)"));
            return None;
        };
        let own = tempfile::tempdir().unwrap();
        fs::set_permissions(own.path(), Permissions::from_mode(0o777)).unwrap();
        let certificate = if kind == Kind::NginxTls { Certificate::make(own.path()) } else { None };
        if kind == Kind::NginxTls && certificate.is_none() {
            skipped("openssl is not installed, so there is no certificate for HTTP/2");
            return None;
        }
        // Between our letting go of a free port and the server's taking it, somebody else may have it.
        for _ in 0..5 {
            let port = free_port();
            let setting = Setting { files, own: own.path(), port, certificate: certificate.as_ref() };
            let mut process = Process::spawn(kind.command(&program, setting), own.path());
            if process.answers(port) {
                let scheme = if certificate.is_some() { "https" } else { "http" };
                let base = format!("{scheme}://127.0.0.1:{port}");
                return Some(Self { base, _process: process, own, certificate });
            }
        }
        let said = ["said", "error.log"].map(|name| fs::read_to_string(own.path().join(name)));
        panic!("{kind:?} does not start: {said:?}");
    }

    /// Its address as a URL, without a slash at the end.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// The authority that its certificate is from.
    pub(crate) fn authority(&self) -> Option<&Path> {
        self.certificate.as_ref().map(|certificate| certificate.authority.as_path())
    }

    /// A line for each answer so far, if it was told to write one.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.own.path().join("access.log")).unwrap()
    }
}

impl Process {
    /// Starts a command that says what it says into a file of this folder.
    fn spawn(mut command: Command, own: &Path) -> Self {
        let said = File::create(own.join("said")).unwrap();
        command.stdout(said.try_clone().unwrap()).stderr(said);
        Self(command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}")))
    }

    /// Waits until the port takes connections; false if the process ended instead.
    fn answers(&mut self, port: u16) -> bool {
        let until = Instant::now() + DEADLINE;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if self.has_ended() {
                return false;
            }
            assert!(Instant::now() < until, "it runs and takes no connection");
            std::thread::park_timeout(LOOK_AGAIN);
        }
        // Somebody else's server would answer too: ours must be there still.
        !self.has_ended()
    }

    fn has_ended(&mut self) -> bool {
        self.0.try_wait().is_ok_and(|status| status.is_some())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when it is gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How often a server is asked whether it is up.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
