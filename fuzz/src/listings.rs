//! The archive's answers: whatever they are, a listing comes out or a sentence does.

use std::sync::Arc;

use http::{HeaderMap, StatusCode};
use skyhaul_archive::{Archive, ListingRequest, TotalBytes};

use crate::block_on;
use crate::scripted::Site;

/// The body of an answer, to each question that there is.
pub(crate) fn listings(input: &[u8]) {
    let ask = || {
        let site = Site::saying(StatusCode::OK, HeaderMap::new(), input);
        Archive::new(Arc::new(site), "https://a.example").unwrap()
    };
    let request = ListingRequest {
        dataset: "D".to_owned(),
        start: jiff::Timestamp::UNIX_EPOCH,
        end: jiff::Timestamp::UNIX_EPOCH,
        site: None,
        device: None,
        include_total_bytes: TotalBytes::Omit,
    };
    block_on(async {
        if let Ok(listing) = ask().listing(&request).await {
            let told = listing.urls.len();
            let read = listing.urls.read().unwrap().map(Result::unwrap).count() as u64;
            assert_eq!(read, told);
        }
        // Whatever is told is told in a sentence, which must not fail either.
        let _ = ask().datasets(None).await.map_err(|error| error.to_string());
        let _ = ask().observatories("rego", None).await.map_err(|error| error.to_string());
        let _ = ask().imaging_timeframes(jiff::Timestamp::UNIX_EPOCH, &["gill"], 102.0).await;
    });
}
