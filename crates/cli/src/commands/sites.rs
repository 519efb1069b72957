//! `sites`: where the archive's instruments stand.

use serde_json::Value;

use crate::args::SitesArgs;
use crate::catalogue::{ARRAYS, Catalogue, text};
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::table::{Align, Table};

/// Runs the command.
pub(crate) async fn run(args: SitesArgs, context: &Context) -> Result<Exit, CliError> {
    let catalogue = Catalogue::of(context, &context.settings.api).await?;
    let sites = match args.array {
        Some(array) => {
            let array = known_array(&array)?;
            let sites = catalogue.sites(array).await?;
            if context.is_json() {
                sites
            } else {
                sites.into_iter().map(|site| of_array(site, array)).collect()
            }
        }
        None => {
            let mut all = Vec::new();
            for array in ARRAYS {
                all.extend(catalogue.sites(array).await?.into_iter().map(|site| of_array(site, array)));
            }
            all
        }
    };
    if context.is_json() {
        context.output.json(&sites)?;
    } else if sites.is_empty() {
        context.output.note("the archive names no sites");
    } else {
        context.output.lines(&table(&sites))?;
    }
    Ok(Exit::Done)
}

fn known_array(name: &str) -> Result<&'static str, CliError> {
    let lower = name.to_lowercase().replace('-', "_");
    ARRAYS.into_iter().find(|array| *array == lower).ok_or_else(|| {
        CliError::usage(format!("there is no instrument array '{name}'"))
            .hint(format!("the arrays are {}", ARRAYS.join(", ")))
    })
}

/// Among the sites of all arrays, each says which array it belongs to.
fn of_array(mut site: Value, array: &str) -> Value {
    if let Value::Object(fields) = &mut site {
        fields.insert("instrument_array".to_owned(), Value::from(array));
    }
    site
}

fn table(sites: &[Value]) -> Vec<String> {
    use Align::{Left, Right};
    let mut table = Table::new([
        ("SITE", Left),
        ("LATITUDE", Right),
        ("LONGITUDE", Right),
        ("ARRAY", Left),
        ("NAME", Left),
    ]);
    for site in sites {
        let field = |name| text(site, name).unwrap_or("-").to_owned();
        let degrees = |name| match site.get(name).and_then(Value::as_f64) {
            Some(value) => format!("{value:.2}"),
            None => "-".to_owned(),
        };
        table.row([
            field("uid"),
            degrees("geodetic_latitude"),
            degrees("geodetic_longitude"),
            field("instrument_array"),
            field("full_name"),
        ]);
    }
    table.lines()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn arrays_are_known_in_any_case() {
        assert_eq!(known_array("THEMIS-ASI").unwrap(), "themis_asi");
        let error = known_array("hubble").unwrap_err();
        assert_eq!(error.exit(), Exit::Usage);
        let CliError::Report(report) = error else { panic!() };
        assert!(ARRAYS.iter().all(|array| report.hints[0].contains(array)), "{report:?}");
    }

    #[test]
    fn sites_are_a_table() {
        let site = json!({"uid": "gill", "full_name": "Gillam, MB, Canada", "geodetic_latitude": 56.38, "geodetic_longitude": -94.64});
        let lines = table(&[of_array(site, "rego"), json!({"uid": "x"})]);
        insta::assert_snapshot!(lines.join("\n"), @r"
        SITE  LATITUDE  LONGITUDE  ARRAY  NAME
        gill     56.38     -94.64  rego   Gillam, MB, Canada
        x            -          -  -      -
        ");
    }
}
