//! What the dashboard shows and steers beside jobs: the board, the series, the limits, orders in words, the metrics.

use std::sync::Arc;

use http::{Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody};
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use skyhaul_model::JobId;

use super::answer::Desk;
use super::body::{Body, Reply, json, nothing, respond};
use super::files::{number, parameters, unknown};
use crate::board::{Lens, Show, Sight, feed};
use crate::limits::{LimitsBody, Network};
use crate::metrics::{self, Facts, Usage};
use crate::orders::Wish;
use crate::series::Span;
use crate::wire::{CreatedBody, ErrorBody, ErrorCode, SeriesBody};

/// The most lines of the board at once.
const LINES_MAX: usize = 500;

/// The longest search, in bytes: each of its words is looked for in every job.
const FIND_MAX: usize = 200;

/// Makes a job of an order in words.
pub(crate) async fn order(desk: &Desk, wish: Wish) -> Reply {
    let none = || ErrorBody::new(ErrorCode::NotFound, "this engine takes no orders in words");
    let orders = desk.engine.instruments.orders.as_ref().ok_or_else(none)?;
    let new = orders.prepare(wish).await.map_err(|why| ErrorBody::new(ErrorCode::BadRequest, why))?;
    drop(desk.steering.lock().await);
    let created = desk.queue.create_job(new, Timestamp::now()).await?;
    let status = if created.created { StatusCode::CREATED } else { StatusCode::OK };
    json(status, &CreatedBody::from(created))
}

/// The board through a lens, once.
pub(crate) async fn board(desk: &Desk, query: &str) -> Reply {
    let lens = lens(query)?;
    let view = sight(desk).look(&lens).await?;
    json(StatusCode::OK, &view.news(None))
}

/// The board through a lens, for as long as somebody looks.
pub(crate) fn follow(desk: &Desk, query: &str) -> Reply {
    let lens = lens(query)?;
    let news = feed(sight(desk), lens, desk.stop.clone(), desk.followers.join());
    Ok(respond(StatusCode::OK, "text/event-stream", StreamBody::new(news).boxed_unsync()))
}

/// What has happened over a span.
pub(crate) fn series(desk: &Desk, query: &str) -> Reply {
    let mut span = Span::Hour;
    for (name, value) in parameters(query) {
        match name {
            "span" => span = of_words(name, value, &Span::ALL, Span::as_str)?,
            _ => return Err(unknown(name)),
        }
    }
    let now = Timestamp::now();
    json(StatusCode::OK, &SeriesBody::new(span, now, desk.series.over(span, now)))
}

pub(crate) fn limits(desk: &Desk) -> Reply {
    json(StatusCode::OK, &network(desk)?.limits())
}

pub(crate) fn set_limits(desk: &Desk, wanted: LimitsBody) -> Reply {
    network(desk)?.set_limits(wanted).map_err(|why| ErrorBody::new(ErrorCode::BadRequest, why))?;
    tracing::info!(limits = ?network(desk)?.limits(), "a client has set other limits");
    nothing()
}

/// The metrics, as they are at this moment.
pub(crate) async fn metrics(desk: &Desk) -> Reply {
    let usage = tokio::task::spawn_blocking(Usage::current).await.ok().flatten();
    let mut jobs = desk.queue.overview(metrics::JOBS_MAX).await?;
    let progress = Arc::clone(&desk.engine.progress.borrow());
    // Told as they are shown everywhere else.
    for job in progress.kept_out() {
        if let Some(known) = desk.queue.job(job.id).await? {
            jobs.totals.restate(known.state(), progress.shown(known).state());
        }
    }
    let instruments = &desk.engine.instruments;
    let facts = Facts {
        info: &desk.info(),
        followers: desk.followers.count(),
        jobs: &jobs,
        progress: &progress,
        counts: &instruments.tally.counts(),
        http: instruments.network.as_ref().map(|network| (network.counters(), network.hosts())),
        usage,
    };
    Ok(text(metrics::render(&facts)))
}

fn text(page: String) -> Response<Body> {
    respond(StatusCode::OK, metrics::CONTENT_TYPE, Full::new(page.into()).boxed_unsync())
}

fn network(desk: &Desk) -> Result<&Network, ErrorBody> {
    let none = || ErrorBody::new(ErrorCode::NotFound, "this engine has no limits to show");
    desk.engine.instruments.network.as_deref().ok_or_else(none)
}

fn sight(desk: &Desk) -> Sight {
    let (queue, boards) = (Arc::clone(&desk.queue), Arc::clone(&desk.boards));
    Sight { queue, boards, progress: desk.engine.progress.clone() }
}

fn lens(query: &str) -> Result<Lens, ErrorBody> {
    let mut lens = Lens { count: 100, ..Lens::default() };
    for (name, value) in parameters(query) {
        match name {
            "show" => lens.show = of_words(name, value, &Show::ALL, Show::as_str)?,
            "find" => lens.find = words(value)?,
            "from" => lens.from = number(name, value)?,
            "count" => lens.count = number::<usize>(name, value)?.min(LINES_MAX),
            "job" => lens.job = Some(JobId(number(name, value)?)),
            _ => return Err(unknown(name)),
        }
    }
    Ok(lens)
}

/// What is looked for, in lower case.
fn words(value: &str) -> Result<String, ErrorBody> {
    let words = percent_decode_str(value).decode_utf8_lossy().to_lowercase();
    let too_long =
        || ErrorBody::new(ErrorCode::BadRequest, format!("'find' is longer than {FIND_MAX} bytes"));
    (words.len() <= FIND_MAX).then_some(words).ok_or_else(too_long)
}

/// The thing of these that has this name.
fn of_words<T: Copy>(
    parameter: &str,
    word: &str,
    things: &[T],
    name: fn(T) -> &'static str,
) -> Result<T, ErrorBody> {
    things.iter().copied().find(|&thing| name(thing) == word).ok_or_else(|| {
        let words = things.iter().map(|&thing| name(thing)).collect::<Vec<_>>().join(", ");
        ErrorBody::new(ErrorCode::BadRequest, format!("'{parameter}' must be one of: {words}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lens_is_read_from_its_query() {
        let wanted = Lens {
            show: Show::Troubled,
            find: "gill é".into(),
            from: 40,
            count: LINES_MAX,
            job: Some(JobId(7)),
        };
        assert_eq!(lens("show=troubled&find=Gill%20%C3%89&from=40&count=99999&job=7").ok(), Some(wanted));
        let long = format!("find={}", "a+".repeat(FIND_MAX));
        for wrong in ["show=some", "from=-1", "count=x", "job=", "colour=red", &long] {
            assert_eq!(lens(wrong).err().map(|error| error.code), Some(ErrorCode::BadRequest), "{wrong}");
        }
    }
}
