//! One request over one connection, within a deadline.

use std::io;
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::events::Events;
use crate::engine_file::{Address, EngineFile};
use crate::error::{ControlError, Result, in_one_line, io_error};
use crate::stream;
use crate::token::Token;
use crate::wire::ErrorBody;

/// The most bytes of an answer that are taken in: room for tens of thousands of jobs.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// How long the head of an answer that goes on for ever may take.
const LISTEN_PATIENCE: Duration = Duration::from_secs(10);

/// The connection's own work, which has to go on for anything to be sent or received.
pub(super) type Driver = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What calls are made with.
#[derive(Debug)]
pub(super) struct Caller {
    address: Address,
    host: String,
    token: Token,
    pid: u32,
}

impl Caller {
    pub(super) fn new(file: &EngineFile) -> Self {
        Self {
            address: file.address.clone(),
            host: file.address.host(),
            token: file.token.clone(),
            pid: file.process.pid,
        }
    }

    /// Asks, and gives the answer's body if it is no failure.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
        patience: Duration,
    ) -> Result<Bytes> {
        let exchange = async {
            let (response, mut driver) = self.exchange(method, path, body).await?;
            alongside(&mut driver, receive(response)).await
        };
        let silent = || ControlError::Silent { pid: self.pid, seconds: patience.as_secs() };
        tokio::time::timeout(patience, exchange).await.unwrap_or_else(|_| Err(silent()))
    }

    /// Asks for an answer that goes on for ever.
    pub(super) async fn listen(&self, path: &str) -> Result<Events> {
        let begin = async {
            let (response, mut driver) = self.exchange(Method::GET, path, None).await?;
            if response.status().is_success() {
                return Ok(Events::new(response.into_body(), driver, self.pid));
            }
            let answer = alongside(&mut driver, receive(response)).await;
            Err(answer.err().unwrap_or_else(|| ControlError::Garbled("no events".to_owned())))
        };
        let silent = || ControlError::Silent { pid: self.pid, seconds: LISTEN_PATIENCE.as_secs() };
        tokio::time::timeout(LISTEN_PATIENCE, begin).await.unwrap_or_else(|_| Err(silent()))
    }

    /// Connects, asks, and gives the answer's head with what drives its body.
    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<(Response<Incoming>, Driver)> {
        let stream = stream::connect(&self.address).await.map_err(|error| self.unreachable(error))?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|e| broken(&e))?;
        // How the connection ends shows in the answer.
        let mut driver: Driver = Box::pin(async move { drop(connection.await) });
        let request = self.request(method, path, body)?;
        let answered = async move { sender.send_request(request).await.map_err(|error| broken(&error)) };
        let response = alongside(&mut driver, answered).await?;
        Ok((response, driver))
    }

    fn request(&self, method: Method, path: &str, body: Option<Bytes>) -> Result<Request<Full<Bytes>>> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.host)
            .header(AUTHORIZATION, self.token.authorization());
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request = request.body(Full::new(body.unwrap_or_default()));
        request.map_err(|error| ControlError::Garbled(error.to_string()))
    }

    fn unreachable(&self, error: io::Error) -> ControlError {
        if stream::is_deserted(&error) {
            return ControlError::Gone(error.to_string());
        }
        let path = match &self.address {
            Address::Socket(path) => path.clone(),
            Address::Tcp(address) => PathBuf::from(address.to_string()),
        };
        io_error("cannot connect to the engine at", &path)(error)
    }
}

/// Writes a request's body.
pub(super) fn compose(body: &impl Serialize) -> Result<Bytes> {
    let unsayable = |error: serde_json::Error| ControlError::Garbled(format!("cannot be said: {error}"));
    serde_json::to_vec(body).map(Bytes::from).map_err(unsayable)
}

/// Reads an answer's body.
pub(super) fn parse<T: DeserializeOwned>(answer: &[u8]) -> Result<T> {
    serde_json::from_slice(answer).map_err(|error| ControlError::Garbled(error.to_string()))
}

/// Does `work` while the connection is driven; a connection that has ended lets the work find out.
pub(super) async fn alongside<T>(driver: &mut Driver, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    tokio::select! {
        biased;
        done = work.as_mut() => return done,
        () = driver.as_mut() => {}
    }
    // A future that has ended must not be asked again.
    *driver = Box::pin(std::future::pending());
    work.await
}

async fn receive(response: Response<Incoming>) -> Result<Bytes> {
    let status = response.status();
    let received = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
    let received = received.map_err(|error| broken(&*error))?.to_bytes();
    if status.is_success() {
        return Ok(received);
    }
    match serde_json::from_slice::<ErrorBody>(&received) {
        Ok(body) => Err(ControlError::Refused(body)),
        Err(_) => Err(ControlError::Garbled(format!("status {status}"))),
    }
}

/// Whatever breaks between two processes of one machine breaks because one of them ends.
fn broken(error: &(dyn std::error::Error + 'static)) -> ControlError {
    ControlError::Gone(in_one_line(error))
}
