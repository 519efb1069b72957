//! Trust: whom the client believes, and what it says when it does not.
#![expect(clippy::unwrap_used, reason = "the helpers of a test fail as the test does")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, Stream};
use skyhaul_http::{Client, Fetch, FetchError, HttpConfig, HttpSetupError, Request};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// How the server ends its connection.
#[derive(Clone, Copy)]
enum Ends {
    /// With TLS's own farewell.
    Properly,
    /// By closing the socket alone.
    Abruptly,
}

/// Answers one connection over TLS with the same bytes.
fn tls_server(answer: &'static [u8], ends: Ends) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serving = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut tls = ServerConnection::new(server_config()).unwrap();
        let mut stream = Stream::new(&mut tls, &mut socket);
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read(&mut byte) {
                Ok(1) => head.push(byte[0]),
                _ => return,
            }
        }
        stream.write_all(answer).unwrap();
        stream.flush().unwrap();
        if matches!(ends, Ends::Properly) {
            tls.send_close_notify();
            tls.complete_io(&mut socket).unwrap();
        }
    });
    (address, serving)
}

fn server_config() -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain =
        CertificateDer::pem_file_iter(fixture("server.pem")).unwrap().collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(fixture("server.key")).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key);
    Arc::new(config.unwrap())
}

fn client(cacert: Option<PathBuf>) -> Result<Client, HttpSetupError> {
    Client::new(HttpConfig { cacert, ..HttpConfig::default() })
}

async fn get(client: &Client, address: SocketAddr) -> Result<Vec<u8>, FetchError> {
    let mut response = client.fetch(Request::get(format!("https://{address}/").parse().unwrap())).await?;
    let mut body = Vec::new();
    while let Some(piece) = response.body.chunk().await? {
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

#[tokio::test]
async fn a_certificate_file_is_trusted_beside_the_systems() {
    let (address, serving) =
        tls_server(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello", Ends::Properly);
    let client = client(Some(fixture("ca.pem"))).unwrap();
    assert_eq!(get(&client, address).await.unwrap(), b"hello");
    serving.join().unwrap();
}

#[tokio::test]
async fn an_unknown_issuer_is_a_tls_error() {
    let (address, serving) = tls_server(b"", Ends::Properly);
    let error = get(&client(None).unwrap(), address).await.unwrap_err();
    assert!(matches!(error, FetchError::Tls { .. }), "{error:?}");
    assert_eq!(error.to_string(), format!("no trusted TLS connection to {address}"));
    serving.join().unwrap();
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_a_tls_error() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serving = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let _ = socket.read(&mut [0; 1024]);
        let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let error = get(&client(None).unwrap(), address).await.unwrap_err();
    assert!(matches!(error, FetchError::Tls { .. }), "{error:?}");
    serving.join().unwrap();
}

#[tokio::test]
async fn a_close_without_tls_farewell_is_a_truncated_body() {
    let answer = b"HTTP/1.0 200 OK\r\n\r\nhello";
    for (ends, whole) in [(Ends::Properly, true), (Ends::Abruptly, false)] {
        let (address, serving) = tls_server(answer, ends);
        let outcome = get(&client(Some(fixture("ca.pem"))).unwrap(), address).await;
        match whole {
            true => assert_eq!(outcome.unwrap(), b"hello"),
            false => assert!(matches!(outcome, Err(FetchError::Truncated { .. })), "{outcome:?}"),
        }
        serving.join().unwrap();
    }
}

#[test]
fn a_bad_certificate_file_is_a_sentence() {
    let missing = client(Some("/nowhere/ca.pem".into())).unwrap_err();
    assert_eq!(missing.to_string(), "cannot read the certificates in /nowhere/ca.pem");
    let dir = tempfile::tempdir().unwrap();
    let table: [&[u8]; 3] =
        [b"", b"not a certificate", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"];
    for content in table {
        let path = dir.path().join("ca.pem");
        std::fs::write(&path, content).unwrap();
        let error = client(Some(path)).unwrap_err();
        assert!(matches!(error, HttpSetupError::CertificatesInvalid { .. }), "{content:?}: {error:?}");
        assert!(error.to_string().contains("must be PEM"), "{error}");
    }
}
