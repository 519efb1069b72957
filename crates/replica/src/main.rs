//! The program `skyhaul-replica`: a replica with its settings and faults as switches.

mod options;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser as _;
use options::{Options, WhenToEnd};
use skyhaul_replica::Replica;
use tokio::io::AsyncReadExt as _;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    match run(options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // There is nowhere left to tell that stderr is gone.
            let _ = writeln!(io::stderr(), "skyhaul-replica: {}", chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), Box<dyn std::error::Error>> {
    let when_to_end = options.when_to_end();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let replica = Replica::start(options.into_config()).await?;
    announce(replica.base_url())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = stdin_closed(), if when_to_end == WhenToEnd::StdinCloses => {}
    }
    replica.shutdown().await;
    Ok(())
}

/// Puts the base URL on the first line of stdout, for `--api`.
fn announce(base_url: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{base_url}")?;
    stdout.flush()
}

/// Reads stdin to its end; what comes is of no interest.
async fn stdin_closed() {
    let mut stdin = tokio::io::stdin();
    let mut buffer = [0; 1024];
    while stdin.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
