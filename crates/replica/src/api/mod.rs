//! The data distribution API: datasets, URLs, observatories, imaging time frames.

mod datasets;
mod observatories;
mod params;
mod timeframes;
mod urls;

use std::sync::Arc;

use http::header::USER_AGENT;
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};

use crate::body::Reply;
use crate::faults::{DetailShape, Faults};
use crate::files::{pause, refuse};
use crate::server::Shared;

/// Where the API is.
pub(crate) const ROOT: &str = "/api/v1/data_distribution/";

/// Answers an API request.
pub(crate) async fn serve(
    shared: &Arc<Shared>,
    method: &Method,
    path: &str,
    query: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Reply {
    let (mut faults, ticket) = shared.desk.api_request(path);
    let agent = headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok());
    let shape = faults.dataset_shape.told_to(agent);
    if shape != faults.dataset_shape {
        Arc::make_mut(&mut faults).dataset_shape = shape;
    }
    pause(faults.latency_api).await;
    if let Some(refusal) = faults.refuse_api.filter(|refusal| ticket.strikes(refusal.when, "refuse-api")) {
        return refuse(refusal);
    }
    let get = method == Method::GET || method == Method::HEAD;
    let answer = match path.strip_prefix(ROOT).unwrap_or("") {
        "datasets" if get => datasets::list(shared, &faults, query),
        "urls" if get => listing(shared, &faults, query).await,
        "observatories" if get => observatories::list(shared, query),
        "imaging_timeframes" if method == Method::POST => timeframes::list(shared, body),
        "datasets" | "urls" | "observatories" | "imaging_timeframes" => {
            Err(Problem::Plain(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed"))
        }
        _ => Err(Problem::Plain(StatusCode::NOT_FOUND, "Not Found")),
    };
    answer.unwrap_or_else(|problem| problem.reply(&faults))
}

/// Counting the URLs of a listing of millions takes its time, so it is not done where connections are served.
async fn listing(shared: &Arc<Shared>, faults: &Arc<Faults>, query: &str) -> Result<Reply, Problem> {
    let (shared, faults, query) = (Arc::clone(shared), Arc::clone(faults), query.to_owned());
    let counted = tokio::task::spawn_blocking(move || urls::list(&shared, &faults, &query)).await;
    counted.unwrap_or(Err(Problem::Plain(StatusCode::INTERNAL_SERVER_ERROR, "Data retrieval error")))
}

/// Why a question has no answer.
#[derive(Debug)]
pub(crate) enum Problem {
    /// A status and a sentence.
    Plain(StatusCode, &'static str),
    /// Parameters that cannot be read: 422.
    Invalid(Vec<Value>),
}

impl Problem {
    fn reply(self, faults: &Faults) -> Reply {
        match self {
            Self::Plain(status, detail) if faults.detail == DetailShape::Text => {
                Reply::json(status, &json!({ "detail": detail }))
            }
            Self::Plain(status, detail) => {
                let list = json!([{ "loc": [], "msg": detail, "type": "value_error" }]);
                Reply::json(status, &json!({ "detail": list }))
            }
            Self::Invalid(list) => Reply::json(StatusCode::UNPROCESSABLE_ENTITY, &json!({ "detail": list })),
        }
    }
}
