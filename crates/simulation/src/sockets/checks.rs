//! What must hold in the sockets' world.

use std::time::Duration;

use webpubsub_emulator::driven::{Amount, Held};

use super::peer::Peer;
use super::world::{CALLERS, World};
use crate::coverage::Happening;
use crate::failure::{Check, Finding};

/// Who always takes something within this time, and acknowledges it if it is reliable, reads: the service gives up after 5 s.
pub(super) const PATIENCE: Duration = Duration::from_millis(4500);

/// What a frame counts for beside its payload, at most.
const AROUND_PAYLOAD: usize = 300;

/// What a control frame takes, at most.
const CONTROL_BYTES: usize = 127;

// What the documentation says beside the limits that can be set.

/// What a socket takes from its outbox at once, and bytes of one frame more.
const WRITING: Amount = Amount {
    frames: 64,
    bytes: 256 * 1024,
};

/// What may wait for the event handler, and one frame more.
const BEHIND_HANDLER: Amount = Amount {
    frames: 64,
    bytes: 256 * 1024,
};

/// What is read ahead for acknowledgements, and one frame more.
const AHEAD_BYTES: usize = 256 * 1024;

/// What a small frame counts for there.
const SMALL_BYTES: usize = 256;

/// What is read at once, and tungstenite's buffer.
const READ_BYTES: usize = 16 * 1024 + 4 * 1024;

impl World {
    /// No connection holds more than the documentation says, and so they do not together.
    pub(super) fn check_held(&mut self) -> Check {
        let of_peers = self.peers.iter().filter_map(|peer| {
            let socket = peer.socket.as_ref()?;
            Some((socket, peer.is_reliable()))
        });
        let silent = self.silent.iter();
        let silent = silent.map(|(socket, is_reliable)| (socket, *is_reliable));
        let settings = &self.scenario.settings;
        for (socket, is_reliable) in of_peers.chain(silent) {
            let held = self.service.held(socket.task);
            let most = self.most_held(is_reliable);
            if held.waiting.frames > settings.outbox_frames / 2
                || held.waiting.bytes > settings.outbox_bytes / 2
            {
                self.coverage.saw(Happening::HalfFull);
            }
            if held.behind_handler.frames >= BEHIND_HANDLER.frames
                || held.behind_handler.bytes >= BEHIND_HANDLER.bytes
            {
                self.coverage.saw(Happening::HandlerBehind);
            }
            if held.ahead.frames > 0 {
                self.coverage.saw(Happening::ReadAhead);
            }
            let fits = is_within(held.waiting, most.waiting)
                && is_within(held.unacknowledged, most.unacknowledged)
                && is_within(held.writing, most.writing)
                && is_within(held.behind_handler, most.behind_handler)
                && is_within(held.ahead, most.ahead)
                && held.unread <= most.unread;
            if !fits {
                return Err(Finding::new(
                    "no connection holds more than it may",
                    format_args!("{most:?}"),
                    format_args!("{held:?} for {:?}", socket.task),
                ));
            }
        }
        Ok(())
    }

    /// What `docs/compatibility.md` lets a connection hold.
    fn most_held(&self, is_reliable: bool) -> Held {
        let settings = &self.scenario.settings;
        let limit = Amount {
            frames: settings.outbox_frames,
            bytes: settings.outbox_bytes,
        };
        let message = self.scenario.message + AROUND_PAYLOAD;
        // Whoever publishes may have begun one message, and whoever publishes is answered; so is each event that waits
        // behind the handler.
        let begun = self.scenario.publishers + self.callers.len() + 2 + BEHIND_HANDLER.frames;
        let one_more = |amount: Amount| Amount {
            frames: amount.frames + 1,
            bytes: amount.bytes + message,
        };
        let (waiting, unacknowledged) = match is_reliable {
            // What is unacknowledged waits again after a recovery; control frames have room beside it.
            true => {
                let twice = Amount {
                    frames: 2 * limit.frames,
                    bytes: 2 * limit.bytes,
                };
                let with_control = Amount {
                    frames: twice.frames + 32,
                    bytes: twice.bytes + 64 * 1024,
                };
                (with_control, twice)
            }
            false => (limit, Amount::default()),
        };
        Held {
            waiting: Amount {
                frames: waiting.frames + begun,
                bytes: waiting.bytes + begun * message,
            },
            unacknowledged,
            // A ping, a pong and a close have their place beside it.
            writing: Amount {
                frames: WRITING.frames + 3,
                bytes: WRITING.bytes + message + 3 * CONTROL_BYTES,
            },
            behind_handler: one_more(BEHIND_HANDLER),
            ahead: Amount {
                frames: AHEAD_BYTES / SMALL_BYTES + 1,
                bytes: AHEAD_BYTES + message,
            },
            unread: READ_BYTES + message,
        }
    }

    /// Everybody is there, and everything that somebody wanted to send is sent and answered.
    pub(super) fn check_sent(&self) -> Check {
        for caller in &self.callers {
            let under_way = caller
                .call
                .is_some_and(|call| self.service.is_running(call));
            self.check_none_waits(caller.wishes + u64::from(under_way))?;
        }
        for peer in &self.peers {
            let is_there = peer.socket.is_some();
            Finding::unless_same("everyone is connected after the trouble", &true, &is_there)?;
            let unsent = peer.socket.as_ref().map_or(0, |it| it.outgoing.len());
            let wishes = peer.wishes + peer.event_wishes;
            self.check_none_waits(wishes + (peer.unanswered.len() + unsent) as u64)?;
        }
        Ok(())
    }

    fn check_none_waits(&self, waits: u64) -> Check {
        if waits == 0 {
            return Ok(());
        }
        let sockets = self.peers.iter().filter_map(|peer| peer.socket.as_ref());
        let sockets = sockets.chain(self.silent.iter().map(|(socket, _)| socket));
        let held: Vec<_> = sockets
            .map(|socket| (socket.task, self.service.held(socket.task)))
            .filter(|(_, held)| *held != Held::default())
            .collect();
        Err(Finding::new(
            "nobody is held back for ever",
            "all is sent and answered",
            format_args!("{waits} things wait, while the service holds {held:?}"),
        ))
    }

    /// Everything that was sent has arrived everywhere.
    pub(super) fn check_calm(&mut self) -> Check {
        self.check_sent()?;
        let publishers = self.peers.iter().take(self.scenario.publishers);
        let mut senders: Vec<_> = publishers.map(|peer| (peer.number, peer.sent)).collect();
        for (index, caller) in self.callers.iter().enumerate() {
            senders.push((CALLERS + index as u64, caller.sent));
        }
        for peer in &self.peers {
            for (sender, sent) in &senders {
                let seen = peer.seen.get(sender).copied();
                if seen != Some(*sent) {
                    return Err(Finding::new(
                        "who reads gets everything, once and in order",
                        format_args!("{sender}.{sent} at client {}", peer.number),
                        format_args!("{seen:?} was the last one"),
                    ));
                }
            }
        }
        for (socket, _) in &self.silent {
            let is_there = self.service.is_running(socket.task);
            Finding::unless_same("silent sockets are given up", &false, &is_there)?;
        }
        for _ in 0..self.silent.len() {
            self.coverage.saw(Happening::SilenceNoticed);
        }
        Ok(())
    }

    pub(super) fn check_empty(&self) -> Check {
        Finding::unless_same("nobody is left", &0, &self.service.running())?;
        let still = |peer: &&Peer| self.service.connection_exists(&peer.id);
        let left = self.peers.iter().filter(still).count();
        Finding::unless_same("nobody is left", &0, &left)
    }
}

const fn is_within(held: Amount, most: Amount) -> bool {
    held.frames <= most.frames && held.bytes <= most.bytes
}
