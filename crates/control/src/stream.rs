//! Connections, whatever they run over.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::engine_file::Address;

/// How long to wait before a socket with a full queue of connections is tried again.
const CROWDED_REST: Duration = Duration::from_millis(20);

/// A connection.
pub(crate) type Stream = Box<dyn Duplex>;

/// What a connection can do.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// Connects. The caller has the deadline.
pub(crate) async fn connect(address: &Address) -> io::Result<Stream> {
    loop {
        match connect_once(address).await {
            // A Unix socket says so at once where TCP would wait (connect(2), EAGAIN).
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => tokio::time::sleep(CROWDED_REST).await,
            other => return other,
        }
    }
}

/// Whether a failure to connect says that nobody is there.
pub(crate) fn is_deserted(error: &io::Error) -> bool {
    use io::ErrorKind as K;
    matches!(
        error.kind(),
        K::ConnectionRefused | K::NotFound | K::NotADirectory | K::ConnectionReset | K::Unsupported
    )
}

async fn connect_once(address: &Address) -> io::Result<Stream> {
    match address {
        Address::Tcp(address) => {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream))
        }
        #[cfg(unix)]
        Address::Socket(path) => Ok(Box::new(tokio::net::UnixStream::connect(path).await?)),
        #[cfg(not(unix))]
        Address::Socket(_) => Err(io::ErrorKind::Unsupported.into()),
    }
}
