//! From the HTTP library's errors to ours, by walking their causes.

use std::error::Error;
use std::io;
use std::iter::successors;

use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::Connected;

use crate::FetchError;
use crate::brake::NoneIdle;

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

/// Whether a request was lost with its connection, before its answer came.
pub(crate) fn is_lost(error: &reqwest::Error) -> bool {
    !error.is_connect() && causes(error).any(is_end_of_connection)
}

/// Whether the server said that it has not looked at a request, and will not (RFC 9113 section 8.7).
pub(crate) fn is_refused(error: &reqwest::Error) -> bool {
    causes(error).filter_map(|cause| cause.downcast_ref::<h2::Error>()).any(|error| {
        let refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
        let goodbye = error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR);
        error.is_remote() && (refused || goodbye)
    })
}

fn is_end_of_connection(cause: &(dyn Error + 'static)) -> bool {
    if let Some(error) = cause.downcast_ref::<hyper::Error>() {
        return error.is_incomplete_message() || error.is_closed() || error.is_canceled();
    }
    let kind = cause.downcast_ref::<io::Error>().map(io::Error::kind);
    matches!(
        kind,
        Some(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof)
    )
}

/// Whether a request waited in vain for an idle connection, where no further one may be opened.
pub(crate) fn found_none_idle(error: &reqwest::Error) -> bool {
    causes(error).any(<dyn Error>::is::<NoneIdle>)
}

/// The connection on which a request failed, where one had been found for it.
pub(crate) fn connection_of(error: &reqwest::Error) -> Option<&Connected> {
    causes(error).find_map(|cause| cause.downcast_ref::<legacy::Error>()?.connect_info())
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
