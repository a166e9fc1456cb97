//! The one clock. Everything with a deadline asks it, so a test that owns it owns time.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant, SystemTime};

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use slotmap::{DefaultKey, SlotMap};
use tokio::time::Sleep;

/// One moment: monotonic for deadlines, wall for tokens and dates.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    pub(crate) mono: Instant,
    pub(crate) wall: SystemTime,
}

/// Where the emulator reads time.
///
/// The real one follows the machine (and tokio's paused clock). A manual one stands still. Either can be
/// [advanced](Self::advance): recovery windows, time-outs and token lifetimes then pass at once, and whatever waited for
/// a moment that has passed goes on. Clones share the same time.
#[derive(Clone)]
pub struct Clock(Arc<Shared>);

struct Shared {
    /// Where a manual clock stands still; `None` follows the machine.
    frozen: Option<Now>,
    /// How far the clock was moved, in nanoseconds.
    moved: AtomicU64,
    /// Who must hear when the clock is moved. Locked when a timer is made or dropped, never while it waits.
    timers: Mutex<SlotMap<DefaultKey, Arc<Waiting>>>,
}

/// Who waits, and for what.
struct Waiting {
    waker: AtomicWaker,
    /// How far a manual clock must be moved. Zero on a real one: whenever that is moved, the machine's timer must be set
    /// anew.
    moved: AtomicU64,
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn real() -> Self {
        Self::at(None)
    }

    /// A clock that starts at the machine's time and stands still until it is advanced.
    #[must_use]
    pub fn manual() -> Self {
        Self::at(Some(Now {
            mono: machine_mono(),
            wall: machine_wall(),
        }))
    }

    fn at(frozen: Option<Now>) -> Self {
        Self(Arc::new(Shared {
            frozen,
            moved: AtomicU64::new(0),
            timers: Mutex::default(),
        }))
    }

    /// Moves the clock forward and wakes everything that is due by then. A real clock goes on from there.
    pub fn advance(&self, by: Duration) {
        let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        // Five centuries fit.
        let add = |moved: u64| Some(moved.saturating_add(by));
        let _ = self
            .0
            .moved
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, add);
        let moved = self.0.moved.load(Ordering::SeqCst);
        for timer in self.0.timers.lock().values() {
            if timer.moved.load(Ordering::SeqCst) <= moved {
                timer.waker.wake();
            }
        }
    }

    /// How far the clock has been moved since it was made.
    #[must_use]
    pub fn advanced(&self) -> Duration {
        self.moved()
    }

    /// Whether it stands still until it is advanced.
    #[must_use]
    pub fn is_manual(&self) -> bool {
        self.0.frozen.is_some()
    }

    /// The time that tokens and dates are made and checked with.
    #[must_use]
    pub fn wall(&self) -> SystemTime {
        self.now().wall
    }

    pub(crate) fn now(&self) -> Now {
        let base = self.0.frozen.unwrap_or_else(|| Now {
            mono: machine_mono(),
            wall: machine_wall(),
        });
        let moved = self.moved();
        Now {
            mono: base.mono + moved,
            wall: base.wall + moved,
        }
    }

    /// The monotonic part of [`now`](Self::now), for those who need no date.
    pub(crate) fn mono(&self) -> Instant {
        self.0.frozen.map_or_else(machine_mono, |now| now.mono) + self.moved()
    }

    fn moved(&self) -> Duration {
        Duration::from_nanos(self.0.moved.load(Ordering::SeqCst))
    }

    /// How far the clock must be moved until a deadline is due, as [`Waiting`] has it.
    fn moved_at(&self, deadline: Instant) -> u64 {
        self.0.frozen.map_or(0, |frozen| {
            let after = deadline.saturating_duration_since(frozen.mono);
            u64::try_from(after.as_nanos()).unwrap_or(u64::MAX)
        })
    }

    /// Completes at `deadline`; at once when that has passed.
    pub(crate) fn sleep_until(&self, deadline: Instant) -> impl Future<Output = ()> + Send + use<> {
        let mut timer = Timer::new(self.clone(), deadline);
        poll_fn(move |cx| timer.poll(cx))
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0.frozen {
            None => "Clock::Real",
            Some(_) => "Clock::Manual",
        })
    }
}

/// A deadline that somebody waits for, and that can be set anew as often as needed.
pub(crate) struct Timer {
    clock: Clock,
    key: DefaultKey,
    /// Woken when the clock is moved far enough.
    waiting: Arc<Waiting>,
    deadline: Instant,
    /// The machine's part of the wait, and how far the clock was moved when it was set. Never on a manual clock.
    sleep: Option<(Duration, Pin<Box<Sleep>>)>,
}

impl Timer {
    pub(crate) fn new(clock: Clock, deadline: Instant) -> Self {
        let waiting = Arc::new(Waiting {
            waker: AtomicWaker::new(),
            moved: clock.moved_at(deadline).into(),
        });
        let key = clock.0.timers.lock().insert(Arc::clone(&waiting));
        Self {
            clock,
            key,
            waiting,
            deadline,
            sleep: None,
        }
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Waits for another moment from now on.
    pub(crate) fn reset(&mut self, deadline: Instant) {
        if deadline != self.deadline {
            self.deadline = deadline;
            let moved = self.clock.moved_at(deadline);
            self.waiting.moved.store(moved, Ordering::SeqCst);
            if let Some((moved, sleep)) = &mut self.sleep {
                *moved = self.clock.moved();
                sleep.as_mut().reset(machine_deadline(deadline, *moved));
            }
        }
    }

    /// Ready once the deadline has passed.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // Registered before the clock is read, so that no move goes unnoticed.
        self.waiting.waker.register(cx.waker());
        let moved = self.clock.moved();
        if let Some(frozen) = self.clock.0.frozen {
            return match frozen.mono + moved >= self.deadline {
                true => Poll::Ready(()),
                false => Poll::Pending,
            };
        }
        let at = machine_deadline(self.deadline, moved);
        let (set_when, sleep) = self
            .sleep
            .get_or_insert_with(|| (moved, Box::pin(tokio::time::sleep_until(at))));
        if *set_when != moved {
            *set_when = moved;
            sleep.as_mut().reset(at);
        }
        ready!(sleep.as_mut().poll(cx));
        Poll::Ready(())
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.clock.0.timers.lock().remove(self.key);
    }
}

/// When the machine's clock shows what a clock that was moved so far shows at `deadline`.
fn machine_deadline(deadline: Instant, moved: Duration) -> tokio::time::Instant {
    // Before the machine's beginning of time is long ago.
    deadline
        .checked_sub(moved)
        .unwrap_or_else(machine_mono)
        .into()
}

#[expect(
    clippy::disallowed_methods,
    reason = "with the next one, the only place that reads the machine's clock"
)]
fn machine_mono() -> Instant {
    // tokio's, so that a paused runtime pauses us too.
    tokio::time::Instant::now().into_std()
}

#[expect(
    clippy::disallowed_methods,
    reason = "with the one before, the only place that reads the machine's clock"
)]
fn machine_wall() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use std::task::{Wake, Waker};

    use super::*;

    /// Counts how often it was woken.
    #[derive(Default)]
    struct Woken(AtomicU64);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

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
    async fn a_manual_clock_wakes_nobody_before() {
        let clock = Clock::manual();
        let second = |n| clock.mono() + Duration::from_secs(n);
        let mut timer = Timer::new(clock.clone(), second(1));
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut cx = Context::from_waker(&waker);
        assert!(timer.poll(&mut cx).is_pending());
        timer.reset(second(3));
        clock.advance(Duration::from_secs(2));
        assert_eq!(woken.0.load(Ordering::SeqCst), 0);
        clock.advance(Duration::from_secs(1));
        assert_eq!(woken.0.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_deadline_in_the_past_is_due_at_once() {
        for clock in [Clock::manual(), Clock::real()] {
            clock.sleep_until(clock.mono()).await;
            clock
                .sleep_until(clock.mono() - Duration::from_millis(1))
                .await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn sleepers_notice_that_a_real_clock_was_moved() {
        let clock = Clock::real();
        let start = clock.mono();
        let machine = machine_mono();
        let sleep = tokio::spawn(clock.sleep_until(start + Duration::from_secs(100)));
        tokio::task::yield_now().await;
        clock.advance(Duration::from_secs(60));
        sleep.await.expect("no panic");
        assert_eq!((machine_mono() - machine).as_secs(), 40);
        assert_eq!((clock.mono() - start).as_secs(), 100);
    }

    #[tokio::test(start_paused = true)]
    async fn a_timer_is_set_anew_without_being_made_anew() {
        for clock in [Clock::manual(), Clock::real()] {
            let second = |n| clock.mono() + Duration::from_secs(n);
            let mut timer = Timer::new(clock.clone(), second(10));
            assert!(futures_util::poll!(poll_fn(|cx| timer.poll(cx))).is_pending());
            timer.reset(second(20));
            clock.advance(Duration::from_secs(10));
            assert!(futures_util::poll!(poll_fn(|cx| timer.poll(cx))).is_pending());
            timer.reset(second(5));
            clock.advance(Duration::from_secs(5));
            poll_fn(|cx| timer.poll(cx)).await;
            drop(timer);
            assert!(clock.0.timers.lock().is_empty());
        }
    }
}
