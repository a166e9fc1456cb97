//! What happens to clients, servers and the event handler. These are values, so that a seed can draw them and a property can
//! list them.

use std::ops::Range;
use std::time::Duration;

use rand::Rng as _;
use rand::rngs::SmallRng;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, OpCode};
use webpubsub_protocol::name::ConnectionId;

use super::peer::Pace;
use super::world::World;
use crate::coverage::Happening;

/// One of them. Clients and servers are counted from 0, and again from the first one where there are fewer.
#[derive(Debug, Clone)]
pub(crate) enum Trouble {
    /// A client reads nothing for a while.
    Pause { peer: usize, lasts: Duration },
    /// A client reads so many bytes each time.
    ReadSlowly {
        peer: usize,
        every: Duration,
        most: usize,
    },
    /// A client reads whatever comes.
    ReadOn { peer: usize },
    /// The line of a client is cut; it dials again after a while.
    Cut { peer: usize, away: Duration },
    /// The line of a client goes silent, and the client dials again after a while.
    Silence { peer: usize, away: Duration },
    /// A client closes its connection.
    Leave { peer: usize },
    /// A server closes the connection of a client.
    Close { peer: usize },
    /// A client publishes so many messages as fast as it can.
    Burst { peer: usize, messages: u64 },
    /// A client sends so many events to the handler as fast as it can.
    Events { peer: usize, events: u64 },
    /// A server publishes so many messages, one after the other.
    Calls { caller: usize, messages: u64 },
    /// The handler answers nothing for a while.
    HandlerPauses { lasts: Duration },
}

impl Trouble {
    /// Something for a client.
    pub(crate) fn draw(rng: &mut SmallRng, peer: usize) -> Self {
        match rng.random_range(0..11) {
            0 | 1 => Self::Pause {
                peer,
                lasts: duration(rng, 500..3500),
            },
            2 | 3 => Self::Pause {
                peer,
                lasts: duration(rng, 6000..30_000),
            },
            4 => Self::ReadSlowly {
                peer,
                every: duration(rng, 100..3000),
                most: rng.random_range(20..3000),
            },
            5 | 6 => Self::Cut {
                peer,
                away: duration(rng, 0..20_000),
            },
            7 => Self::Silence {
                peer,
                away: duration(rng, 0..20_000),
            },
            8 => Self::Leave { peer },
            9 => Self::Close { peer },
            _ => Self::ReadOn { peer },
        }
    }
}

impl World {
    /// Lets it happen. Nothing happens to the line of a client that has none.
    pub(super) fn inflict(&mut self, trouble: Trouble) {
        self.note(|| format!("{trouble:?}"));
        let now = self.now;
        match trouble {
            Trouble::Pause { peer, lasts } => {
                let is_short = lasts < super::checks::PATIENCE;
                self.saw(match is_short {
                    true => Happening::ShortPause,
                    false => Happening::LongPause,
                });
                self.peer(peer).pace = Pace::Stalled { until: now + lasts };
            }
            Trouble::ReadSlowly { peer, every, most } => {
                self.saw(Happening::SlowReader);
                self.peer(peer).pace = Pace::Slow {
                    every,
                    most,
                    next: now + every,
                };
            }
            Trouble::ReadOn { peer } => self.peer(peer).pace = Pace::Full,
            Trouble::Cut { peer, away } => {
                if let Some(socket) = self.peer(peer).socket.take() {
                    socket.far.cut();
                    self.peer(peer).dials_at = now + away;
                    self.saw(Happening::SocketCut);
                }
            }
            Trouble::Silence { peer, away } => {
                let is_reliable = self.peer(peer).is_reliable();
                if let Some(socket) = self.peer(peer).socket.take() {
                    self.silent.push((socket, is_reliable));
                    self.peer(peer).dials_at = now + away;
                    self.saw(Happening::SocketSilence);
                }
            }
            Trouble::Leave { peer } => {
                let peer = self.peer(peer);
                if let Some(socket) = &mut peer.socket {
                    socket.is_ending = true;
                    socket.say(OpCode::Control(Control::Close), &1000_u16.to_be_bytes());
                    peer.token = None;
                    self.saw(Happening::ClientLeft);
                }
            }
            Trouble::Close { peer } => {
                let peer = self.peer(peer);
                if let Some(socket) = &mut peer.socket {
                    socket.is_ending = true;
                    let id = ConnectionId::new(peer.id.clone()).expect("the service's own");
                    self.service.close(id);
                    self.saw(Happening::ServerClosed);
                }
            }
            Trouble::Burst { peer, messages } => self.peer(peer).wishes += messages,
            Trouble::Events { peer, events } => {
                let peer = self.peer(peer);
                if peer.subprotocol.is_some() {
                    peer.event_wishes += events;
                }
            }
            Trouble::Calls { caller, messages } => {
                let callers = self.callers.len();
                if callers > 0 {
                    self.callers[caller % callers].wishes += messages;
                }
            }
            Trouble::HandlerPauses { lasts } => {
                self.saw(Happening::HandlerPaused);
                self.handler_answers_at = self.handler_answers_at.max(now + lasts);
            }
        }
    }
}

/// So many milliseconds.
pub(super) fn duration(rng: &mut SmallRng, range: Range<u64>) -> Duration {
    Duration::from_millis(rng.random_range(range))
}
