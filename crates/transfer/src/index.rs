//! Folder pages: the HTML in which web servers list a folder with sizes, as Apache, nginx and their likes print it. Pure.

use std::collections::HashMap;

use url::Url;

/// The exact sizes in bytes that a folder's page tells, by the files' URL paths.
///
/// A size counts when it stands behind the file's link and a time of day, in digits alone: `2.1M` is rounded
/// and proves nothing. Whatever else the page says is passed over.
pub(crate) fn exact_sizes(page: &str, folder: &Url) -> HashMap<String, u64> {
    let mut sizes = HashMap::new();
    for entry in page.split("<a ").skip(1) {
        let Some((target, rest)) = link(entry) else { continue };
        let Ok(url) = folder.join(&target.replace("&amp;", "&")) else { continue };
        // Links that sort the page bear a query, and lead to no file.
        if url.query().is_none()
            && url.origin() == folder.origin()
            && let Some(size) = size_behind(rest)
        {
            sizes.insert(url.path().to_owned(), size);
        }
    }
    sizes
}

/// Where a link leads, and what stands behind it up to the next.
fn link(entry: &str) -> Option<(&str, &str)> {
    let (attributes, rest) = entry.split_once('>')?;
    let (_, quoted) = attributes.split_once("href=")?;
    let quote = quoted.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    let target = quoted[1..].split(quote).next()?;
    let (_, behind) = rest.split_once("</a>")?;
    Some((target, behind))
}

fn size_behind(behind: &str) -> Option<u64> {
    let plain = without_tags(behind).replace("&nbsp;", " ");
    let mut words = plain.split_whitespace().skip_while(|word| !is_time_of_day(word));
    words.next()?;
    let size = words.next()?;
    size.bytes().all(|byte| byte.is_ascii_digit()).then(|| size.parse().ok())?
}

fn without_tags(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for (number, piece) in text.split('<').enumerate() {
        let outside = if number == 0 { piece } else { piece.split_once('>').map_or("", |(_, rest)| rest) };
        plain.push_str(outside);
        plain.push(' ');
    }
    plain
}

/// `06:00`, perhaps with seconds.
fn is_time_of_day(word: &str) -> bool {
    let parts: Vec<&str> = word.split(':').collect();
    let is_number = |part: &&str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    (2..=3).contains(&parts.len()) && parts.iter().all(is_number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn folder() -> Url {
        "https://a.example/d/ut06/".parse().unwrap()
    }

    #[test]
    fn what_folder_pages_tell() {
        let table = [
            (
                "nginx",
                r#"<a href="x.gz">x.gz</a>          01-Jan-2022 06:00             2138488"#,
                Some(2_138_488),
            ),
            (
                "Apache, exact",
                r#"<img src="/i.gif" alt="[   ]"> <a href="x.gz">x.gz</a>  2022-01-01 06:00  712  "#,
                Some(712),
            ),
            ("Apache, rounded", r#"<a href="x.gz">x.gz</a>  2022-01-01 06:00  2.0M"#, None),
            (
                "a table",
                r#"<td><a href="x.gz">x.gz</a></td><td align="right">2022-01-01 06:00:01  </td><td align="right">77</td><td>&nbsp;</td>"#,
                Some(77),
            ),
            ("a number in the description", r#"<a href="x.gz">x.gz</a> 2022-01-01 06:00  2.0M 2021"#, None),
            ("no time", r#"<li><a href="x.gz">x.gz</a></li> 77"#, None),
            ("a folder's", r#"<a href="x.gz/">x.gz/</a>  2022-01-01 06:00  77"#, None),
            ("another folder's", r#"<a href="../x.gz">x.gz</a>  2022-01-01 06:00  77"#, None),
            ("another site's", r#"<a href="https://b.example/d/ut06/x.gz">x</a> 2022-01-01 06:00 77"#, None),
            ("a whole path", r#"<a class='f' href='/d/ut06/x.gz'>x</a> 2022-01-01 06:00 77"#, Some(77)),
            ("a sorting link", r#"<a href="x.gz?C=S">Size</a> 2022-01-01 06:00 77"#, None),
            ("too large for a number", r#"<a href="x.gz">x</a> 06:00 99999999999999999999"#, None),
            ("cut off", r#"<a href="x.gz">x</a> 2022-01-01 06:00"#, None),
            ("no link", r#"<a name="x.gz">x</a> 2022-01-01 06:00 77"#, None),
        ];
        for (row, page, expected) in table {
            assert_eq!(exact_sizes(page, &folder()).get("/d/ut06/x.gz").copied(), expected, "{row}");
        }
    }

    #[test]
    fn each_file_has_its_own_size() {
        let page = "<pre><a href=\"../\">../</a>\n<a href=\"a.gz\">a.gz</a> 01-Jan-2022 06:00 5\n\
                    <a href=\"b%20b.gz\">b b.gz</a> 01-Jan-2022 06:00 6\n</pre>";
        let sizes = exact_sizes(page, &folder());
        assert_eq!(sizes.len(), 2);
        assert_eq!((sizes["/d/ut06/a.gz"], sizes["/d/ut06/b%20b.gz"]), (5, 6));
    }

    proptest! {
        #[test]
        fn no_page_is_too_odd(pieces in proptest::collection::vec(
            prop_oneof![
                Just("<a "), Just("href="), Just("\""), Just("'"), Just(">"), Just("</a>"), Just("<"),
                Just("06:00"), Just(" 12 "), Just("é"), Just("x.gz"), Just("&nbsp;"),
            ],
            0..40,
        )) {
            exact_sizes(&pieces.concat(), &folder());
        }
    }
}
