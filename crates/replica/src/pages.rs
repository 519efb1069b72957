//! The HTML a web server sends by itself: the home page and error pages.

use http::StatusCode;

/// The home page, which also turns up where a file should be.
pub(crate) const HOME: &str = "<!DOCTYPE html>\n<html lang=\"en\">\n<head><title>Data archive</title></head>\n\
    <body>\n<h1>Data archive</h1>\n<p>This is a test server. Its files are in \
    <a href=\"/sort_by_project/\">sort_by_project</a>.</p>\n</body>\n</html>\n";

/// An error page.
pub(crate) fn error(status: StatusCode, text: &str) -> String {
    let title = format!("{} {}", status.as_str(), status.canonical_reason().unwrap_or(""));
    format!(
        "<!DOCTYPE HTML PUBLIC \"-//IETF//DTD HTML 2.0//EN\">\n<html><head>\n<title>{title}</title>\n</head>\
         <body>\n<h1>{title}</h1>\n<p>{text}</p>\n</body></html>\n"
    )
}
