//! `datasets` and `datasets show`: the archive's catalogue.

use serde_json::Value;

use crate::args::{DatasetsArgs, DatasetsCommand};
use crate::catalogue::{Catalogue, dataset_named, no_dataset, text};
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::table::{Align, Table};

/// Runs the command.
pub(crate) async fn run(args: DatasetsArgs, context: &Context) -> Result<Exit, CliError> {
    let datasets = Catalogue::of(context, &context.settings.api).await?.datasets().await?;
    match args.command {
        Some(DatasetsCommand::Show { name }) => {
            let dataset = dataset_named(&datasets, &name).ok_or_else(|| no_dataset(&name, &datasets))?;
            if context.is_json() {
                context.output.json(dataset)?;
            } else {
                context.output.lines(&in_full(dataset))?;
            }
        }
        None => {
            let matching = matching(&datasets, args.pattern.as_deref());
            if context.is_json() {
                context.output.json(&matching)?;
            } else if matching.is_empty() {
                context.output.note("no dataset has such a name");
            } else {
                context.output.lines(&table(&matching))?;
            }
        }
    }
    Ok(Exit::Done)
}

fn matching<'a>(datasets: &'a [Value], pattern: Option<&str>) -> Vec<&'a Value> {
    let Some(pattern) = pattern else { return datasets.iter().collect() };
    let pattern = pattern.to_lowercase();
    let fits = |name: &str| {
        if pattern.contains(['*', '?']) { fits_wildcards(&pattern, name) } else { name.contains(&pattern) }
    };
    let name = |dataset: &Value| text(dataset, "name").unwrap_or_default().to_lowercase();
    datasets.iter().filter(|dataset| fits(&name(dataset))).collect()
}

/// `*` stands for any characters, `?` for one; the rest for itself. Backtracks to the last `*` only, so a
/// long pattern costs no more than the product of both lengths.
fn fits_wildcards(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut seen) = (0, 0);
    let mut last_star: Option<(usize, usize)> = None;
    while seen < name.len() {
        match pattern.get(at) {
            Some('*') => {
                last_star = Some((at, seen));
                at += 1;
            }
            Some(&c) if c == '?' || c == name[seen] => {
                at += 1;
                seen += 1;
            }
            _ => match last_star {
                Some((star, from)) => {
                    last_star = Some((star, from + 1));
                    (at, seen) = (star + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|&c| c == '*')
}

fn table(datasets: &[&Value]) -> Vec<String> {
    let mut table = Table::new([("NAME", Align::Left), ("LEVEL", Align::Left), ("WHAT", Align::Left)]);
    for dataset in datasets {
        let field = |name| text(dataset, name).unwrap_or("-").to_owned();
        table.row([field("name"), field("level"), field("short_description")]);
    }
    table.lines()
}

fn in_full(dataset: &Value) -> Vec<String> {
    let field = |name| text(dataset, name).unwrap_or("-");
    let mut lines: Vec<String> = [
        ("name", field("name")),
        ("level", field("level")),
        ("files of", field("file_time_resolution")),
        ("tree", field("data_tree_url")),
        ("doi", field("doi")),
        ("citation", field("citation")),
        ("about", field("short_description")),
    ]
    .iter()
    .map(|(name, value)| format!("{name:<9} {value}"))
    .collect();
    if let Some(long) = text(dataset, "long_description") {
        lines.push(String::new());
        lines.extend(long.lines().map(str::to_owned));
    }
    lines
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pattern_is_a_part_or_has_wildcards() {
        let datasets = [json!({"name": "THEMIS_ASI_RAW"}), json!({"name": "REGO_RAW"}), json!({"x": 1})];
        let found = |pattern| matching(&datasets, pattern).len();
        let table = [
            (None, 3),
            (Some("raw"), 2),
            (Some("themis"), 1),
            (Some("*_RAW"), 2),
            (Some("rego*"), 1),
            (Some("rego"), 1),
            (Some("REG?_RAW"), 1),
            (Some("*ASI"), 0),
            (Some("nothing"), 0),
        ];
        for (pattern, count) in table {
            assert_eq!(found(pattern), count, "{pattern:?}");
        }
    }

    #[test]
    fn missing_fields_are_dashes() {
        let dataset = json!({"name": "A", "level": null, "long_description": "one\ntwo"});
        insta::assert_snapshot!(in_full(&dataset).join("\n"), @r"
        name      A
        level     -
        files of  -
        tree      -
        doi       -
        citation  -
        about     -

        one
        two
        ");
        assert_eq!(table(&[&dataset]), ["NAME  LEVEL  WHAT", "A     -      -"]);
    }

    /// The definition, as plain as it can be.
    fn oracle(pattern: &[char], name: &[char]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (None, None) => true,
            (Some(('*', rest)), _) => {
                oracle(rest, name) || name.split_first().is_some_and(|(_, tail)| oracle(pattern, tail))
            }
            (Some((&c, rest)), Some((&n, tail))) => (c == '?' || c == n) && oracle(rest, tail),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn wildcards_fit_as_defined(pattern in "[ab*?]{0,8}", name in "[ab]{0,8}") {
            let (p, n): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
            prop_assert_eq!(fits_wildcards(&pattern, &name), oracle(&p, &n));
        }
    }
}
