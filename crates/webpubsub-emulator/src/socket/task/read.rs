//! Reading: what the client sends goes to the hub.

use std::mem::MaybeUninit;
use std::ops::ControlFlow::{Break, Continue};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use super::{Phase, Socket, Turn, close_frame};
use crate::hub::{
    Attachment, CLOSE_DRAIN, End, Found, FrameKind, MessageKind, Received, Wakes, WireFrame,
};
use crate::socket::decode;
use crate::socket::reader::Farewell;
use crate::tap::{Direction, Excerpt, Tapped};

/// What is read from the transport at once.
const READ_BYTES: usize = 16 * 1024;

/// Messages of the client that are handled before it is its outbox's turn again, and before those to whom it publishes are
/// written to: as many as one of them is written at once.
const MESSAGES_PER_TURN: usize = 64;
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
            return Continue(false);
        }
        let mut has_taken = false;
        for _ in 0..MESSAGES_PER_TURN {
            let goes_on = match self.reader.next() {
                Ok(Some(message)) => {
                    has_taken = true;
                    self.take(message, now, wakes)
                }
                Ok(None) => {
                    let Some(is_end) = self.fill_reader(cx) else {
                        return Continue(has_taken);
                    };
                    if is_end {
                        return Break(());
                    }
                    self.heard_at = now;
                    true
                }
                Err(error) => {
                    let Some(end) = decode::broken(&error) else {
                        return Break(());
                    };
                    self.guard.end(&end);
                    false
                }
            };
            if !goes_on {
                break;
            }
        }
        Continue(true)
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

    /// Handles a message. Whether the next one may be read at once.
    fn take(&mut self, message: Message, now: Instant, wakes: &mut Wakes) -> bool {
        let received = match message {
            Message::Text(text) => {
                let passing = self.count_in(text.as_bytes());
                let received = self.decoder.text(text);
                self.tap_in(passing, &received);
                received
            }
            Message::Binary(bytes) => {
                let passing = self.count_in(&bytes);
                let received = self.decoder.binary(bytes);
                self.tap_in(passing, &received);
                received
            }
            Message::Ping(payload) => {
                self.writer
                    .push_first(WireFrame::new(FrameKind::Pong, payload));
                return true;
            }
            Message::Close(close) => {
                self.closed_by_client(close, now);
                return false;
            }
            Message::Pong(_) | Message::Frame(_) => return true,
        };
        let Attachment {
            key, epoch, outbox, ..
        } = &self.guard.attachment;
        match received {
            Ok(received) => {
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
            Err(end) => {
                self.guard.end(&end);
                false
            }
        }
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
        let farewell = self.reader.discard();
        match is_end {
            Some(true) => Break(()),
            _ if farewell == Farewell::Seen && self.writer.is_empty() => Break(()),
            Some(false) => Continue(true),
            None => Continue(false),
        }
    }
    /// Counts a message. Returns its size and beginning when somebody wants to see it.
    fn count_in(&self, payload: &[u8]) -> Option<(usize, Excerpt)> {
        let service = &self.guard.service;
        service.counters().frames_in.add(1);
        service.counters().bytes_in.add(payload.len() as u64);
        let is_tapped = service.tap().is_open();
        is_tapped.then(|| (payload.len(), Excerpt::of(payload)))
    }

    fn tap_in(&self, passing: Option<(usize, Excerpt)>, received: &Result<Received, End>) {
        let Some((bytes, excerpt)) = passing else {
            return;
        };
        let received = received.as_ref().ok();
        self.guard.service.tap().emit(|| Tapped::Frame {
            hub: self.guard.hub.name().clone(),
            connection_id: self.guard.attachment.connection_id.clone(),
            direction: Direction::In,
            kind: received.map_or(MessageKind::Invalid, Received::kind),
            group: received.and_then(Received::group),
            bytes,
            excerpt: Some(excerpt),
        });
    }
}
