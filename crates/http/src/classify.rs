//! From the HTTP library's errors to ours, by walking their causes.

use std::error::Error;
use std::io;
use std::iter::successors;

use crate::FetchError;

/// Why no head came.
pub(crate) fn head_error(host: String, url: String, error: reqwest::Error) -> FetchError {
    // The URL may hold a token, and the message names the host already.
    let error = error.without_url();
    if error.is_builder() {
        return FetchError::Request { url, why: innermost(&error) };
    }
    let trouble = trouble(&error);
    let connecting = error.is_connect();
    let source = Box::new(error);
    match trouble {
        Trouble::Tls => FetchError::Tls { host, source },
        // Cut within the handshake: something is there, so the host is not away.
        Trouble::Ended if connecting => FetchError::Broken { host, source },
        _ if connecting => FetchError::Connect { host, answered_before: false, source },
        Trouble::Nonsense => FetchError::Protocol { host, source },
        Trouble::Ended | Trouble::Other => FetchError::Broken { host, source },
    }
}

/// Why a body did not come to its end.
pub(crate) fn body_error(host: String, error: reqwest::Error) -> FetchError {
    let source = Box::new(error.without_url());
    match trouble(source.as_ref()) {
        Trouble::Ended => FetchError::Truncated { host, source },
        Trouble::Nonsense => FetchError::Protocol { host, source },
        Trouble::Tls | Trouble::Other => FetchError::Broken { host, source },
    }
}

enum Trouble {
    /// TLS itself objected.
    Tls,
    /// The other side ended too early, by the transport's rules cleanly.
    Ended,
    /// What came breaks HTTP.
    Nonsense,
    /// Anything else.
    Other,
}

fn trouble(error: &(dyn Error + 'static)) -> Trouble {
    causes(error).find_map(named_trouble).unwrap_or(Trouble::Other)
}

fn named_trouble(cause: &(dyn Error + 'static)) -> Option<Trouble> {
    if cause.is::<rustls::Error>() {
        return Some(Trouble::Tls);
    }
    if let Some(error) = cause.downcast_ref::<hyper::Error>() {
        return match () {
            () if error.is_parse() => Some(Trouble::Nonsense),
            () if error.is_incomplete_message() => Some(Trouble::Ended),
            () => None,
        };
    }
    match cause.downcast_ref::<io::Error>()?.kind() {
        io::ErrorKind::UnexpectedEof => Some(Trouble::Ended),
        // TLS errors come wrapped as invalid data: what they wrap decides.
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput if !wraps_tls(cause) => {
            Some(Trouble::Nonsense)
        }
        _ => None,
    }
}

fn wraps_tls(cause: &(dyn Error + 'static)) -> bool {
    causes(cause).any(<dyn Error>::is::<rustls::Error>)
}

/// The error and everything below it. What an I/O error wraps is not among its sources, so that it has
/// to be asked for.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    successors(Some(error), |error| below(*error))
}

fn below<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}

fn innermost(error: &(dyn Error + 'static)) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}
