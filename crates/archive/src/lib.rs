//! The archive's API: catalogue, observatories, listings, imaging time frames. Lenient in, exact out.
//!
//! Speaks through the [`Fetch`](skyhaul_http::Fetch) seam alone. Nothing here is durable: a crash loses
//! the answer that was being read, and it is asked for again. Facts about the API come from its OpenAPI
//! text (v1.56.0) and from the recorded cases of the archive's own Python client.

mod answer;
mod client;
mod dataset;
mod error;
mod feed;
mod imaging;
mod lenient;
mod listing;
mod observatory;
mod parse;
mod urls;

pub use client::Archive;
pub use dataset::{Dataset, Resolution};
pub use error::ArchiveError;
pub use imaging::ImagingTimeframe;
pub use listing::{Listing, ListingRequest, TotalBytes};
pub use observatory::Observatory;
pub use urls::{UrlReader, Urls};
