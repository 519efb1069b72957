//! The embedded queue: a ledger that is the truth and a sled index fed from it.
//!
//! One thread owns everything. A command is checked, appended to its job's ledger, applied, and
//! acknowledged once the ledger is synced; many commands share one sync. The index only makes looking
//! things up quick: it is believed after a clean close or a crash within the same boot, and rebuilt from
//! the ledgers otherwise. A crash loses what was not acknowledged, claims, and checkpoints of claimed
//! files. `docs/format.md` describes every byte that is stored.

mod apply;
mod boot;
mod codec;
mod disk;
mod dispatch;
mod index;
mod job;
mod keeper;
mod known;
mod ledger;
mod numbers;
mod owner;
mod pack;
mod queue;
mod records;
mod recover;
mod rewrite;
mod state_dir;
mod watch;

pub use boot::BootId;
pub use queue::{Opened, SledQueue};
