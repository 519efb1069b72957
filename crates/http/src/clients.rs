//! The HTTP library's clients, set up: TLS, proxies, windows and pools.
//!
//! The library keeps one HTTP/2 connection a client and host, which is never best, so there are a few
//! clients that may speak it, and one that never does.

use std::time::Duration;

use reqwest::Certificate;

use crate::brake::Brake;
use crate::config::{HttpConfig, HttpSetupError};
use crate::controller::{LANES, Speech};

/// Idle connections are closed after this: servers close theirs after a few seconds to a minute.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// How soon, and how often, an idle peer is asked whether it lives.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// What may be on its way over one HTTP/2 connection: 1 Gbit/s at a quarter of a second. A single body
/// may use half of it. It bounds what a server can make us hold, too.
const CONNECTION_WINDOW: u32 = 32 << 20;
const STREAM_WINDOW: u32 = 16 << 20;

/// Fewer frames a byte: the most that leaves several streams their turns.
const FRAME: u32 = 64 << 10;

/// A head of more is an attack or a mistake (HTTP/2; the library's own limits for HTTP/1.1 are 100
/// headers and 400 KiB).
const LONGEST_HEAD: u32 = 64 << 10;

/// The clients.
#[derive(Debug)]
pub(crate) struct Clients {
    lanes: Vec<reqwest::Client>,
    pool: reqwest::Client,
}

impl Clients {
    pub(crate) fn new(config: &HttpConfig) -> Result<Self, HttpSetupError> {
        // Process-wide, and the first one stays: ours is as good as another's.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let certificates = certificates(config)?;
        let pool = build(config, &certificates, Speech::Pooled)?;
        let lanes = (0..LANES).map(|_| build(config, &certificates, Speech::Offered));
        Ok(Self { lanes: lanes.collect::<Result<_, _>>()?, pool })
    }

    /// A client by its number: the lanes, then the pool.
    pub(crate) fn numbered(&self, number: usize) -> &reqwest::Client {
        self.lanes.get(number).unwrap_or(&self.pool)
    }
}

fn build(
    config: &HttpConfig,
    certificates: &[Certificate],
    speech: Speech,
) -> Result<reqwest::Client, HttpSetupError> {
    let all = builder(config, speech).tls_certs_merge(certificates.iter().cloned()).build();
    all.or_else(|error| {
        // A system without any trusted certificates must still reach plain http, and https by --cacert.
        let only = builder(config, speech).tls_certs_only(certificates.iter().cloned()).build();
        only.inspect(|_| tracing::warn!(%error, "cannot use the system's certificates"))
            .map_err(|_| setup_error(config, error))
    })
}

fn builder(config: &HttpConfig, speech: Speech) -> reqwest::ClientBuilder {
    let builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        // The transport sees to that, so that what is sent is counted.
        .retry(reqwest::retry::never())
        .connector_layer(Brake)
        .connect_timeout(config.connect_timeout)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .tcp_keepalive(KEEPALIVE)
        .tcp_keepalive_interval(KEEPALIVE)
        .tcp_nodelay(true);
    match speech {
        Speech::Pooled => builder.http1_only(),
        Speech::Offered => builder
            .http2_keep_alive_interval(KEEPALIVE)
            .http2_initial_connection_window_size(CONNECTION_WINDOW)
            .http2_initial_stream_window_size(STREAM_WINDOW)
            .http2_max_frame_size(FRAME)
            .http2_max_header_list_size(LONGEST_HEAD),
    }
}

fn certificates(config: &HttpConfig) -> Result<Vec<Certificate>, HttpSetupError> {
    let Some(path) = &config.cacert else { return Ok(Vec::new()) };
    let pem = std::fs::read(path)
        .map_err(|source| HttpSetupError::CertificatesUnreadable { path: path.clone(), source })?;
    let invalid = |source| HttpSetupError::CertificatesInvalid { path: path.clone(), source };
    let found = Certificate::from_pem_bundle(&pem).map_err(|error| invalid(Some(error.into())))?;
    if found.is_empty() { Err(invalid(None)) } else { Ok(found) }
}

/// Certificates are parsed only when a client is built, so that a bad one shows here.
fn setup_error(config: &HttpConfig, error: reqwest::Error) -> HttpSetupError {
    let source = Box::new(error);
    match &config.cacert {
        Some(path) => HttpSetupError::CertificatesInvalid { path: path.clone(), source: Some(source) },
        None => HttpSetupError::Client(source),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::path::Path;
    use std::sync::Arc;

    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use rustls::{ServerConfig, ServerConnection};

    use super::*;
    use crate::lanes::POOL;

    fn server_config() -> Arc<ServerConfig> {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
        let chain = CertificateDer::pem_file_iter(fixtures.join("server.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(fixtures.join("server.key")).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain.collect::<Result<_, _>>().unwrap(), key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Arc::new(config)
    }

    /// What a server that speaks both agrees upon with this client.
    fn agreed(client: &reqwest::Client) -> Option<Vec<u8>> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}/", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut tls = ServerConnection::new(server_config()).unwrap();
            tls.complete_io(&mut socket).unwrap();
            tls.alpn_protocol().map(<[u8]>::to_vec)
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let answer = runtime.block_on(client.get(url).send());
        assert!(answer.is_err(), "the server leaves after the handshake");
        server.join().unwrap()
    }

    #[test]
    fn lanes_speak_http_2_where_it_is_offered_and_the_pool_never_does() {
        let cacert = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/ca.pem");
        let clients = Clients::new(&HttpConfig { cacert: Some(cacert), ..HttpConfig::default() }).unwrap();
        assert_eq!(agreed(clients.numbered(0)).unwrap(), b"h2");
        assert_eq!(agreed(clients.numbered(3)).unwrap(), b"h2");
        assert_eq!(agreed(clients.numbered(POOL)).unwrap(), b"http/1.1");
    }
}
