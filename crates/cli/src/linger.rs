//! How long an engine stays that was started on demand: until nothing has been to do, and nobody has watched,
//! for ten minutes.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How long it stays without anything to do.
const IDLE: Duration = Duration::from_mins(10);

/// How often it looks.
const LOOK_AGAIN: Duration = Duration::from_secs(15);

/// Whether there is a reason to stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// A job is unfinished, somebody watches, or the engine was told to stay.
    ToStay,
    /// Nothing of the kind.
    None,
}

/// Returns when there has been no reason to stay for ten minutes on end.
pub(crate) async fn until_idle(mut reason: impl AsyncFnMut() -> Reason) {
    let mut idle_since = None;
    loop {
        let now = Instant::now();
        idle_since = match reason().await {
            Reason::ToStay => None,
            Reason::None => Some(idle_since.unwrap_or(now)),
        };
        if idle_since.is_some_and(|since| now - since >= IDLE) {
            return;
        }
        sleep(LOOK_AGAIN).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many seconds it stays when there is a reason during these spans of seconds.
    async fn stays(busy: &[(u64, u64)]) -> u64 {
        let begun = Instant::now();
        let at = || begun.elapsed().as_secs();
        let reason = async || {
            let is_busy = busy.iter().any(|&(from, to)| (from..to).contains(&at()));
            if is_busy { Reason::ToStay } else { Reason::None }
        };
        until_idle(reason).await;
        at()
    }

    #[tokio::test(start_paused = true)]
    async fn it_stays_ten_minutes_behind_the_last_reason() {
        assert_eq!(stays(&[]).await, 600);
        assert_eq!(stays(&[(0, 300)]).await, 900);
        assert_eq!(stays(&[(0, 10), (590, 610)]).await, 615 + 600);
        assert_eq!(stays(&[(0, 86_400)]).await, 87_000);
    }
}
