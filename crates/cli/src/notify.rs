//! Telling the service manager how far we are: systemd's sd_notify(3) protocol, a datagram for each state.
//!
//! Only words that do no harm when they are lost: a manager that cannot be told changes nothing for us.

/// A service manager that wants to know.
#[derive(Debug, Default)]
pub(crate) struct Manager {
    socket: Option<std::ffi::OsString>,
}

impl Manager {
    /// The one that started this process, where it asked to be told (`NOTIFY_SOCKET`).
    pub(crate) fn of_process() -> Self {
        Self { socket: std::env::var_os("NOTIFY_SOCKET").filter(|socket| !socket.is_empty()) }
    }

    /// Says that the engine answers.
    pub(crate) fn ready(&self) {
        self.tell("READY=1\nSTATUS=at work\n");
    }

    /// Says that the engine is coming to its end.
    pub(crate) fn stopping(&self) {
        self.tell("STOPPING=1\n");
    }

    fn tell(&self, state: &str) {
        let Some(socket) = &self.socket else { return };
        if let Err(error) = platform::send(socket, state.as_bytes()) {
            tracing::warn!(%error, "cannot tell the service manager how far we are");
        }
    }
}

#[cfg(target_os = "linux")]
mod platform {
    use std::ffi::OsStr;
    use std::io;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    /// A datagram on a local socket neither waits for a network nor for a reader.
    pub(super) fn send(socket: &OsStr, state: &[u8]) -> io::Result<()> {
        let address = match socket.as_bytes() {
            // An at sign stands for the zero byte of an abstract name (sd_notify(3)).
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
            path => SocketAddr::from_pathname(OsStr::from_bytes(path))?,
        };
        let ours = UnixDatagram::unbound()?;
        ours.set_nonblocking(true)?;
        ours.send_to_addr(state, &address).map(drop)
    }
}

#[cfg(not(target_os = "linux"))]
mod platform {
    /// There is no systemd elsewhere.
    pub(super) fn send(_socket: &std::ffi::OsStr, _state: &[u8]) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::*;

    #[test]
    fn the_manager_is_told_in_its_own_words() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let listener = UnixDatagram::bind(&path).unwrap();
        let manager = Manager { socket: Some(path.into()) };
        manager.ready();
        manager.stopping();
        let mut buffer = [0; 64];
        for expected in ["READY=1\nSTATUS=at work\n", "STOPPING=1\n"] {
            let length = listener.recv(&mut buffer).unwrap();
            assert_eq!(std::str::from_utf8(&buffer[..length]).unwrap(), expected);
        }
    }

    #[test]
    fn a_manager_that_has_gone_does_no_harm() {
        Manager { socket: Some("/nowhere/notify".into()) }.ready();
        Manager { socket: Some("@".into()) }.ready();
        Manager::default().stopping();
    }
}
