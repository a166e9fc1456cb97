//! The log: a ring of the last entries, and those who follow it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;
use std::time::SystemTime;

use parking_lot::Mutex;

use super::event::{Excerpt, TrafficEntry, TrafficEvent};
use super::follow::Traffic;
use crate::clock::Clock;

/// Entries that are kept.
pub(crate) const ENTRIES: usize = 5000;

/// Bytes of events that are kept to be sent again.
const KEPT_BYTES: usize = 16 * 1024 * 1024;

/// What is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LogSettings {
    /// Everything but frames, also while nobody follows.
    pub(crate) keeps: bool,
    /// Frames as well.
    pub(crate) keeps_frames: bool,
    /// How payloads begin, and events as they can be sent again.
    pub(crate) payloads: bool,
}

impl Default for LogSettings {
    /// Nothing is kept, so that nothing is logged while nobody follows.
    fn default() -> Self {
        Self {
            keeps: false,
            keeps_frames: false,
            payloads: true,
        }
    }
}

/// Keeps what happens, for those who follow it and those who look back. A slow reader misses the oldest, nobody waits for it.
#[derive(Debug)]
pub(crate) struct Log {
    clock: Clock,
    has_payloads: bool,
    /// Who wants entries other than frames, and who wants frames too. Whoever could make an entry looks here first: all
    /// sockets do with every frame, and asking the ring would take its lock.
    readers: AtomicUsize,
    frame_readers: AtomicUsize,
    ring: Mutex<Ring>,
}

#[derive(Debug)]
pub(super) struct Ring {
    entries: VecDeque<Arc<TrafficEntry>>,
    /// The number of the next entry.
    pub(super) next: u64,
    kept_bytes: usize,
    /// Followers that have read everything.
    pub(super) waiting: Vec<Waker>,
}

impl Log {
    /// Whether entries also go to the log of lines is decided now.
    pub(crate) fn new(clock: Clock, settings: LogSettings) -> Arc<Self> {
        let lines = usize::from(tracing::enabled!(tracing::Level::DEBUG));
        let frame_lines = usize::from(tracing::enabled!(tracing::Level::TRACE));
        let kept_frames = usize::from(settings.keeps && settings.keeps_frames);
        Arc::new(Self {
            clock,
            has_payloads: settings.payloads,
            readers: AtomicUsize::new(lines + usize::from(settings.keeps)),
            frame_readers: AtomicUsize::new(frame_lines + kept_frames),
            ring: Mutex::new(Ring {
                entries: VecDeque::new(),
                next: 1,
                kept_bytes: 0,
                waiting: Vec::new(),
            }),
        })
    }

    /// Nobody reads it, unless somebody follows.
    #[cfg(test)]
    pub(crate) fn unread() -> Arc<Self> {
        Self::new(Clock::manual(), LogSettings::default())
    }

    /// Reads everything that happens from now on.
    pub(crate) fn follow(self: &Arc<Self>) -> Traffic {
        let next = self.ring.lock().next;
        Traffic::new(Arc::clone(self), next)
    }

    /// Reads what is kept, beginning with this number, and then everything that happens.
    pub(crate) fn follow_from(self: &Arc<Self>, number: u64) -> Traffic {
        Traffic::new(Arc::clone(self), number)
    }

    /// Reads what is kept, and then everything that happens.
    pub(crate) fn follow_kept(self: &Arc<Self>) -> Traffic {
        let first = self.ring.lock().first();
        Traffic::new(Arc::clone(self), first)
    }

    /// Everything that is kept, the oldest first.
    pub(crate) fn kept(&self) -> Vec<Arc<TrafficEntry>> {
        self.ring.lock().entries.iter().cloned().collect()
    }

    /// The entry with this number, if it is kept.
    pub(crate) fn entry(&self, number: u64) -> Option<Arc<TrafficEntry>> {
        self.ring.lock().entry(number).map(Arc::clone)
    }

    /// Whether anybody wants to know what happens, frames apart.
    pub(crate) fn is_read(&self) -> bool {
        self.readers.load(Ordering::Relaxed) > 0
    }

    /// Whether anybody wants to know of frames.
    pub(crate) fn wants_frames(&self) -> bool {
        self.frame_readers.load(Ordering::Relaxed) > 0
    }

    /// How a payload begins, where that is logged.
    pub(crate) fn excerpt(&self, excerpt: impl FnOnce() -> Excerpt) -> Option<Excerpt> {
        self.has_payloads.then(excerpt)
    }

    /// Whether payloads are logged.
    pub(crate) const fn has_payloads(&self) -> bool {
        self.has_payloads
    }

    /// Makes an entry, only when somebody wants it.
    pub(crate) fn note(&self, event: impl FnOnce() -> TrafficEvent) {
        if self.is_read() {
            self.add(event());
        }
    }

    /// The same for a frame.
    pub(crate) fn note_frame(&self, event: impl FnOnce() -> TrafficEvent) {
        if self.wants_frames() {
            self.add(event());
        }
    }

    #[cold]
    fn add(&self, event: TrafficEvent) {
        match event {
            TrafficEvent::Frame { .. } => tracing::trace!("{event}"),
            _ => tracing::debug!("{event}"),
        }
        let waiting = {
            let mut ring = self.ring.lock();
            // Read under the lock: times never go back from one entry to the next.
            ring.add(self.clock.now().wall, event);
            std::mem::take(&mut ring.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    pub(super) fn now(&self) -> SystemTime {
        self.clock.now().wall
    }

    pub(super) fn add_follower(&self) {
        self.readers.fetch_add(1, Ordering::Relaxed);
        self.frame_readers.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn remove_follower(&self) {
        self.readers.fetch_sub(1, Ordering::Relaxed);
        self.frame_readers.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn with_ring<R>(&self, read: impl FnOnce(&mut Ring) -> R) -> R {
        read(&mut self.ring.lock())
    }
}

impl Ring {
    fn add(&mut self, at: SystemTime, event: TrafficEvent) {
        let number = self.next;
        self.next += 1;
        self.kept_bytes += kept_bytes(&event);
        let entry = TrafficEntry { number, at, event };
        self.entries.push_back(Arc::new(entry));
        while self.entries.len() > ENTRIES || self.kept_bytes > KEPT_BYTES {
            let Some(oldest) = self.entries.pop_front() else {
                break;
            };
            self.kept_bytes -= kept_bytes(&oldest.event);
        }
    }

    /// The number of the oldest entry that is kept, or of the next one.
    pub(super) fn first(&self) -> u64 {
        self.entries.front().map_or(self.next, |entry| entry.number)
    }

    pub(super) fn entry(&self, number: u64) -> Option<&Arc<TrafficEntry>> {
        let index = number.checked_sub(self.first())?;
        self.entries.get(usize::try_from(index).ok()?)
    }
}

fn kept_bytes(event: &TrafficEvent) -> usize {
    match event {
        TrafficEvent::HandlerCall {
            sent: Some(sent), ..
        } => sent.body().len(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missed(entries: u64) -> TrafficEvent {
        TrafficEvent::Missed { entries }
    }

    #[test]
    fn entries_are_made_only_for_readers_and_frames_only_for_followers() {
        let log = Log::unread();
        log.note(|| panic!("nobody reads"));
        log.note_frame(|| panic!("nobody reads"));
        let mut follower = log.follow();
        log.note_frame(|| missed(1));
        assert_eq!(
            follower.try_next().map(|it| it.event.clone()),
            Some(missed(1))
        );
        drop(follower);
        log.note(|| panic!("nobody reads any more"));
        let settings = LogSettings {
            keeps: true,
            keeps_frames: false,
            payloads: true,
        };
        let log = Log::new(Clock::manual(), settings);
        log.note(|| missed(1));
        log.note_frame(|| panic!("frames are not kept"));
        assert_eq!(log.kept().len(), 1);
    }

    #[test]
    fn the_oldest_entries_go_and_whoever_is_late_is_told() {
        let log = Log::unread();
        let mut late = log.follow();
        let total = ENTRIES as u64 + 10;
        for n in 1..=total {
            log.note(|| missed(n));
        }
        let kept = log.kept();
        assert_eq!(kept.len(), ENTRIES);
        assert_eq!((kept[0].number, kept[ENTRIES - 1].number), (11, total));
        assert_eq!(log.entry(10), None);
        assert_eq!(log.entry(11).map(|it| it.number), Some(11));
        assert_eq!(log.entry(total + 1), None);
        let mut next = || late.try_next().expect("an entry");
        assert_eq!((next().event.clone(), next().number), (missed(10), 11));
    }
}
