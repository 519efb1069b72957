//! `dashboard`: opens the engine's page in the browser, by a link that is good once.

use std::process::Stdio;
use std::time::Duration;

use skyhaul_control::Started;
use tokio::process::Command;

use crate::args::DashboardArgs;
use crate::background;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::json::LinkDocument;

/// How long a failure to open the browser is waited for; one that stays open is at work.
const OPENING: Duration = Duration::from_secs(3);

/// Runs the command. An engine is started where none is up.
pub(crate) async fn run(args: DashboardArgs, context: &Context) -> Result<Exit, CliError> {
    let client = background::ensure(context, Started::OnDemand, Vec::new()).await?;
    let url = client.dashboard().await?;
    if context.is_json() {
        context.output.json(&LinkDocument { url })?;
    } else if args.print {
        context.output.line(&url)?;
    } else if opens(&url).await {
        context
            .output
            .note("the dashboard is open in your browser; 'skyhaul dashboard --print' prints a link instead");
    } else {
        context.output.note("no browser can be opened from here; this link opens the dashboard, once and within five minutes:");
        context.output.line(&url)?;
    }
    Ok(Exit::Done)
}

/// Whether the system's own opener takes the link.
async fn opens(url: &str) -> bool {
    let mut command = opener(url);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let Ok(mut opener) = command.spawn() else { return false };
    match tokio::time::timeout(OPENING, opener.wait()).await {
        Ok(ended) => ended.is_ok_and(|status| status.success()),
        Err(_) => true,
    }
}

#[cfg(target_os = "macos")]
fn opener(url: &str) -> Command {
    let mut command = Command::new("open");
    command.arg(url);
    command
}

#[cfg(windows)]
fn opener(url: &str) -> Command {
    let mut command = Command::new("cmd");
    // The first quoted word would be the window's title.
    command.args(["/C", "start", "", url]);
    command
}

#[cfg(not(any(windows, target_os = "macos")))]
fn opener(url: &str) -> Command {
    let mut command = Command::new("xdg-open");
    command.arg(url);
    command
}
