//! The running replica: the accept loop that owns every connection, and the handle that tests hold.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

use crate::archive::Archive;
use crate::catalogue::Catalogue;
use crate::config::Config;
use crate::desk::FaultDesk;
use crate::error::{Error, Result};
use crate::faults::Faults;
use crate::log::{RequestLog, RequestRecord};
use crate::meter::{Connection, Metered};
use crate::overlay::Overlay;
use crate::service;
use crate::sites::Sites;
use crate::store::Store;
use crate::throttle::Throttle;

/// The pause after a connection that could not be accepted.
const ACCEPT_REST: Duration = Duration::from_millis(10);

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) base_url: String,
    pub(crate) store: Store,
    pub(crate) desk: FaultDesk,
    pub(crate) throttle: Arc<Throttle>,
    log: Arc<RequestLog>,
    refused_connections: AtomicU64,
}

/// The way to start a replica.
#[derive(Debug)]
pub struct Replica;

/// A replica that runs until it is shut down or dropped.
#[derive(Debug)]
pub struct RunningReplica {
    shared: Arc<Shared>,
    stop: oneshot::Sender<()>,
    accepting: JoinHandle<()>,
}

impl Replica {
    /// Starts a replica; it accepts connections when this returns.
    pub async fn start(config: Config) -> Result<RunningReplica> {
        let catalogue = Catalogue::load().map_err(Error::Table)?;
        let sites = Sites::load().map_err(Error::Table)?;
        let overlay = match &config.data_dir {
            Some(folder) => Overlay::scan(folder, &catalogue)
                .map_err(|source| Error::Data { folder: folder.clone(), source })?,
            None => Overlay::default(),
        };
        let log = RequestLog::open(config.log_path.as_deref(), config.log_entries_max)
            .map_err(|source| Error::Log { path: config.log_path.clone().unwrap_or_default(), source })?;
        let listen = |source| Error::Listen { address: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let archive = Arc::new(Archive { catalogue, sites, overlay, bulk_files: config.listing_size });
        let shared = Arc::new(Shared {
            base_url: format!("http://{address}"),
            store: Store::new(archive, config.file_scale, config.cache_bytes_max),
            desk: FaultDesk::new(config.faults),
            throttle: Arc::new(Throttle::new(config.rate_bytes_per_s)),
            log: Arc::new(log),
            refused_connections: AtomicU64::new(0),
        });
        let (stop, stopped) = oneshot::channel();
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared), stopped));
        Ok(RunningReplica { shared, stop, accepting })
    }
}

impl RunningReplica {
    /// The server's address as a URL, without a slash at the end.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.shared.base_url
    }

    /// The requests answered so far, in the order in which their answers ended.
    #[must_use]
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.shared.log.snapshot()
    }

    /// Waits until at least `count` answers have ended (or broken off) and gives all of them.
    pub async fn requests_reach(&self, count: usize) -> Vec<RequestRecord> {
        self.shared.log.reaches(count).await;
        self.requests()
    }

    /// Forgets the requests so far (the log file keeps them).
    pub fn clear_requests(&self) {
        self.shared.log.clear();
    }

    /// How many connections were closed at once because a client had too many.
    #[must_use]
    pub fn refused_connections(&self) -> u64 {
        self.shared.refused_connections.load(Ordering::Relaxed)
    }

    /// The faults in force, to be changed and set again.
    #[must_use]
    pub fn faults(&self) -> Faults {
        Faults::clone(&self.shared.desk.faults())
    }

    /// Puts other faults in force; "first requests" and "first attempts" are counted afresh from here.
    pub fn set_faults(&self, faults: Faults) {
        self.shared.desk.set(faults);
    }

    /// Sets another rate for the whole server; none is unlimited. Answers under way follow it.
    pub fn set_rate(&self, bytes_per_s: Option<u64>) {
        self.shared.throttle.set(bytes_per_s);
    }

    /// Replaces the file of a URL or path by another one: other bytes, other ETag, a later date.
    pub fn replace(&self, url_or_path: &str) {
        self.shared.store.replace(&self.path(url_or_path));
    }

    /// The bytes that the file of a URL or path has now, without faults; none if there is no such file.
    pub async fn content(&self, url_or_path: &str) -> Result<Option<Bytes>> {
        self.content_after(url_or_path, 0).await
    }

    /// The bytes that the file of a URL or path would have after so many replacements, without other faults.
    pub async fn content_after(&self, url_or_path: &str, replacements: u32) -> Result<Option<Bytes>> {
        match self.shared.store.sound(&self.path(url_or_path), replacements) {
            Some(item) => self.shared.store.content(&item).await.map(Some).map_err(Error::Content),
            None => Ok(None),
        }
    }

    /// Stops accepting, breaks off what is under way, and waits until all is gone.
    pub async fn shutdown(self) {
        drop(self.stop);
        // The accept loop does not panic; and if it did, all its connections are gone too.
        let _ = self.accepting.await;
    }

    fn path(&self, url_or_path: &str) -> String {
        let path = url_or_path.strip_prefix(self.base_url()).unwrap_or(url_or_path);
        percent_decode_str(path).decode_utf8_lossy().into_owned()
    }
}

/// Accepts until told to stop; owns the connections and takes them with it.
async fn accept(listener: TcpListener, shared: Arc<Shared>, mut stopped: oneshot::Receiver<()>) {
    let mut connections: JoinSet<IpAddr> = JoinSet::new();
    let mut per_client: HashMap<IpAddr, usize> = HashMap::new();
    let mut number = 0;
    loop {
        tokio::select! {
            _ = &mut stopped => break,
            Some(ended) = connections.join_next(), if !connections.is_empty() => {
                if let Some(count) = ended.ok().and_then(|peer| per_client.get_mut(&peer)) {
                    *count = count.saturating_sub(1);
                }
            }
            accepted = listener.accept() => {
                let Ok((socket, peer)) = accepted else {
                    // No reason to stop, but without a rest a lack of file descriptors would make this spin.
                    tokio::time::sleep(ACCEPT_REST).await;
                    continue;
                };
                let count = per_client.entry(peer.ip()).or_default();
                if shared.desk.faults().connections_per_client_max.is_some_and(|max| *count >= max) {
                    shared.refused_connections.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
                *count += 1;
                number += 1;
                let connection = Connection::new(number, peer.ip(), Arc::clone(&shared.log));
                connections.spawn(converse(socket, Arc::clone(&shared), Arc::new(connection)));
            }
        }
    }
    connections.shutdown().await;
}

/// Serves one connection to its end and says whose it was.
async fn converse(socket: TcpStream, shared: Arc<Shared>, connection: Arc<Connection>) -> IpAddr {
    let peer = connection.peer;
    if socket.set_nodelay(true).is_ok() {
        let metered = Metered::new(socket, Arc::clone(&connection));
        let service =
            service_fn(move |request| service::answer(Arc::clone(&shared), Arc::clone(&connection), request));
        // How a connection ends is in the log; the faults break many of them on purpose.
        let _: io::Result<()> = http1::Builder::new()
            .serve_connection(TokioIo::new(metered), service)
            .await
            .map_err(io::Error::other);
    }
    peer
}
