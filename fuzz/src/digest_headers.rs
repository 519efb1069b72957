//! Headers that tell digests: what is believed is a digest, and of a part's answer only what speaks of the whole.

use http::StatusCode;
use skyhaul_verify::{Digest, server_digest};

use crate::scripted::head;

/// A line of the status, and lines of headers.
pub(crate) fn digest_headers(input: &[u8]) {
    let (status, mut headers) = head(input);
    let told = server_digest(status, &headers);
    if let Some(told) = &told {
        assert_eq!(told.to_string().parse::<Digest>().as_ref(), Ok(told));
    }
    if status != StatusCode::OK {
        let of_the_content = |name: &str| name.starts_with("x-") || name.starts_with("content-");
        let names: Vec<_> = headers.keys().filter(|name| of_the_content(name.as_str())).cloned().collect();
        for name in names {
            headers.remove(name);
        }
        assert_eq!(server_digest(status, &headers), told, "a part's digest was taken for the whole's");
    }
}
