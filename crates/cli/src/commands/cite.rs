//! `cite`: how the use of a job's or a dataset's data must be acknowledged.

use serde_json::Value;
use skyhaul_model::Source;

use crate::access::with_queue;
use crate::args::{CiteArgs, JobRef};
use crate::catalogue::{Catalogue, dataset_named, no_dataset, text};
use crate::context::Context;
use crate::desk::Desk;
use crate::error::CliError;
use crate::exit::Exit;
use crate::jobs::find;
use crate::json::CitationDocument;

/// Where the archive says how to acknowledge data that has no DOI.
const ACKNOWLEDGEMENT: &str = "https://data.phys.ucalgary.ca/about_datasets";

/// Runs the command.
pub(crate) async fn run(args: CiteArgs, context: &Context) -> Result<Exit, CliError> {
    let what: JobRef = match args.what.parse() {
        Ok(job) => job,
        Err(never) => match never {},
    };
    let citations = match &what {
        JobRef::Number(_) => of_job(context, &what).await?,
        JobRef::Name(name) => of_name(context, name, &what).await?,
    };
    if context.is_json() {
        context.output.json(&citations)?;
    } else {
        context.output.lines(&lines(&citations))?;
    }
    // People have read it in the answer; programs are told beside it.
    let without = |citation: &&CitationDocument| context.is_json() && citation.acknowledgement.is_some();
    for citation in citations.iter().filter(without) {
        context.output.note(&format!(
            "note: {} has no DOI; {ACKNOWLEDGEMENT} says how to acknowledge it",
            citation.dataset
        ));
    }
    Ok(Exit::Done)
}

/// A dataset's name comes first: it needs no queue, which may be at work elsewhere.
async fn of_name(context: &Context, name: &str, what: &JobRef) -> Result<Vec<CitationDocument>, CliError> {
    let datasets = Catalogue::of(context, &context.settings.api).await?.datasets().await?;
    if let Some(dataset) = dataset_named(&datasets, name) {
        return Ok(vec![citation(dataset, name)]);
    }
    match of_job(context, what).await {
        Err(error) if error.exit() == Exit::NoSuchJob => Err(no_dataset(name, &datasets)),
        result => result,
    }
}

async fn of_job(context: &Context, what: &JobRef) -> Result<Vec<CitationDocument>, CliError> {
    let job = with_queue(context, async |desk: &Desk| find(desk.jobs(), what).await).await?;
    let Source::Archive { api, datasets, .. } = &job.query.source else {
        context.output.note(&format!(
            "note: job {} was made from a list, which names no datasets; cite them by name",
            job.id
        ));
        return Ok(Vec::new());
    };
    let known = Catalogue::of(context, api).await?.datasets().await?;
    let cited = |name: &String| {
        dataset_named(&known, name)
            .map(|dataset| citation(dataset, name))
            .ok_or_else(|| no_dataset(name, &known))
    };
    datasets.iter().map(cited).collect()
}

fn citation(dataset: &Value, name: &str) -> CitationDocument {
    let field = |field| text(dataset, field).map(str::to_owned);
    let doi = field("doi");
    CitationDocument {
        dataset: field("name").unwrap_or_else(|| name.to_owned()),
        citation: field("citation"),
        acknowledgement: doi.is_none().then_some(ACKNOWLEDGEMENT),
        doi,
        doi_details: field("doi_details"),
    }
}

fn lines(citations: &[CitationDocument]) -> Vec<String> {
    let mut lines = Vec::new();
    for citation in citations {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.push(citation.dataset.clone());
        lines.push(format!("  citation: {}", citation.citation.as_deref().unwrap_or("none given")));
        match &citation.doi {
            Some(doi) => lines.push(format!("  doi: {doi}")),
            None => lines.push(format!("  doi: none; acknowledge as {ACKNOWLEDGEMENT} says")),
        }
        if let Some(details) = &citation.doi_details {
            lines.push(format!("  details: {details}"));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::{json, to_value};

    use super::*;

    fn rego() -> Value {
        json!({"name": "REGO_RAW", "citation": "Spanswick & Donovan (2014)", "doi": "https://doi.org/10.11575/Z7X6-5C42",
            "doi_details": "https://commons.datacite.org/doi.org/10.11575/z7x6-5c42", "level": "L0"})
    }

    #[test]
    fn a_citation_has_exactly_the_documented_shape() {
        assert_eq!(
            to_value(citation(&rego(), "rego_raw")).unwrap(),
            json!({"dataset": "REGO_RAW", "citation": "Spanswick & Donovan (2014)",
                "doi": "https://doi.org/10.11575/Z7X6-5C42",
                "doi_details": "https://commons.datacite.org/doi.org/10.11575/z7x6-5c42"})
        );
    }

    #[test]
    fn without_a_doi_the_archives_page_is_named() {
        let themis = citation(&json!({"name": "THEMIS_ASI_RAW", "doi": null}), "x");
        assert_eq!(themis.acknowledgement, Some(ACKNOWLEDGEMENT));
        insta::assert_snapshot!(lines(&[themis, citation(&rego(), "x")]).join("\n"), @r"
        THEMIS_ASI_RAW
          citation: none given
          doi: none; acknowledge as https://data.phys.ucalgary.ca/about_datasets says

        REGO_RAW
          citation: Spanswick & Donovan (2014)
          doi: https://doi.org/10.11575/Z7X6-5C42
          details: https://commons.datacite.org/doi.org/10.11575/z7x6-5c42
        ");
    }
}
