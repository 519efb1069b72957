//! Sockets and ports: taken so that nobody else can get at them at any moment, and given back.

use std::io;

use tokio::net::TcpListener;

use crate::endpoint::{Endpoint, Place};
use crate::engine_file::Address;
use crate::error::{ControlError, Result, io_error};
use crate::stream::Stream;

/// What listens.
#[derive(Debug)]
pub(crate) enum Listener {
    #[cfg(unix)]
    Socket(tokio::net::UnixListener),
    Port(TcpListener),
}

/// Listens at the first place that will do.
///
/// # Errors
/// [`ControlError::AlreadyRunning`] at once; of other failures the first, when every place failed.
pub(crate) async fn at(endpoint: &Endpoint) -> Result<(Listener, Address)> {
    let mut first_failure = None;
    for place in &endpoint.places {
        match at_place(place).await {
            Err(error) if !matches!(error, ControlError::AlreadyRunning(_)) => {
                tracing::warn!(%error, "cannot listen there, trying the next place");
                first_failure.get_or_insert(error);
            }
            settled => return settled,
        }
    }
    let nowhere =
        || io_error("there is nowhere to listen for", &endpoint.state_dir)(io::ErrorKind::NotFound.into());
    Err(first_failure.unwrap_or_else(nowhere))
}

/// Listens at a port of 127.0.0.1; 0 is any free one. Gives the port.
pub(crate) async fn at_port(port: u16) -> Result<(TcpListener, u16)> {
    let name = format!("port {port} of 127.0.0.1");
    let here = std::path::Path::new(&name);
    let listener =
        TcpListener::bind(("127.0.0.1", port)).await.map_err(io_error("cannot listen at", here))?;
    let address = listener.local_addr().map_err(io_error("cannot find", here))?;
    Ok((listener, address.port()))
}

/// Removes a socket. Blocking.
pub(crate) fn unbind(address: &Address) -> Result<()> {
    match address {
        Address::Socket(path) => crate::private::remove(path),
        Address::Tcp(_) => Ok(()),
    }
}

impl Listener {
    /// The next connection; none in place of one that another user made.
    pub(crate) async fn accept(&self) -> io::Result<Option<Stream>> {
        match self {
            #[cfg(unix)]
            Self::Socket(listener) => {
                let (stream, _) = listener.accept().await?;
                // The folder and the mode keep others out already; some systems look at neither.
                let peer = stream.peer_cred()?.uid();
                let is_welcome = peer == crate::private::our_uid() || peer == 0;
                Ok(is_welcome.then(|| Box::new(stream) as Stream))
            }
            Self::Port(listener) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok(Some(Box::new(stream)))
            }
        }
    }
}

async fn at_place(place: &Place) -> Result<(Listener, Address)> {
    match place {
        #[cfg(unix)]
        Place::Socket { path, folder } => {
            let listener = socket::at(path, *folder).await?;
            Ok((Listener::Socket(listener), Address::Socket(path.clone())))
        }
        Place::Loopback => {
            let (listener, port) = at_port(0).await?;
            Ok((Listener::Port(listener), Address::Tcp(([127, 0, 0, 1], port).into())))
        }
    }
}

#[cfg(unix)]
mod socket {
    use std::fs;
    use std::io;
    use std::os::unix::fs::FileTypeExt;
    use std::os::unix::net;
    use std::path::{Path, PathBuf};
    use std::time::Duration;

    use tokio::net::{UnixListener, UnixStream};

    use crate::endpoint::Folder;
    use crate::error::{ControlError, Result, cut_short, io_error};
    use crate::{private, stream};

    /// How long a socket that lies there already may take to show that nobody listens at it.
    const LOOK: Duration = Duration::from_secs(1);

    pub(super) async fn at(path: &Path, folder: Folder) -> Result<UnixListener> {
        let owned = path.to_owned();
        let ready = move || prepare(&owned, folder);
        tokio::task::spawn_blocking(ready).await.map_err(cut_short)??;
        refuse_living(path).await?;
        let owned = path.to_owned();
        let bound = tokio::task::spawn_blocking(move || bind(&owned)).await.map_err(cut_short)??;
        UnixListener::from_std(bound).map_err(io_error("cannot listen at", path))
    }

    /// Makes the folder, and looks that nothing but a socket would be replaced.
    fn prepare(path: &Path, folder: Folder) -> Result<()> {
        if let (Folder::Ours, Some(folder)) = (folder, path.parent()) {
            private::make_dir(folder)?;
        }
        match fs::symlink_metadata(path) {
            Ok(found) if !found.file_type().is_socket() => {
                Err(ControlError::Unsafe { path: path.to_owned(), what: "is no socket".to_owned() })
            }
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(io_error("cannot read", path)(error)),
        }
    }

    /// A socket that a dead engine left refuses; whatever else happens, somebody may be behind it.
    async fn refuse_living(path: &Path) -> Result<()> {
        match tokio::time::timeout(LOOK, UnixStream::connect(path)).await {
            Ok(Err(error)) if stream::is_deserted(&error) => Ok(()),
            _ => Err(ControlError::AlreadyRunning(path.to_owned())),
        }
    }

    /// A socket gets its mode from the umask, so it is bound in a folder that nobody else can enter and
    /// moved into place once it is 0600; the rename replaces what a dead engine left.
    fn bind(path: &Path) -> Result<net::UnixListener> {
        let nest = path.with_extension("d");
        private::make_dir(&nest)?;
        let hatched = hatch(&nest, path);
        let removed = fs::remove_dir(&nest).map_err(io_error("cannot remove", &nest));
        hatched.and_then(|listener| removed.map(|()| listener))
    }

    fn hatch(nest: &Path, path: &Path) -> Result<net::UnixListener> {
        let fresh: PathBuf = nest.join("s");
        private::remove(&fresh)?;
        let listener = net::UnixListener::bind(&fresh).map_err(io_error("cannot listen at", &fresh))?;
        private::set_mode(&fresh, 0o600)?;
        listener.set_nonblocking(true).map_err(io_error("cannot set up", &fresh))?;
        fs::rename(&fresh, path).map_err(io_error("cannot rename", &fresh))?;
        Ok(listener)
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::endpoint::Folder;

    fn endpoint(dir: &Path, sockets: &[(PathBuf, Folder)]) -> Endpoint {
        let place =
            |(path, folder): &(PathBuf, Folder)| Place::Socket { path: path.clone(), folder: *folder };
        Endpoint { state_dir: dir.to_owned(), places: sockets.iter().map(place).collect() }
    }

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).map_or(0, |found| found.permissions().mode() & 0o777)
    }

    #[tokio::test]
    async fn a_place_that_will_not_do_is_passed_over_and_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let occupied = dir.path().join("engine.sock");
        fs::write(&occupied, "a note").unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(dir.path(), &link).unwrap();
        let free = dir.path().join("ours/engine.sock");
        let sockets = [
            (occupied.clone(), Folder::StateDir),
            (dir.path().join("missing/folder/engine.sock"), Folder::Ours),
            (link.join("engine.sock"), Folder::Ours),
            (free.clone(), Folder::Ours),
        ];
        let (_listener, address) = at(&endpoint(dir.path(), &sockets)).await.unwrap();
        assert_eq!(address, Address::Socket(free.clone()));
        assert_eq!((mode(&free), mode(&dir.path().join("ours"))), (0o600, 0o700));
        assert_eq!(fs::read(&occupied).unwrap(), b"a note");

        let nowhere = at(&endpoint(dir.path(), &sockets[..1])).await.unwrap_err();
        assert!(nowhere.to_string().contains("is no socket"), "{nowhere}");
    }

    #[tokio::test]
    async fn what_a_crash_left_at_any_step_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("engine.sock");
        let sockets = [(path.clone(), Folder::StateDir)];
        let nest = dir.path().join("engine.d");
        fs::create_dir(&nest).unwrap();
        drop(std::os::unix::net::UnixListener::bind(nest.join("s")).unwrap());
        for _ in 0..2 {
            let (listener, address) = at(&endpoint(dir.path(), &sockets)).await.unwrap();
            let again = at(&endpoint(dir.path(), &sockets)).await;
            assert!(matches!(again, Err(ControlError::AlreadyRunning(_))), "somebody listens there");
            assert!(!nest.exists());
            // As a crash would: the socket stays behind.
            drop(listener);
            assert!(path.exists());
            assert_eq!(address, Address::Socket(path.clone()));
        }
        unbind(&Address::Socket(path.clone())).unwrap();
        unbind(&Address::Socket(path.clone())).unwrap();
        assert!(!path.exists());
    }
}
