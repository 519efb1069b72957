//! The page's files, as they are compiled in: plain HTML, CSS and modules, nothing that is built or fetched.

/// A file of the page.
#[derive(Debug)]
pub(crate) struct Asset {
    pub(crate) path: &'static str,
    pub(crate) content_type: &'static str,
    pub(crate) content: &'static str,
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// A module of the page.
macro_rules! module {
    ($name:literal) => {
        Asset {
            path: concat!("/", $name),
            content_type: SCRIPT,
            content: include_str!(concat!("assets/", $name)),
        }
    };
}

/// All of them.
pub(crate) static ASSETS: [Asset; 14] = [
    Asset { path: "/", content_type: HTML, content: include_str!("assets/index.html") },
    Asset { path: "/style.css", content_type: CSS, content: include_str!("assets/style.css") },
    Asset { path: "/forms.css", content_type: CSS, content: include_str!("assets/forms.css") },
    Asset { path: "/icon.svg", content_type: SVG, content: include_str!("assets/icon.svg") },
    // Asked for by browsers without being told to.
    Asset { path: "/favicon.ico", content_type: SVG, content: include_str!("assets/icon.svg") },
    module!("app.js"),
    module!("board.js"),
    module!("chart.js"),
    module!("detail.js"),
    module!("dialogs.js"),
    module!("dom.js"),
    module!("format.js"),
    module!("jobs.js"),
    module!("server.js"),
];

/// The file at a path.
pub(crate) fn find(path: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.path == path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_asked_of_anybody_else() {
        for asset in &ASSETS {
            let elsewhere = asset.content.replace("http://www.w3.org/2000/svg", "");
            for mark in ["http://", "https://", "//cdn", "@import", "url("] {
                assert!(!elsewhere.contains(mark), "{} has {mark}", asset.path);
            }
        }
    }

    #[test]
    fn nothing_is_inline_that_the_policy_forbids() {
        for asset in &ASSETS {
            for mark in ["<style", " style=", " onclick=", " onload=", "javascript:", "innerHTML", "eval("] {
                assert!(!asset.content.contains(mark), "{} has {mark}", asset.path);
            }
        }
    }

    #[test]
    fn every_file_that_is_named_is_there() {
        for asset in &ASSETS {
            let quoted = asset.content.split(['"', '\'']).skip(1).step_by(2);
            for name in
                quoted.filter(|name| name.starts_with("./") || name.starts_with('/') && name.contains('.'))
            {
                let path = format!("/{}", name.trim_start_matches("./").trim_start_matches('/'));
                assert!(find(&path).is_some(), "{} names {name}", asset.path);
            }
        }
    }
}
