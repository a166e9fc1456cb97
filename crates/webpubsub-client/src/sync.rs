//! The lock, the clock and the timers of this crate, in one place, so that its own tests can explore interleavings.
//!
//! In the crate's unit tests the lock is loom's: a test that takes one runs inside `loom::model`, which tries every
//! order in which threads can take it. There the clock stands still and no deadline passes.

use std::future::Future;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use webpubsub_protocol::session::Now;

#[cfg(test)]
pub(crate) use explored::{Alarm, Mutex, MutexGuard, now, within};
#[cfg(not(test))]
pub(crate) use real::{Alarm, Mutex, MutexGuard, now, within};

#[cfg(not(test))]
mod real {
    use std::pin::Pin;
    use std::time::SystemTime;

    pub(crate) use parking_lot::{Mutex, MutexGuard};
    use tokio::time::Sleep;

    use super::{Context, Duration, Future, Instant, Now, Poll};

    /// The time for the session: tokio's clock, which tests can stop, and the wall clock.
    pub(crate) fn now() -> Now {
        Now {
            mono: tokio::time::Instant::now().into_std(),
            wall: SystemTime::now(),
        }
    }

    /// Completes with the future, or with `None` when that takes too long.
    pub(crate) async fn within<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
        tokio::time::timeout(limit, future).await.ok()
    }

    /// A timer for one deadline, which can move.
    #[derive(Debug, Default)]
    pub(crate) struct Alarm {
        deadline: Option<Instant>,
        sleep: Option<Pin<Box<Sleep>>>,
    }

    impl Alarm {
        /// What it waits for.
        pub(crate) const fn deadline(&self) -> Option<Instant> {
            self.deadline
        }

        /// Ready when this deadline has passed; then the next call sets it anew.
        pub(crate) fn poll(&mut self, cx: &mut Context<'_>, deadline: Option<Instant>) -> Poll<()> {
            let Some(at) = deadline else {
                self.deadline = None;
                return Poll::Pending;
            };
            let is_set = self.deadline == deadline;
            self.deadline = deadline;
            let sleep = match &mut self.sleep {
                Some(sleep) => {
                    if !is_set {
                        sleep.as_mut().reset(at.into());
                    }
                    sleep
                }
                none => none.insert(Box::pin(tokio::time::sleep_until(at.into()))),
            };
            let polled = sleep.as_mut().poll(cx);
            if polled.is_ready() {
                self.deadline = None;
            }
            polled
        }
    }
}

#[cfg(test)]
mod explored {
    use std::sync::{OnceLock, PoisonError};
    use std::time::SystemTime;

    pub(crate) use loom::sync::MutexGuard;

    use super::{Context, Duration, Future, Instant, Now, Poll};

    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    pub(crate) fn now() -> Now {
        static NOW: OnceLock<Now> = OnceLock::new();
        *NOW.get_or_init(|| Now {
            mono: Instant::now(),
            wall: SystemTime::now(),
        })
    }

    pub(crate) async fn within<F: Future>(_: Duration, future: F) -> Option<F::Output> {
        Some(future.await)
    }

    #[derive(Debug, Default)]
    pub(crate) struct Alarm(Option<Instant>);

    impl Alarm {
        pub(crate) const fn deadline(&self) -> Option<Instant> {
            self.0
        }

        pub(crate) fn poll(&mut self, _: &mut Context<'_>, deadline: Option<Instant>) -> Poll<()> {
            self.0 = deadline;
            Poll::Pending
        }
    }
}
