//! The flags that every command takes.

use std::path::PathBuf;

use clap::{ArgAction, Args};

use super::parse::http_url;
use crate::settings::LogFormat;

/// Flags that every command takes; each is also a key of the config file.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalArgs {
    /// Keep the queue in DIR [env: SKYHAUL_STATE_DIR] [default: the per-user data directory]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,

    /// Read settings from FILE, a TOML file [env: SKYHAUL_CONFIG] [default: config.toml in the per-user
    /// config directory]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Ask the archive at URL [env: SKYHAUL_API] [default: https://api.phys.ucalgary.ca]
    #[arg(long, global = true, value_name = "URL", value_parser = http_url)]
    pub(crate) api: Option<String>,

    /// Answer in JSON on stdout
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Tell less: errors only
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,

    /// Log more; twice: still more [env: SKYHAUL_LOG, in env-filter syntax]
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,

    /// How the log is written [env: SKYHAUL_LOG_FORMAT] [default: text]
    #[arg(long, global = true, value_name = "FORMAT")]
    pub(crate) log_format: Option<LogFormat>,

    /// Show no live progress (as when stderr is no terminal)
    #[arg(long, global = true)]
    pub(crate) no_progress: bool,
}
