//! Progress of an engine in this process: live bars where somebody watches, a plain line now and then
//! where nobody does, and one when a job is held back and when it goes on. Always on stderr, never with `-q`.

mod holds;
mod live;
mod snapshot;

use std::sync::Arc;
use std::time::Duration;

use skyhaul_engine::Progress;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::holds::tell_holds;
use self::live::Live;
use self::snapshot::Snapshot;
use crate::context::Context;
use crate::output::Output;
use crate::settings::{Bars, Loudness};

/// What is over sooner needs no bars.
const FIRST_SHOWN: Duration = Duration::from_millis(250);

/// How often a line is written where nobody watches.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Shows progress until `over`.
pub(crate) async fn show(
    context: &Context,
    progress: watch::Receiver<Arc<Progress>>,
    over: &CancellationToken,
) {
    let output = &context.output;
    if output.loudness() == Loudness::Quiet {
        return;
    }
    let told = tell_holds(output, progress.clone());
    let shown = async {
        if context.settings.bars == Bars::Allowed && output.is_watched() {
            show_bars(output, progress).await;
        } else {
            write_lines(output, progress).await;
        }
    };
    tokio::select! {
        () = over.cancelled() => {}
        ((), ()) = async { tokio::join!(shown, told) } => {}
    }
}

/// Bars go when the value is dropped, however this ends.
async fn show_bars(output: &Output, mut progress: watch::Receiver<Arc<Progress>>) {
    tokio::time::sleep(FIRST_SHOWN).await;
    let mut live = Live::new(output.stderr().bars());
    loop {
        live.draw(&progress.borrow_and_update());
        if progress.changed().await.is_err() {
            return;
        }
    }
}

async fn write_lines(output: &Output, progress: watch::Receiver<Arc<Progress>>) {
    let mut last = None;
    loop {
        tokio::time::sleep(LINE_EVERY).await;
        let line = Snapshot::of(&progress.borrow()).line();
        if last.as_ref() != Some(&line) {
            output.note(&line);
        }
        last = Some(line);
    }
}

#[cfg(test)]
mod tests {
    use crate::output::capture;
    use crate::samples;
    use crate::settings::Format;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_line_is_written_every_five_seconds_when_something_has_changed() {
        let (output, _, stderr) = capture::output(Format::Human, Loudness::Normal);
        let (sender, receiver) = watch::channel(Arc::new(Progress::default()));
        let lines = async {
            tokio::select! {
                () = write_lines(&output, receiver) => {}
                () = tokio::time::sleep(Duration::from_millis(20_100)) => {}
            }
        };
        let work = async {
            tokio::time::sleep(Duration::from_millis(12_000)).await;
            let _watched =
                sender.send(Arc::new(Progress { jobs: vec![samples::job()], ..Progress::default() }));
        };
        tokio::join!(lines, work);
        let text = stderr.text();
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.lines().last().unwrap().starts_with("43 of 60 files"), "{text}");
    }
}
