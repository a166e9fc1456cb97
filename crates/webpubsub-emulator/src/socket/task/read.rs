//! Reading: what the client sends goes to the hub.

use std::collections::VecDeque;
use std::mem::MaybeUninit;
use std::ops::ControlFlow::{Break, Continue};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use super::faults::Fate;
use super::{Phase, Socket, Turn, close_frame};
use crate::hub::{
    Attachment, CLOSE_DRAIN, End, Found, FrameKind, MessageKind, Received, Wakes, WireFrame,
};
use crate::socket::decode;
use crate::socket::reader::PeerClose;
use crate::traffic::{Direction, Excerpt, TrafficEvent};

/// What is read from the transport at once.
const READ_BYTES: usize = 16 * 1024;

/// Messages of the client that are handled before it is its outbox's turn again, and before those to whom it publishes are
/// written to: as many as one of them is written at once.
const MESSAGES_PER_TURN: usize = 64;
/// Bytes of a client's frames that are read ahead while it is held back, and one frame more.
const AHEAD_BYTES: usize = 256 * 1024;

/// What a small frame counts for at least, since it occupies as much.
const FRAME_BYTES: usize = 256;

/// What a client said.
pub(super) enum Heard {
    Frame(Received),
    /// A ping, which is answered already.
    Ping,
    Close(Option<CloseFrame>),
    /// It broke the protocol.
    Broken(End),
    /// Part of a message, or one that means nothing.
    Part,
    /// Nothing more for now.
    Nothing,
    /// The line has ended.
    End,
}

/// What was read while the client was held back, in order.
#[derive(Default)]
pub(super) struct Ahead {
    heard: VecDeque<Heard>,
    bytes: usize,
}

impl Ahead {
    /// Whether no more is read.
    fn is_full(&self) -> bool {
        let is_last = matches!(self.heard.back(), Some(Heard::Close(_) | Heard::Broken(_)));
        is_last || self.bytes >= AHEAD_BYTES
    }

    fn push(&mut self, heard: Heard) {
        self.bytes += heard.size();
        self.heard.push_back(heard);
    }

    fn pop(&mut self) -> Option<Heard> {
        let heard = self.heard.pop_front()?;
        self.bytes -= heard.size();
        if self.heard.is_empty() {
            self.heard = VecDeque::new();
        }
        Some(heard)
    }

    #[cfg(feature = "__simulation")]
    pub(super) fn held(&self) -> crate::hub::driven::Amount {
        crate::hub::driven::Amount {
            frames: self.heard.len(),
            bytes: self.bytes,
        }
    }
}

impl Heard {
    fn size(&self) -> usize {
        match self {
            Self::Frame(received) => received.size().max(FRAME_BYTES),
            _ => FRAME_BYTES,
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Socket<T> {
    /// Reads some messages. Whether there is reason for another turn: answers to write, or more to read.
    pub(super) fn read(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        found: Found,
        wakes: &mut Wakes,
    ) -> Turn<bool> {
        if found.is_paused || self.crowded.poll_clear(cx).is_pending() {
            // Not heard because not listened to.
            self.heard_at = now;
            return Continue(self.look_ahead(cx, now, wakes));
        }
        if !self.ahead.is_full() {
            self.set_heard(now, true);
        }
        let mut has_taken = false;
        for _ in 0..MESSAGES_PER_TURN {
            let heard = self.ahead.pop().unwrap_or_else(|| self.hear(cx, now));
            match heard {
                Heard::Nothing => return Continue(has_taken),
                Heard::Part => continue,
                Heard::End => return Break(()),
                _ => has_taken = true,
            }
            if !self.handle(heard, now, wakes) {
                break;
            }
        }
        Continue(true)
    }

    /// A reliable client acknowledges behind its own frames, and others may wait for that. So while it is held back its
    /// acknowledgements are taken from among its next frames, as far as those fit into a bounded store. Whether there is
    /// reason for another turn.
    fn look_ahead(&mut self, cx: &mut Context<'_>, now: Instant, wakes: &mut Wakes) -> bool {
        if !self.guard.attachment.outbox.is_reliable() {
            return false;
        }
        let mut has_taken = false;
        for _ in 0..MESSAGES_PER_TURN {
            if self.ahead.is_full() {
                self.set_heard(now, false);
                return has_taken;
            }
            match self.hear(cx, now) {
                // The end of the line is still there when it is its turn.
                Heard::Nothing | Heard::End => return has_taken,
                Heard::Part => {}
                Heard::Ping => has_taken = true,
                Heard::Frame(received) if received.is_sequence_ack() => {
                    has_taken = true;
                    self.receive(received, wakes);
                    self.set_heard(now, true);
                }
                heard => self.ahead.push(heard),
            }
        }
        true
    }

    fn set_heard(&mut self, now: Instant, is_heard: bool) {
        if std::mem::replace(&mut self.is_heard, is_heard) != is_heard {
            let Attachment { epoch, outbox, .. } = &self.guard.attachment;
            outbox.set_heard(*epoch, now, is_heard);
        }
    }

    /// The client's next message, or a step towards it.
    fn hear(&mut self, cx: &mut Context<'_>, now: Instant) -> Heard {
        match self.reader.next() {
            Ok(Some(message)) => self.understand(message),
            Ok(None) => match self.fill_reader(cx) {
                None => Heard::Nothing,
                Some(true) => Heard::End,
                Some(false) => {
                    self.heard_at = now;
                    Heard::Part
                }
            },
            Err(error) => decode::broken(&error).map_or(Heard::End, Heard::Broken),
        }
    }

    fn understand(&mut self, message: Message) -> Heard {
        let received = match message {
            Message::Text(text) => {
                let passing = self.count_in(text.as_bytes());
                let received = self.decoder.text(text);
                self.log_in(passing, &received);
                received
            }
            Message::Binary(bytes) => {
                let passing = self.count_in(&bytes);
                let received = self.decoder.binary(bytes);
                self.log_in(passing, &received);
                received
            }
            Message::Ping(payload) => {
                self.writer
                    .push_first(WireFrame::new(FrameKind::Pong, payload));
                return Heard::Ping;
            }
            Message::Close(close) => return Heard::Close(close),
            Message::Pong(_) | Message::Frame(_) => return Heard::Part,
        };
        let Ok(received) = received else {
            return received.map_or_else(Heard::Broken, Heard::Frame);
        };
        match self.fate_of(&received) {
            Fate::Passes => Heard::Frame(received),
            Fate::IsLost => Heard::Part,
            Fate::ComesTwice => {
                self.ahead.push(Heard::Frame(received.clone()));
                Heard::Frame(received)
            }
        }
    }

    fn fate_of(&mut self, received: &Received) -> Fate {
        let (guard, disturbance) = (&self.guard, &mut self.disturbance);
        disturbance.as_mut().map_or(Fate::Passes, |disturbance| {
            let (store, frame) = (guard.service.faults(), (Direction::In, received.kind()));
            let group = received.group();
            disturbance.fate(store, &guard.hub, &guard.attachment, frame, group.as_ref())
        })
    }

    /// Whether the line has ended; `None` when there is nothing to read.
    fn fill_reader(&mut self, cx: &mut Context<'_>) -> Option<bool> {
        let mut space = [MaybeUninit::uninit(); READ_BYTES];
        let mut bytes = ReadBuf::uninit(&mut space);
        match Pin::new(&mut self.io).poll_read(cx, &mut bytes) {
            Poll::Pending => None,
            Poll::Ready(Err(_)) => Some(true),
            Poll::Ready(Ok(())) if bytes.filled().is_empty() => Some(true),
            Poll::Ready(Ok(())) => {
                self.reader.feed(bytes.filled());
                Some(false)
            }
        }
    }

    /// Handles a message. Whether the next one may be handled at once.
    fn handle(&mut self, heard: Heard, now: Instant, wakes: &mut Wakes) -> bool {
        match heard {
            Heard::Frame(received) => self.receive(received, wakes),
            Heard::Broken(end) => {
                self.guard.end(&end);
                false
            }
            Heard::Close(close) => {
                self.closed_by_client(close, now);
                false
            }
            Heard::Ping | Heard::Part | Heard::Nothing | Heard::End => true,
        }
    }

    fn receive(&mut self, received: Received, wakes: &mut Wakes) -> bool {
        let Attachment {
            key, epoch, outbox, ..
        } = &self.guard.attachment;
        let brake = self.guard.hub.receive(*key, *epoch, received);
        wakes.append(brake.wakes);
        let goes_on = brake.crowded.is_empty() && !brake.pauses;
        // Its own outbox pauses it anyway, and what it must acknowledge would never be acknowledged unread.
        let others = brake
            .crowded
            .into_iter()
            .filter(|it| !Arc::ptr_eq(it, outbox));
        self.crowded.add(others);
        goes_on
    }

    fn closed_by_client(&mut self, close: Option<CloseFrame>, now: Instant) {
        let gone = self.decoder.close(close.as_ref());
        // Nothing comes after the answer, and the hub must not see frames after the close.
        let answer = close
            .as_ref()
            .map(|it| (u16::from(it.code), it.reason.as_str()));
        self.writer.end_with(close_frame(answer));
        self.phase = Phase::Closing {
            until: now + CLOSE_DRAIN,
            by_client: true,
            is_shut: false,
        };
        self.guard.gone(gone);
    }

    /// Reads on until the client has answered the service's close, or hangs up. Whether more may be there.
    pub(super) fn await_answer(&mut self, cx: &mut Context<'_>) -> Turn<bool> {
        let is_end = self.fill_reader(cx);
        let peer_close = self.reader.discard();
        match is_end {
            Some(true) => Break(()),
            _ if peer_close == PeerClose::Seen && self.writer.is_empty() => Break(()),
            Some(false) => Continue(true),
            None => Continue(false),
        }
    }
    /// Counts a message. Returns its size and beginning when somebody wants to see it.
    fn count_in(&self, payload: &[u8]) -> Option<(usize, Option<Excerpt>)> {
        let service = &self.guard.service;
        service.counters().frames_in.add(1);
        service.counters().bytes_in.add(payload.len() as u64);
        let counters = self.guard.hub.counters();
        counters.frames_in.add(1);
        counters.bytes_in.add(payload.len() as u64);
        let is_logged = service.traffic().wants_frames();
        is_logged.then(|| {
            let excerpt = service.traffic().excerpt(|| Excerpt::of(payload));
            (payload.len(), excerpt)
        })
    }

    fn log_in(&self, passing: Option<(usize, Option<Excerpt>)>, received: &Result<Received, End>) {
        let Some((bytes, excerpt)) = passing else {
            return;
        };
        let received = received.as_ref().ok();
        self.guard
            .service
            .traffic()
            .note_frame(|| TrafficEvent::Frame {
                hub: self.guard.hub.name().clone(),
                connection_id: self.guard.attachment.connection_id.clone(),
                user_id: self.guard.attachment.user_id.as_deref().cloned(),
                direction: Direction::In,
                kind: received.map_or(MessageKind::Invalid, Received::kind),
                group: received.and_then(Received::group),
                bytes,
                excerpt,
            });
    }
}
