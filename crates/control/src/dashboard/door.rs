//! Who is let in to the dashboard: whoever brings a link that was given out on the control socket, once; from
//! then on, whoever brings the cookie that the link was changed for. Prometheus brings a token of its own, for
//! the metrics alone.
//!
//! Any program and any web page on this machine can send requests to a loopback port. A page of another site
//! cannot read the cookie, cannot make the browser send it along (SameSite=Strict), cannot name our Host after
//! DNS rebinding, and must tell its Origin when it wants to change something. Links and sessions are in
//! memory and end with the engine: the cookie of another one, older or beside it, means nothing here.

use std::collections::VecDeque;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::header::{AUTHORIZATION, COOKIE, HOST, ORIGIN};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method};
use tokio::time::Instant;

use crate::token::Token;
use crate::wire::{ErrorBody, ErrorCode};

/// How long a link is good for.
const LINK_LIFE: Duration = Duration::from_mins(5);

/// The most links and the most sessions at once; the oldest make room.
const LINKS_MAX: usize = 16;
const SESSIONS_MAX: usize = 32;

/// Where links lead.
pub(crate) const ENTRANCE: &str = "/enter";

/// What browsers tell of where a request comes from (Fetch Metadata, W3C).
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The door of one engine's dashboard.
#[derive(Debug)]
pub(crate) struct Door {
    port: u16,
    /// Cookies know no ports: engines side by side need names of their own.
    cookie: String,
    metrics: Token,
    keys: Mutex<Keys>,
}

#[derive(Debug, Default)]
struct Keys {
    links: VecDeque<(Token, Instant)>,
    sessions: VecDeque<Token>,
}

/// What a request is about, as far as the door cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// To change a link for a cookie.
    Enter,
    /// The metrics.
    Metrics,
    /// Anything else.
    Inside,
}

impl Door {
    /// A door at a port; `metrics` opens the metrics.
    pub(crate) fn new(port: u16, metrics: Token) -> Self {
        Self { port, cookie: format!("skyhaul-{port}"), metrics, keys: Mutex::default() }
    }

    /// A link that opens the door once.
    pub(crate) fn link(&self) -> io::Result<String> {
        let key = Token::make()?;
        let link = format!("http://127.0.0.1:{}{ENTRANCE}?key={}", self.port, key.secret());
        let mut keys = self.keys();
        keys.links.push_back((key, Instant::now() + LINK_LIFE));
        if keys.links.len() > LINKS_MAX {
            keys.links.pop_front();
        }
        Ok(link)
    }

    /// Lets a request pass, or says why not. What it says tells nothing about the engine.
    pub(crate) fn check(&self, request: &Parts, wish: Wish) -> Result<(), ErrorBody> {
        let host = self.named_host(request)?;
        self.check_origin(request, &host, wish)?;
        match wish {
            Wish::Enter => Ok(()),
            Wish::Metrics if self.brings_metrics_token(request) => Ok(()),
            Wish::Metrics | Wish::Inside if self.brings_session(request) => Ok(()),
            Wish::Metrics => Err(refusal(ErrorCode::Unauthorized, "the token of metrics.token is needed")),
            Wish::Inside => {
                Err(refusal(ErrorCode::Unauthorized, "this page is opened by 'skyhaul dashboard'"))
            }
        }
    }

    /// Changes the key of a link for a session; gives its `Set-Cookie`. A key is good once.
    pub(crate) fn enter(&self, query: &str) -> io::Result<Option<String>> {
        let Some(given) = query.strip_prefix("key=") else { return Ok(None) };
        let session = Token::make()?;
        let mut keys = self.keys();
        let now = Instant::now();
        keys.links.retain(|(_, end)| *end > now);
        let found = keys.links.iter().position(|(key, _)| key.is(given.as_bytes()));
        let Some(place) = found else { return Ok(None) };
        keys.links.remove(place);
        let cookie = format!("{}={}; Path=/; HttpOnly; SameSite=Strict", self.cookie, session.secret());
        keys.sessions.push_back(session);
        if keys.sessions.len() > SESSIONS_MAX {
            keys.sessions.pop_front();
        }
        Ok(Some(cookie))
    }

    /// The one Host that is named, if it is ours (RFC 9112, section 3.2).
    fn named_host(&self, request: &Parts) -> Result<String, ErrorBody> {
        let ours = [format!("127.0.0.1:{}", self.port), format!("localhost:{}", self.port)];
        let is_ours = |name: &[u8]| ours.iter().find(|host| host.as_bytes().eq_ignore_ascii_case(name));
        let mut hosts = request.headers.get_all(HOST).iter();
        let named = match (hosts.next(), hosts.next()) {
            (Some(host), None) => is_ours(host.as_bytes()),
            _ => None,
        };
        let agrees = request.uri.authority().is_none_or(|name| is_ours(name.as_str().as_bytes()).is_some());
        let foreign = || refusal(ErrorCode::Forbidden, "this host is not served here");
        named.filter(|_| agrees).cloned().ok_or_else(foreign)
    }

    /// An Origin must be our own, and what changes something must have one: browsers always tell it there. A link
    /// may be followed from anywhere.
    fn check_origin(&self, request: &Parts, host: &str, wish: Wish) -> Result<(), ErrorBody> {
        let own = format!("http://{host}");
        let is_reading = matches!(request.method, Method::GET | Method::HEAD);
        let mut origins = request.headers.get_all(ORIGIN).iter();
        let is_own = match (origins.next(), origins.next()) {
            (None, _) => is_reading,
            (Some(origin), None) => origin.as_bytes() == own.as_bytes(),
            (Some(_), Some(_)) => false,
        };
        let site = request.headers.get(SEC_FETCH_SITE).map(HeaderValue::as_bytes);
        let is_near = matches!(site, None | Some(b"same-origin" | b"none")) || wish == Wish::Enter;
        if is_own && is_near {
            return Ok(());
        }
        Err(refusal(ErrorCode::Forbidden, "requests of other web pages are not answered"))
    }

    fn brings_metrics_token(&self, request: &Parts) -> bool {
        let mut proofs = request.headers.get_all(AUTHORIZATION).iter();
        matches!((proofs.next(), proofs.next()), (Some(proof), None) if self.metrics.is_proven_by(proof.as_bytes()))
    }

    /// RFC 6265, section 4.2.1: pairs with semicolons between; several headers are one list.
    fn brings_session(&self, request: &Parts) -> bool {
        let texts = request.headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let pairs = texts.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let given: Vec<_> = pairs.filter(|(name, _)| *name == self.cookie).map(|(_, value)| value).collect();
        let keys = self.keys();
        let is_known = |secret: &str| {
            keys.sessions.iter().fold(false, |known, session| known | session.is(secret.as_bytes()))
        };
        matches!(given.as_slice(), [secret] if is_known(secret))
    }

    fn keys(&self) -> MutexGuard<'_, Keys> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refusal(code: ErrorCode, message: &str) -> ErrorBody {
    ErrorBody::new(code, message)
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    const HOST_OURS: (&str, &str) = ("host", "127.0.0.1:4711");

    /// A method, headers, and how they are refused.
    type Case<'a> = (Method, &'a [(&'a str, &'a str)], Option<ErrorCode>);

    fn door() -> Door {
        Door::new(4711, Token::make().unwrap())
    }

    /// Enters by a fresh link and gives the cookie.
    fn session(door: &Door) -> String {
        let link = door.link().unwrap();
        let (_, query) = link.split_once('?').unwrap();
        let cookie = door.enter(query).unwrap().unwrap();
        cookie.split(';').next().unwrap().to_owned()
    }

    fn verdict(door: &Door, method: Method, wish: Wish, headers: &[(&str, &str)]) -> Option<ErrorCode> {
        let mut request = Request::builder().method(method).uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        door.check(&parts, wish).err().map(|body| body.code)
    }

    #[tokio::test(start_paused = true)]
    async fn a_link_opens_once_and_not_for_long() {
        let door = door();
        let query = |link: &str| link.split_once('?').unwrap().1.to_owned();
        let link = door.link().unwrap();
        assert!(link.starts_with("http://127.0.0.1:4711/enter?key="), "{link}");
        let cookie = door.enter(&query(&link)).unwrap().unwrap();
        assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Strict"), "{cookie}");
        assert_eq!(door.enter(&query(&link)).unwrap(), None, "a second time");
        let late = door.link().unwrap();
        tokio::time::advance(LINK_LIFE).await;
        for wrong in [query(&late).as_str(), "", "key=", "key=0", &query(&link)] {
            assert_eq!(door.enter(wrong).unwrap(), None, "{wrong}");
        }
    }

    #[tokio::test]
    async fn only_our_own_pages_are_answered() {
        use ErrorCode::{Forbidden, Unauthorized};
        let door = door();
        let cookie = session(&door);
        let (host, cookie) = (HOST_OURS, ("cookie", cookie.as_str()));
        let own = ("origin", "http://127.0.0.1:4711");
        let table: [Case<'_>; 14] = [
            (Method::GET, &[host, cookie], None),
            (Method::GET, &[host, cookie, own, ("sec-fetch-site", "same-origin")], None),
            (Method::GET, &[host, cookie, ("sec-fetch-site", "cross-site")], Some(Forbidden)),
            (Method::GET, &[host, cookie, ("sec-fetch-site", "same-site")], Some(Forbidden)),
            (Method::PUT, &[host, cookie, own], None),
            (Method::PUT, &[host, cookie], Some(Forbidden)),
            (Method::PUT, &[host, cookie, ("origin", "http://localhost:4711")], Some(Forbidden)),
            (Method::PUT, &[host, cookie, ("origin", "http://127.0.0.1:80")], Some(Forbidden)),
            (Method::GET, &[host, cookie, ("origin", "null")], Some(Forbidden)),
            (Method::PUT, &[host, cookie, own, own], Some(Forbidden)),
            (Method::GET, &[("host", "rebound.example:4711"), cookie], Some(Forbidden)),
            (Method::GET, &[host, host, cookie], Some(Forbidden)),
            (Method::GET, &[cookie], Some(Forbidden)),
            (Method::GET, &[host], Some(Unauthorized)),
        ];
        for (method, headers, expected) in table {
            assert_eq!(
                verdict(&door, method.clone(), Wish::Inside, headers),
                expected,
                "{method} {headers:?}"
            );
        }
        let localhost = [("host", "localhost:4711"), cookie, ("origin", "http://localhost:4711")];
        assert_eq!(verdict(&door, Method::PUT, Wish::Inside, &localhost), None);
    }

    #[tokio::test]
    async fn a_cookie_is_good_for_its_own_engine() {
        let (ours, other) = (door(), door());
        let theirs = session(&other);
        assert_eq!(verdict(&other, Method::GET, Wish::Inside, &[HOST_OURS, ("cookie", &theirs)]), None);
        let refused =
            |cookie: &str| verdict(&ours, Method::GET, Wish::Inside, &[HOST_OURS, ("cookie", cookie)]);
        let own = session(&ours);
        assert_eq!(refused(&format!("a=b; {own}; c=d")), None);
        for wrong in [
            theirs.as_str(),
            "",
            "skyhaul-4711",
            "skyhaul-4711=",
            &format!("{own}0"),
            &format!("{own}; {own}"),
        ] {
            assert_eq!(refused(wrong), Some(ErrorCode::Unauthorized), "{wrong}");
        }
    }

    #[tokio::test]
    async fn the_token_of_the_metrics_opens_nothing_else() {
        let door = door();
        let proof = door.metrics.authorization();
        let with = |wish| verdict(&door, Method::GET, wish, &[HOST_OURS, ("authorization", &proof)]);
        assert_eq!((with(Wish::Metrics), with(Wish::Inside)), (None, Some(ErrorCode::Unauthorized)));
        assert_eq!(verdict(&door, Method::GET, Wish::Metrics, &[HOST_OURS]), Some(ErrorCode::Unauthorized));
    }

    #[tokio::test]
    async fn links_and_sessions_are_bounded_and_the_latest_stay() {
        let door = door();
        let first = session(&door);
        let cookies: Vec<_> = (0..SESSIONS_MAX).map(|_| session(&door)).collect();
        let verdict =
            |cookie: &str| verdict(&door, Method::GET, Wish::Inside, &[HOST_OURS, ("cookie", cookie)]);
        assert_eq!(verdict(&first), Some(ErrorCode::Unauthorized));
        assert!(cookies.iter().all(|cookie| verdict(cookie).is_none()));
        let links: Vec<_> = (0..LINKS_MAX + 1).map(|_| door.link().unwrap()).collect();
        let enter = |link: &String| door.enter(link.split_once('?').unwrap().1).unwrap();
        assert!(enter(&links[0]).is_none() && enter(&links[1]).is_some());
    }
}
