//! Folder pages, as the servers that are likely to stand in front of an archive lay them out.

use std::fmt::Write as _;

use crate::dates;
use crate::faults::{IndexSizes, IndexStyle};
use crate::folders::{Entries, Entry};

/// The page of a folder (a path that ends in a slash); none in the style that has no pages.
pub(crate) fn page(path: &str, entries: &Entries, style: IndexStyle, sizes: IndexSizes) -> Option<String> {
    let rows = entries.iter().map(|(name, entry)| Row::new(name, *entry, sizes));
    match style {
        IndexStyle::Table => Some(table(path, rows)),
        IndexStyle::Apache => Some(apache(path, rows)),
        IndexStyle::Nginx => Some(nginx(path, rows)),
        IndexStyle::Off => None,
    }
}

/// An entry in words.
struct Row {
    /// With a slash behind a folder.
    name: String,
    /// Seconds since 1970; folders of the archive have no time worth telling.
    modified: Option<i64>,
    size: String,
}

impl Row {
    fn new(name: &str, entry: Entry, sizes: IndexSizes) -> Self {
        match entry {
            Entry::Folder => Self { name: format!("{name}/"), modified: None, size: "-".to_owned() },
            Entry::File { len, modified } => {
                let size = match sizes {
                    IndexSizes::Exact => len.to_string(),
                    IndexSizes::Rounded => rounded(len),
                };
                Self { name: name.to_owned(), modified: Some(modified), size }
            }
        }
    }
}

fn table(path: &str, rows: impl Iterator<Item = Row>) -> String {
    let mut page = format!(
        "<!DOCTYPE HTML PUBLIC \"-//W3C//DTD HTML 3.2 Final//EN\">\n<html>\n <head>\n  <title>Index of {path}</title>\n \
         </head>\n <body>\n<h1>Index of {path}</h1>\n  <table>\n   <tr><th><a href=\"?C=N;O=D\">Name</a></th>\
         <th><a href=\"?C=M;O=A\">Last modified</a></th><th><a href=\"?C=S;O=A\">Size</a></th></tr>\n   \
         <tr><td><a href=\"../\">Parent Directory</a></td><td>&nbsp;</td><td align=\"right\">  - </td></tr>\n"
    );
    for Row { name, modified, size } in rows {
        let date = modified.map_or_else(|| "&nbsp;".to_owned(), dates::page);
        // Writing to a String cannot fail.
        let _ = writeln!(
            page,
            "<tr><td><a href=\"{name}\">{name}</a></td><td align=\"right\">{date}  </td>\
             <td align=\"right\">{size}</td></tr>"
        );
    }
    page.push_str("</table>\n</body></html>\n");
    page
}

fn apache(path: &str, rows: impl Iterator<Item = Row>) -> String {
    const NAME_WIDTH: usize = 23;
    let mut page = format!(
        "<!DOCTYPE HTML PUBLIC \"-//W3C//DTD HTML 3.2 Final//EN\">\n<html>\n <head>\n  <title>Index of {path}</title>\n \
         </head>\n <body>\n<h1>Index of {path}</h1>\n<pre><img src=\"/icons/blank.gif\" alt=\"Icon \"> \
         <a href=\"?C=N;O=D\">Name</a>                    <a href=\"?C=M;O=A\">Last modified</a>      \
         <a href=\"?C=S;O=A\">Size</a>  <a href=\"?C=D;O=A\">Description</a><hr>\
         <img src=\"/icons/back.gif\" alt=\"[PARENTDIR]\"> <a href=\"../\">Parent Directory</a>                             -   \n"
    );
    for Row { name, modified, size } in rows {
        let (icon, alt) = if modified.is_some() { ("compressed", "[   ]") } else { ("folder", "[DIR]") };
        let date = modified.map_or_else(String::new, dates::page);
        let shown = shortened(&name, NAME_WIDTH, "..>");
        let gap = " ".repeat(NAME_WIDTH - shown.chars().count());
        let shown = shown.replace('>', "&gt;");
        let _ = writeln!(
            page,
            "<img src=\"/icons/{icon}.gif\" alt=\"{alt}\"> <a href=\"{name}\">{shown}</a>{gap} {date:16} {size:>5}  "
        );
    }
    page.push_str("<hr></pre>\n</body></html>\n");
    page
}

fn nginx(path: &str, rows: impl Iterator<Item = Row>) -> String {
    const NAME_WIDTH: usize = 50;
    let mut page = format!(
        "<html>\r\n<head><title>Index of {path}</title></head>\r\n<body>\r\n<h1>Index of {path}</h1><hr><pre>\
         <a href=\"../\">../</a>\r\n"
    );
    for Row { name, modified, size } in rows {
        let shown = shortened(&name, NAME_WIDTH, "..>");
        let gap = " ".repeat(NAME_WIDTH + 1 - shown.chars().count());
        let shown = shown.replace('>', "&gt;");
        let date = dates::nginx(modified.unwrap_or(0));
        let _ = write!(page, "<a href=\"{name}\">{shown}</a>{gap}{date}{size:>20}\r\n");
    }
    page.push_str("</pre><hr></body>\r\n</html>\r\n");
    page
}

/// A name cut to `width` characters, the last of which are `mark` if it was longer.
fn shortened(name: &str, width: usize, mark: &str) -> String {
    if name.len() <= width {
        return name.to_owned();
    }
    format!("{}{mark}", name.get(..width - mark.len()).unwrap_or(name))
}

/// The way of Apache: one decimal below ten, none above.
fn rounded(len: u64) -> String {
    if len < 1024 {
        return len.to_string();
    }
    let mut amount = len as f64 / 1024.0;
    for unit in ["K", "M", "G"] {
        if amount < 9.95 {
            return format!("{amount:.1}{unit}");
        }
        if amount < 973.0 || unit == "G" {
            return format!("{amount:.0}{unit}");
        }
        amount /= 1024.0;
    }
    len.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_as_apache_does() {
        let cases = [
            (0, "0"),
            (1023, "1023"),
            (1024, "1.0K"),
            (20_000, "20K"),
            (999_999, "1.0M"),
            (2_138_488, "2.0M"),
            (60_500_000, "58M"),
            (5_000_000_000, "4.7G"),
        ];
        for (len, expected) in cases {
            assert_eq!(rounded(len), expected, "{len}");
        }
    }

    #[test]
    fn every_style_names_every_entry() {
        let long = "20220101_0600_gill_themis19_full_and_a_name_beyond_all_widths.pgm.gz";
        let file = Entry::File { len: 2_138_488, modified: 1_394_434_800 };
        let entries: Entries =
            [("ut06", Entry::Folder), ("a.txt", file), (long, file)].map(|(n, e)| (n.to_owned(), e)).into();
        for style in [IndexStyle::Table, IndexStyle::Apache, IndexStyle::Nginx] {
            for (sizes, size) in [(IndexSizes::Exact, "2138488"), (IndexSizes::Rounded, "2.0M")] {
                let page = page("/x/", &entries, style, sizes).unwrap();
                for href in ["../", "ut06/", "a.txt", long] {
                    assert!(page.contains(&format!("<a href=\"{href}\">")), "{style:?} {href}");
                }
                assert!(page.contains(size) && page.contains("2014"), "{style:?} {sizes:?}");
            }
        }
        assert_eq!(page("/x/", &entries, IndexStyle::Off, IndexSizes::Exact), None);
    }

    #[test]
    fn lines_look_as_nginx_writes_them() {
        let file = Entry::File { len: 3, modified: 1_394_434_800 };
        let entries = Entries::from([("a.txt".to_owned(), file)]);
        let page = page("/", &entries, IndexStyle::Nginx, IndexSizes::Exact).unwrap();
        let gap = " ".repeat(46);
        let line = format!("<a href=\"a.txt\">a.txt</a>{gap}10-Mar-2014 07:00{:>20}\r\n", 3);
        assert!(page.contains(&line), "{page}");
    }
}
