//! Notices when a consumer of events blocks the connection.

use std::time::{Duration, Instant};

use webpubsub_protocol::session::{Now, State};

use super::{Inner, Report};

/// How long requests wait for their answers while a consumer blocks the connection.
const STALL_AFTER: Duration = Duration::from_secs(1);

/// Since when nothing is read because a consumer does not keep up.
#[derive(Debug, Default)]
pub(super) struct StallWatch {
    blocked_since: Option<Instant>,
    /// The session knows it.
    is_stalled: bool,
}

impl StallWatch {
    /// When the session must know it.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.blocked_since
            .filter(|_| !self.is_stalled)
            .map(|since| since + STALL_AFTER)
    }

    pub(super) const fn is_stalled(&self) -> bool {
        self.is_stalled
    }
}

impl Inner {
    /// Notices when a consumer begins, or ceases, to block the connection. Returns how many bytes may be read from the
    /// socket, none while a consumer blocks it. A connection that does not stand yet is always read, which takes a frame
    /// or two, so that a slow consumer does not cost a recovery.
    pub(super) fn watch_consumers(&mut self, now: Now) -> usize {
        let rooms = self.inboxes.iter().filter_map(|inbox| inbox.room());
        let room = rooms.min().unwrap_or(usize::MAX);
        match (room == 0, self.stall.blocked_since) {
            (true, None) => self.stall.blocked_since = Some(now.mono),
            (false, Some(_)) => {
                self.stall = StallWatch::default();
                self.session.set_stalled(now, false);
            }
            _ => {}
        }
        if self.stall.deadline().is_some_and(|at| at <= now.mono) {
            self.stall.is_stalled = true;
            self.reports.push(Report::Stalled);
            self.session.set_stalled(now, true);
            // Room comes with answers, and these with what nobody reads.
            self.room.let_all_try();
        }
        if self.session.state() == State::Connected {
            room
        } else {
            usize::MAX
        }
    }
}
