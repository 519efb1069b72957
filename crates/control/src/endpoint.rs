//! Where an engine listens: the places for its socket, in order, and loopback as the last resort.
//!
//! Only the server chooses among them; clients read the choice in `engine.json`, so that a client with
//! another environment (cron, sudo, a batch system) finds the engine all the same.

use std::path::{Path, PathBuf};

use crate::error::{Result, io_error};
use crate::private;

/// Longest path of a socket in bytes; `sun_path` holds 108 on Linux (unix(7)) and 104 on BSD and macOS.
#[cfg(unix)]
const SOCKET_PATH_MAX: usize = 100;

/// Where an engine for a state directory may listen.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// The state directory's real path.
    pub(crate) state_dir: PathBuf,
    /// In the order in which they are tried.
    pub(crate) places: Vec<Place>,
}

/// One place to listen at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A socket in a folder.
    #[cfg(unix)]
    Socket {
        /// The socket.
        path: PathBuf,
        /// Whose the folder around it is.
        folder: Folder,
    },
    /// A free port of 127.0.0.1.
    Loopback,
}

/// The folder around a socket.
#[cfg(unix)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Folder {
    /// Ours: it is made, and kept to its owner.
    Ours,
    /// The state directory: it is taken as it is.
    StateDir,
}

impl Endpoint {
    /// The endpoint of a state directory, which is made if it is not there: a socket in the user's runtime
    /// directory, else in the state directory, else below the temporary directory; where none of them will
    /// do (or there are no such sockets), a loopback port. Blocking.
    ///
    /// # Errors
    /// The state directory cannot be made or read.
    pub fn for_state_dir(state_dir: &Path) -> Result<Self> {
        let mut endpoint = Self::loopback(state_dir)?;
        #[cfg(unix)]
        endpoint.places.splice(0..0, Surroundings::current().places(&endpoint.state_dir));
        Ok(endpoint)
    }

    /// The endpoint of a state directory at a loopback port, without a socket. Blocking.
    ///
    /// # Errors
    /// The state directory cannot be made or read.
    pub fn loopback(state_dir: &Path) -> Result<Self> {
        if !state_dir.is_dir() {
            if let Some(parent) = state_dir.parent() {
                std::fs::create_dir_all(parent).map_err(io_error("cannot create", parent))?;
            }
            private::make_dir(state_dir)?;
        }
        let state_dir = state_dir.canonicalize().map_err(io_error("cannot find", state_dir))?;
        Ok(Self { state_dir, places: vec![Place::Loopback] })
    }
}

/// What the places for a socket depend on.
#[cfg(unix)]
struct Surroundings {
    /// The user's runtime directory, where there is one that is theirs alone.
    runtime_dir: Option<PathBuf>,
    temp_dir: PathBuf,
    uid: u32,
}

#[cfg(unix)]
impl Surroundings {
    fn current() -> Self {
        let uid = private::our_uid();
        let runtime_dir = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        Self {
            runtime_dir: runtime_dir.filter(|dir| is_private(dir, uid)),
            temp_dir: std::env::temp_dir(),
            uid,
        }
    }

    fn places(&self, state_dir: &Path) -> Vec<Place> {
        let name = format!("{}.sock", digest(state_dir));
        let ours = |folder: PathBuf| Place::Socket { path: folder.join(&name), folder: Folder::Ours };
        let in_state_dir = Place::Socket { path: state_dir.join("engine.sock"), folder: Folder::StateDir };
        let in_runtime_dir = self.runtime_dir.iter().map(|dir| ours(dir.join("skyhaul")));
        let in_temp_dir = ours(self.temp_dir.join(format!("skyhaul-{}", self.uid)));
        in_runtime_dir.chain([in_state_dir, in_temp_dir]).filter(fits).collect()
    }
}

/// The XDG Base Directory Specification wants the runtime directory to be absolute, the user's own, and
/// 0700; after `sudo` it is often another user's.
#[cfg(unix)]
fn is_private(dir: &Path, uid: u32) -> bool {
    use std::os::unix::fs::MetadataExt;
    let private =
        |found: std::fs::Metadata| found.is_dir() && found.uid() == uid && found.mode() & 0o077 == 0;
    dir.is_absolute() && std::fs::metadata(dir).is_ok_and(private)
}

/// A place that `engine.json` can name and a socket can have.
#[cfg(unix)]
fn fits(place: &Place) -> bool {
    match place {
        Place::Socket { path, .. } => path.to_str().is_some_and(|path| path.len() <= SOCKET_PATH_MAX),
        Place::Loopback => true,
    }
}

/// Sixteen hex digits that tell one state directory from another.
#[cfg(unix)]
fn digest(state_dir: &Path) -> String {
    use sha2::Digest;
    let digest = sha2::Sha256::digest(state_dir.as_os_str().as_encoded_bytes());
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    fn surroundings(runtime_dir: Option<&str>) -> Surroundings {
        Surroundings { runtime_dir: runtime_dir.map(PathBuf::from), temp_dir: "/tmp".into(), uid: 7 }
    }

    fn paths(places: &[Place]) -> Vec<String> {
        let path = |place: &Place| match place {
            Place::Socket { path, .. } => path.display().to_string(),
            Place::Loopback => "loopback".to_owned(),
        };
        places.iter().map(path).collect()
    }

    #[test]
    fn the_runtime_directory_comes_first() {
        let name = digest(Path::new("/s"));
        assert_eq!(name.len(), 16);
        let places = surroundings(Some("/run/user/7")).places(Path::new("/s"));
        assert_eq!(
            paths(&places),
            [
                format!("/run/user/7/skyhaul/{name}.sock"),
                "/s/engine.sock".to_owned(),
                format!("/tmp/skyhaul-7/{name}.sock")
            ]
        );
    }

    #[test]
    fn a_socket_is_not_put_where_its_path_would_be_too_long() {
        let deep = format!("/{}", "d".repeat(SOCKET_PATH_MAX - "//engine.sock".len()));
        assert_eq!(surroundings(None).places(Path::new(&deep)).len(), 2);
        let deeper = format!("{deep}d");
        let places = surroundings(None).places(Path::new(&deeper));
        assert_eq!(paths(&places), [format!("/tmp/skyhaul-7/{}.sock", digest(Path::new(&deeper)))]);
    }

    #[test]
    fn a_runtime_directory_that_others_can_read_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let uid = private::our_uid();
        private::set_mode(dir.path(), 0o700).unwrap();
        assert!(is_private(dir.path(), uid));
        assert!(!is_private(dir.path(), uid + 1));
        private::set_mode(dir.path(), 0o750).unwrap();
        assert!(!is_private(dir.path(), uid));
        assert!(!is_private(Path::new("run"), uid));
    }

    #[test]
    fn a_state_directory_is_made_and_one_that_is_there_keeps_its_mode() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        let state = dir.path().join("a/state");
        let endpoint = Endpoint::for_state_dir(&state).unwrap();
        assert_eq!(mode(&state), 0o700);
        assert_eq!(endpoint.places.last(), Some(&Place::Loopback));
        private::set_mode(&state, 0o755).unwrap();
        Endpoint::for_state_dir(&state).unwrap();
        assert_eq!(mode(&state), 0o755);
    }
}
