//! The one clock. Everything with a deadline asks it, so a test that owns it owns time.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::watch;

/// One moment: monotonic for deadlines, wall for tokens and dates.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    pub(crate) mono: Instant,
    pub(crate) wall: SystemTime,
}

/// Where the emulator reads time.
///
/// The real one follows the machine (and tokio's paused clock). A manual one stands still until
/// [`advance`](Self::advance) moves it: recovery windows, time-outs and token lifetimes then pass
/// when a test says so. Clones share the same time.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    Real,
    Manual(Arc<Manual>),
}

struct Manual {
    start: Now,
    elapsed: watch::Sender<Duration>,
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub const fn real() -> Self {
        Self(Source::Real)
    }

    /// A clock that starts at the machine's time and stands still until it is advanced.
    #[must_use]
    pub fn manual() -> Self {
        let manual = Manual {
            start: machine_now(),
            elapsed: watch::Sender::new(Duration::ZERO),
        };
        Self(Source::Manual(Arc::new(manual)))
    }

    /// Moves a manual clock forward and wakes everything that was due.
    ///
    /// # Panics
    ///
    /// On a real clock, which nobody can move: build the emulator with `manual_clock()`.
    pub fn advance(&self, by: Duration) {
        match &self.0 {
            Source::Real => panic!("only a manual clock can be advanced"),
            Source::Manual(manual) => manual.elapsed.send_modify(|elapsed| *elapsed += by),
        }
    }

    pub(crate) fn now(&self) -> Now {
        match &self.0 {
            Source::Real => machine_now(),
            Source::Manual(manual) => {
                let elapsed = *manual.elapsed.borrow();
                Now {
                    mono: manual.start.mono + elapsed,
                    wall: manual.start.wall + elapsed,
                }
            }
        }
    }

    /// Completes at `deadline`; at once when that has passed.
    pub(crate) fn sleep_until(&self, deadline: Instant) -> impl Future<Output = ()> + Send + use<> {
        let source = self.0.clone();
        async move {
            match source {
                Source::Real => tokio::time::sleep_until(deadline.into()).await,
                Source::Manual(manual) => {
                    let due = deadline.saturating_duration_since(manual.start.mono);
                    let mut elapsed = manual.elapsed.subscribe();
                    // The sender lives in `manual`, so waiting cannot fail.
                    let _ = elapsed.wait_for(|elapsed| *elapsed >= due).await;
                }
            }
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Source::Real => "Clock::Real",
            Source::Manual(_) => "Clock::Manual",
        })
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the machine's clock"
)]
fn machine_now() -> Now {
    // tokio's, so that a paused runtime pauses us too.
    Now {
        mono: tokio::time::Instant::now().into_std(),
        wall: SystemTime::now(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_manual_clock_wakes_exactly_at_the_deadline() {
        let clock = Clock::manual();
        let start = clock.now();
        let mut sleep = Box::pin(clock.sleep_until(start.mono + Duration::from_secs(30)));
        clock.advance(Duration::from_millis(29_999));
        assert!(futures_util::poll!(sleep.as_mut()).is_pending());
        clock.advance(Duration::from_millis(1));
        sleep.await;
        assert_eq!(clock.now().wall, start.wall + Duration::from_secs(30));
    }

    #[tokio::test]
    async fn a_deadline_in_the_past_is_due_at_once() {
        let clock = Clock::manual();
        clock.sleep_until(clock.now().mono).await;
        clock
            .sleep_until(clock.now().mono - Duration::from_millis(1))
            .await;
    }
}
