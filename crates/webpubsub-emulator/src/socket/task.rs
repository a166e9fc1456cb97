//! One task per socket: it drains the outbox, hands frames to the hub, and keeps the line alive.
//! Generic over the transport, so that tests can stall, cut or script one.
//!
//! It is one future written by hand, since an emulator has many of them: an idle socket holds its transport, one timer
//! and no buffer. Each time it is polled it takes turns, first writing, then reading, neither of which is long. So a client
//! that sends much is answered while it does, and one that is sent much is heard.
//!
//! A client is not read while its own outbox is more than half full, or one that it filled, as long as the client
//! at the other end still takes something ([`crate::hub::Crowded`]).

use std::future::Future;
use std::mem::MaybeUninit;
use std::ops::ControlFlow::{self, Break, Continue};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::{BufMut as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use webpubsub_protocol::limits::MESSAGE_BYTES;

use super::decode;
use super::reader::{Farewell, Reader};
use super::writer::Writer;
use crate::clock::Timer;
use crate::hub::{
    Attachment, Batch, CLOSE_DRAIN, CONNECTION_ENDED, Crowded, End, Found, FrameKind, Full, Gone,
    Hub, Line, STALL_LIMIT, WireFrame,
};
use crate::service::{Service, SocketKey};
use crate::tap::Tapped;

/// What is taken from the outbox at once.
const BATCH: Batch = Batch {
    frames: 64,
    bytes: 256 * 1024,
};

/// Nothing is taken; only how things are.
const NOTHING: Batch = Batch {
    frames: 0,
    bytes: 0,
};

/// What is read from the transport at once.
const READ_BYTES: usize = 16 * 1024;

/// Messages of the client that are handled before it is its outbox's turn again.
const MESSAGES_PER_TURN: usize = 32;

/// Turns of writing and reading before other sockets have theirs.
const TURNS: usize = 8;

/// What is still read of a message. Above the service's limit, so that a message that is a little too large is read whole
/// and answered by a clean 1009 instead of a reset.
const READABLE_BYTES: usize = 2 * MESSAGE_BYTES;

/// A socket's hold on its connection: dropped, the connection knows that the socket is gone.
pub(super) struct SocketGuard {
    service: Arc<Service>,
    hub: Arc<Hub>,
    attachment: Attachment,
    key: SocketKey,
}

impl SocketGuard {
    pub(super) fn new(service: Arc<Service>, hub: Arc<Hub>, attachment: Attachment) -> Self {
        service.counters().connections_opened.add(1);
        tracing::debug!(hub = %hub.name(), connection = %attachment.connection_id, "opened");
        Self {
            key: service.sockets().add(),
            service,
            hub,
            attachment,
        }
    }

    /// Runs a task that holds this guard, until it ends or the service waits no longer.
    pub(super) fn spawn<F: Future<Output = ()> + Send + 'static>(
        self,
        task: impl FnOnce(Self) -> F,
    ) {
        let (service, key) = (Arc::clone(&self.service), self.key);
        let task = tokio::spawn(task(self));
        service.sockets().started(key, task.abort_handle());
    }

    pub(super) fn end(&self, end: &End) {
        self.hub
            .socket_failed(self.attachment.key, self.attachment.epoch, end);
    }

    fn gone(&self, gone: Gone) {
        self.hub
            .socket_gone(self.attachment.key, self.attachment.epoch, gone);
    }
}

impl Drop for SocketGuard {
    fn drop(&mut self) {
        self.attachment.outbox.let_go();
        self.gone(Gone::Lost);
        self.service.counters().connections_closed.add(1);
        self.service.sockets().remove(self.key);
        tracing::debug!(
            hub = %self.hub.name(), connection = %self.attachment.connection_id, "closed"
        );
    }
}

/// Runs a socket until it is closed, or until the service goes away without waiting for it.
pub(super) struct SocketTask<T> {
    // Dropped before the guard: whoever waits for the guard knows that nothing is written any more.
    io: T,
    guard: SocketGuard,
    reader: Reader,
    writer: Writer,
    phase: Phase,
    /// Outboxes that this client filled.
    crowded: Crowded,
    timer: Timer,
    /// When the client was last heard, or read again after it was not.
    heard_at: Instant,
    ping_at: Instant,
    /// When the transport last took something of what waits for it.
    blocked_since: Option<Instant>,
    /// Whether the outbox holds the client for one that does not take what it is sent.
    has_stalled: bool,
}

/// How far a socket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// A close frame is under way, or its answer is awaited, at most until then.
    Closing {
        until: Instant,
        /// Whether the client closed, so that there is no answer.
        by_client: bool,
        is_shut: bool,
    },
}

/// A turn; a break ends the task.
type Turn<T> = ControlFlow<(), T>;

impl<T: AsyncRead + AsyncWrite + Unpin> SocketTask<T> {
    /// A socket whose handshake is done.
    pub(super) fn new(io: T, guard: SocketGuard) -> Self {
        guard.hub.greet(guard.attachment.key);
        let now = guard.service.clock().mono();
        let ping_at = now + guard.service.settings().limits.ping_interval;
        Self {
            io,
            reader: Reader::new(READABLE_BYTES),
            writer: Writer::default(),
            phase: Phase::Open,
            crowded: Crowded::default(),
            timer: Timer::new(guard.service.clock().clone(), ping_at),
            heard_at: now,
            ping_at,
            blocked_since: None,
            has_stalled: false,
            guard,
        }
    }

    /// Takes turns until there is nothing to do.
    fn take_turns(&mut self, cx: &mut Context<'_>) -> Turn<()> {
        let now = self.guard.service.clock().mono();
        for _ in 0..TURNS {
            let found = self.write(cx, now)?;
            let has_more = match (self.phase, found.line) {
                (Phase::Open, Line::Open | Line::NotYet) => self.read(cx, now, found)?,
                (
                    Phase::Closing {
                        by_client: true, ..
                    },
                    _,
                ) => false,
                _ => self.await_answer(cx)?,
            };
            if !has_more {
                return self.wait(cx, now, found);
            }
        }
        cx.waker().wake_by_ref();
        Continue(())
    }

    // Writing.

    /// Writes until the transport takes no more or nothing waits.
    fn write(&mut self, cx: &mut Context<'_>, now: Instant) -> Turn<Found> {
        loop {
            let found = self.fill_writer(cx, now)?;
            if self.writer.is_empty() {
                self.set_blocked(None);
                self.finish_closing(cx)?;
                return Continue(found);
            }
            match self.writer.poll_write(Pin::new(&mut self.io), cx) {
                Poll::Ready(Ok(_)) => self.set_blocked(Some(now)),
                Poll::Ready(Err(_)) => return Break(()),
                Poll::Pending => {
                    if self.blocked_since.is_none() {
                        self.set_blocked(Some(now));
                    }
                    return Continue(found);
                }
            }
        }
    }

    /// Takes from the outbox what the writer has room for, and sees how it stands.
    fn fill_writer(&mut self, cx: &mut Context<'_>, now: Instant) -> Turn<Found> {
        let Attachment { epoch, outbox, .. } = &self.guard.attachment;
        let takes = self.phase == Phase::Open && self.writer.is_empty();
        let most = if takes { BATCH } else { NOTHING };
        let mut batch = Vec::new();
        let found = outbox.poll(cx, *epoch, now, most, &mut batch);
        if found.line == Line::Superseded {
            return Break(());
        }
        if !batch.is_empty() {
            self.writer.reserve(batch.len());
            let mut bytes = 0;
            let frames = batch.len();
            for waiting in batch {
                let frame = WireFrame::from(waiting);
                bytes += frame.payload_len();
                self.tap_out(&frame);
                self.writer.push(frame);
            }
            let counters = self.guard.service.counters();
            counters.frames_out.add(frames as u64);
            counters.bytes_out.add(bytes as u64);
        }
        if let Line::Closed {
            abort_at,
            drained: true,
        } = found.line
            && self.phase == Phase::Open
            && let Some(close) = self.guard.attachment.outbox.closing()
        {
            self.writer
                .push(close_frame(Some((close.code, &close.reason))));
            self.phase = Phase::Closing {
                until: abort_at,
                by_client: false,
                is_shut: false,
            };
        }
        Continue(found)
    }

    /// Notes since when the transport takes nothing of what waits for it; `None` when nothing waits.
    fn set_blocked(&mut self, since: Option<Instant>) {
        self.blocked_since = since;
        if self.has_stalled {
            self.has_stalled = false;
            self.judge(|attachment| attachment.outbox.set_reads(attachment.epoch, true));
        }
    }

    /// A client for which more waits than may is ended.
    fn judge(&self, judgement: impl FnOnce(&Attachment) -> Result<(), Full>) {
        if let Err(full) = judgement(&self.guard.attachment) {
            self.guard.end(&End::slow(full));
        }
    }

    /// Everything is written: the service has closed, or answered a close.
    fn finish_closing(&mut self, cx: &mut Context<'_>) -> Turn<()> {
        match &mut self.phase {
            Phase::Open => Continue(()),
            // The service closes the transport first.
            Phase::Closing {
                by_client: true, ..
            } => Break(()),
            Phase::Closing { until, is_shut, .. } => {
                if !*is_shut {
                    *is_shut = true;
                    // What counts from now on is the patience for the answer.
                    *until = self.guard.service.clock().mono() + CLOSE_DRAIN;
                }
                if self.reader.discard() == Farewell::Unknowable {
                    // Its answer could not be told from the rest: the end of the line is what is left to wait for.
                    let _ = Pin::new(&mut self.io).poll_shutdown(cx);
                }
                Continue(())
            }
        }
    }

    // Reading.

    /// Reads some messages. Whether there is reason for another turn: answers to write, or more to read.
    fn read(&mut self, cx: &mut Context<'_>, now: Instant, found: Found) -> Turn<bool> {
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
                    self.take(message, now)
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
    fn take(&mut self, message: Message, now: Instant) -> bool {
        let form = self.guard.attachment.outbox.form();
        let most = self.guard.service.settings().limits.message_bytes;
        let received = match message {
            Message::Text(text) => {
                self.count_in(text.len());
                decode::text(form, text, most)
            }
            Message::Binary(bytes) => {
                self.count_in(bytes.len());
                decode::binary(form, bytes, most)
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
        let settings = self.guard.service.settings();
        let gone = match &close {
            Some(close) => decode::closed_by_client(close),
            None if settings.end_on_close_without_status => Gone::ClosedForGood(CONNECTION_ENDED),
            None => Gone::Lost,
        };
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
    fn await_answer(&mut self, cx: &mut Context<'_>) -> Turn<bool> {
        let is_end = self.fill_reader(cx);
        let farewell = self.reader.discard();
        match is_end {
            Some(true) => Break(()),
            _ if farewell == Farewell::Seen && self.writer.is_empty() => Break(()),
            Some(false) => Continue(true),
            None => Continue(false),
        }
    }

    // Waiting.

    /// Acts on what has come due, and waits for what comes next.
    fn wait(&mut self, cx: &mut Context<'_>, now: Instant, found: Found) -> Turn<()> {
        let limits = &self.guard.service.settings().limits;
        let mut next = match self.phase {
            Phase::Closing { until, .. } => until,
            Phase::Open => self.ping_at,
        };
        if let Line::Closed { abort_at, .. } = found.line
            && self.phase == Phase::Open
        {
            next = next.min(abort_at);
            if abort_at <= now {
                return Break(());
            }
        }
        if let Phase::Closing { until, .. } = self.phase
            && until <= now
        {
            return Break(());
        }
        if self.phase == Phase::Open {
            if let Some(since) = self.blocked_since
                && !self.has_stalled
            {
                if since + STALL_LIMIT <= now {
                    self.has_stalled = true;
                    self.judge(|attachment| attachment.outbox.set_reads(attachment.epoch, false));
                    // It may be read again, and it may have been ended.
                    cx.waker().wake_by_ref();
                } else {
                    next = next.min(since + STALL_LIMIT);
                }
            }
            if let Some(until) = found.acknowledges_until {
                if until <= now {
                    self.judge(|attachment| {
                        attachment.outbox.set_unacknowledging(attachment.epoch)
                    });
                } else {
                    next = next.min(until);
                }
            }
            if self.ping_at <= now {
                let silent = now.saturating_duration_since(self.heard_at);
                if silent >= limits.silence_limit {
                    tracing::info!(
                        connection = %self.guard.attachment.connection_id,
                        "silent for {} s: taken as lost", silent.as_secs()
                    );
                    return Break(());
                }
                self.ping_at = now + limits.ping_interval;
                self.writer
                    .push_first(WireFrame::new(FrameKind::Ping, Bytes::new()));
                next = next.min(self.ping_at);
                cx.waker().wake_by_ref();
            }
        }
        // A timer that is too early does no harm, and setting it costs more.
        if next < self.timer.deadline() || self.timer.deadline() <= now {
            self.timer.reset(next);
        }
        if self.timer.poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
        Continue(())
    }

    // Counting.

    fn count_in(&self, bytes: usize) {
        let counters = self.guard.service.counters();
        counters.frames_in.add(1);
        counters.bytes_in.add(bytes as u64);
        self.guard.service.tap().emit(|| Tapped::FrameIn {
            hub: self.guard.hub.name().clone(),
            connection_id: self.guard.attachment.connection_id.clone(),
            bytes,
        });
    }

    fn tap_out(&self, frame: &WireFrame) {
        self.guard.service.tap().emit(|| Tapped::FrameOut {
            hub: self.guard.hub.name().clone(),
            connection_id: self.guard.attachment.connection_id.clone(),
            bytes: frame.payload_len(),
        });
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Future for SocketTask<T> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.take_turns(cx) {
            Continue(()) => Poll::Pending,
            Break(()) => Poll::Ready(()),
        }
    }
}

/// A close frame; one without a status has no payload.
pub(super) fn close_frame(close: Option<(u16, &str)>) -> WireFrame {
    let mut payload = BytesMut::new();
    if let Some((code, reason)) = close {
        payload.put_u16(code);
        payload.put_slice(reason.as_bytes());
    }
    WireFrame::new(FrameKind::Close, payload.freeze())
}
