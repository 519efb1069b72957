//! The HTTP library's clients, set up: TLS, proxies, windows and pools.
//!
//! The library keeps one HTTP/2 connection a client and host, which is never best, so there are a few
//! clients that may speak it, and one that never does. What needs TLS is set up when it is first needed.

use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;

use crate::brake::Brake;
use crate::config::{HttpConfig, HttpSetupError};
use crate::controller::LANES;
use crate::trust::Trust;

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
    /// For URLs without TLS.
    plain: reqwest::Client,
    secure: OnceCell<Secure>,
    trust: Arc<Trust>,
    connect_timeout: Duration,
    proxy: Proxy,
}

/// The clients that speak TLS.
#[derive(Debug)]
struct Secure {
    lanes: Vec<reqwest::Client>,
    pool: reqwest::Client,
}

/// How a proxy that the environment names for `http` URLs is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proxy {
    PlainOrNone,
    OverTls,
}

impl Clients {
    /// Reads the certificates that the user names; those of the system can wait.
    pub(crate) fn new(config: &HttpConfig) -> Result<Self, HttpSetupError> {
        // Process-wide, and the first one stays: ours is as good as another's.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let trust = Arc::new(Trust::read(config.cacert.as_deref())?);
        let connect_timeout = config.connect_timeout;
        // To trust nobody is the one TLS that costs nothing to set up.
        let plain = pooled(connect_timeout).tls_certs_only([]).build().map_err(setup_error)?;
        let proxy = Proxy::of(|name| std::env::var(name).ok());
        Ok(Self { plain, secure: OnceCell::new(), trust, connect_timeout, proxy })
    }

    /// The client for a URL's scheme, by its number: the lanes, then the pool.
    pub(crate) async fn numbered(
        &self,
        scheme: &str,
        number: usize,
    ) -> Result<&reqwest::Client, HttpSetupError> {
        if scheme == "http" && self.proxy == Proxy::PlainOrNone {
            return Ok(&self.plain);
        }
        let secure = self.secure.get_or_try_init(|| self.secure()).await?;
        Ok(secure.lanes.get(number).unwrap_or(&secure.pool))
    }

    async fn secure(&self) -> Result<Secure, HttpSetupError> {
        let trust = Arc::clone(&self.trust);
        let tls = spawn_blocking(move || trust.tls()).await.map_err(setup_error)?.map_err(setup_error)?;
        Secure::new(self.connect_timeout, &tls).map_err(setup_error)
    }
}

impl Secure {
    /// They share what they know of sessions with a host, so that a further connection costs less than the first.
    fn new(connect_timeout: Duration, tls: &ClientConfig) -> Result<Self, reqwest::Error> {
        let speaking = |protocols: &[&str]| {
            let mut tls = tls.clone();
            tls.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
            tls
        };
        let lane = || {
            let tls = speaking(&["h2", "http/1.1"]);
            streaming(connect_timeout).tls_backend_preconfigured(tls).build()
        };
        let pool = pooled(connect_timeout).tls_backend_preconfigured(speaking(&["http/1.1"])).build()?;
        Ok(Self { lanes: (0..LANES).map(|_| lane()).collect::<Result<_, _>>()?, pool })
    }
}

impl Proxy {
    fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        let mut named =
            ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"].into_iter().filter_map(variable);
        let over_tls =
            |proxy: String| proxy.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("https:"));
        if named.any(over_tls) { Self::OverTls } else { Self::PlainOrNone }
    }
}

/// What may speak HTTP/2 where it is offered.
fn streaming(connect_timeout: Duration) -> reqwest::ClientBuilder {
    builder(connect_timeout)
        .http2_keep_alive_interval(KEEPALIVE)
        .http2_initial_connection_window_size(CONNECTION_WINDOW)
        .http2_initial_stream_window_size(STREAM_WINDOW)
        .http2_max_frame_size(FRAME)
        .http2_max_header_list_size(LONGEST_HEAD)
}

/// What never does.
fn pooled(connect_timeout: Duration) -> reqwest::ClientBuilder {
    builder(connect_timeout).http1_only()
}

fn builder(connect_timeout: Duration) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        // The transport sees to that, so that what is sent is counted.
        .retry(reqwest::retry::never())
        .connector_layer(Brake)
        .connect_timeout(connect_timeout)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .tcp_keepalive(KEEPALIVE)
        .tcp_keepalive_interval(KEEPALIVE)
        .tcp_nodelay(true)
}

fn setup_error(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> HttpSetupError {
    HttpSetupError::Client(error.into())
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
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let client = |number| runtime.block_on(clients.numbered("https", number)).unwrap();
        assert_eq!(agreed(client(0)).unwrap(), b"h2");
        assert_eq!(agreed(client(3)).unwrap(), b"h2");
        assert_eq!(agreed(client(POOL)).unwrap(), b"http/1.1");
    }

    #[tokio::test]
    async fn what_needs_no_tls_sets_none_up() {
        let clients = Clients::new(&HttpConfig::default()).unwrap();
        clients.numbered("http", POOL).await.unwrap();
        assert!(clients.secure.get().is_none());
        clients.numbered("https", POOL).await.unwrap();
        assert!(clients.secure.get().is_some());
    }

    #[test]
    fn a_proxy_over_tls_is_told_from_others() {
        let of = |name: &'static str, value: &'static str| {
            Proxy::of(move |asked| (asked == name).then(|| value.to_owned()))
        };
        assert_eq!(of("http_proxy", "https://proxy:443"), Proxy::OverTls);
        assert_eq!(of("ALL_PROXY", "HTTPS://proxy"), Proxy::OverTls);
        assert_eq!(of("http_proxy", "http://proxy:3128"), Proxy::PlainOrNone);
        assert_eq!(of("http_proxy", "proxy"), Proxy::PlainOrNone);
        assert_eq!(of("https_proxy", "https://proxy"), Proxy::PlainOrNone, "not for http URLs");
    }
}
