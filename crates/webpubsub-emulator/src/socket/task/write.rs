//! Writing: from the outbox to the transport, and the end of both.

use std::ops::ControlFlow::{Break, Continue};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite};
use webpubsub_protocol::name::GroupName;

use super::faults::Fate;
use super::{Phase, Socket, Turn, close_frame};
use crate::hub::{
    Attachment, Batch, CLOSE_DRAIN, End, Found, Full, Line, MessageKind, Waiting, WireFrame,
};
use crate::socket::reader::PeerClose;
use crate::traffic::{Direction, Excerpt, TrafficEvent};

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
impl<T: AsyncRead + AsyncWrite + Unpin> Socket<T> {
    /// Writes until the transport takes no more or nothing waits.
    pub(super) fn write(&mut self, cx: &mut Context<'_>, now: Instant) -> Turn<Found> {
        loop {
            let found = self.fill_writer(Some(cx), now)?;
            if self.writer.is_empty() {
                let is_taken_from = matches!(found.line, Line::Open | Line::Closed { .. });
                if found.has_more && is_taken_from && self.phase == Phase::Open {
                    // All that was taken is lost on purpose.
                    continue;
                }
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

    /// Writes in place of the task, which is woken for what only it can do.
    pub(super) fn flush(&mut self, now: Instant) {
        // With something to write the task waits for the transport; without having begun it will look first.
        if self.phase == Phase::Open
            && self.writer.is_empty()
            && let Some(task) = self.task.take()
        {
            // What is to go wrong is up to the task.
            if self.may_be_disturbed() || !self.write_at_once(&mut Context::from_waker(&task), now)
            {
                task.wake_by_ref();
            }
            self.task = Some(task);
        }
    }

    /// Whether everything is written, and the task has nothing to do.
    fn write_at_once(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        loop {
            let Continue(found) = self.fill_writer(None, now) else {
                return false;
            };
            while !self.writer.is_empty() {
                let Poll::Ready(Ok(_)) = self.writer.poll_write(Pin::new(&mut self.io), cx) else {
                    return false;
                };
            }
            let is_awaited = found
                .acknowledges_until
                .is_none_or(|until| until >= self.timer.deadline());
            if found.line != Line::Open || !is_awaited {
                return false;
            }
            if !found.has_more {
                return true;
            }
        }
    }

    /// Takes from the outbox what the writer has room for, and sees how it stands.
    fn fill_writer(&mut self, cx: Option<&Context<'_>>, now: Instant) -> Turn<Found> {
        let Attachment { epoch, outbox, .. } = &self.guard.attachment;
        let takes = self.phase == Phase::Open && self.writer.is_empty();
        let most = if takes { BATCH } else { NOTHING };
        let writer = &mut self.writer;
        // What passes is labelled only where somebody looks.
        let is_logged = self.guard.service.traffic().wants_frames();
        let mut labels = Vec::new();
        let (guard, disturbance) = (&self.guard, &mut self.disturbance);
        let put = |waiting: Waiting| {
            let is_twice = match disturbance {
                None => false,
                Some(disturbance) => {
                    let (kind, group) = waiting.label();
                    let (store, frame) = (guard.service.faults(), (Direction::Out, kind));
                    match disturbance.fate(
                        store,
                        &guard.hub,
                        &guard.attachment,
                        frame,
                        group.as_ref(),
                    ) {
                        Fate::Passes => false,
                        Fate::IsLost => return,
                        Fate::ComesTwice => true,
                    }
                }
            };
            if is_logged {
                labels.extend(std::iter::repeat_n(
                    waiting.label(),
                    1 + usize::from(is_twice),
                ));
            }
            let frame = WireFrame::from(waiting);
            if is_twice {
                writer.push(frame.clone());
            }
            writer.push(frame);
        };
        let found = match cx {
            Some(cx) => outbox.poll(cx, *epoch, now, most, put),
            None => outbox.take(*epoch, now, most, put),
        };
        if found.line == Line::Superseded {
            return Break(());
        }
        if takes && !self.writer.is_empty() {
            self.count_out(&labels);
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
    pub(super) fn judge(&self, judgement: impl FnOnce(&Attachment) -> Result<(), Full>) {
        if let Err(full) = judgement(&self.guard.attachment) {
            self.guard.end(&End::Slow(full));
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
                if self.reader.discard() == PeerClose::Unknowable {
                    // Its answer could not be told from the rest: the end of the line is what is left to wait for.
                    let _ = Pin::new(&mut self.io).poll_shutdown(cx);
                }
                Continue(())
            }
        }
    }

    /// Counts what was just taken, and lets it be seen.
    fn count_out(&self, labels: &[(MessageKind, Option<GroupName>)]) {
        let (mut frames, mut bytes) = (0, 0);
        for frame in self.writer.frames() {
            frames += 1;
            bytes += frame.payload_len() as u64;
        }
        let counters = self.guard.service.counters();
        counters.frames_out.add(frames);
        counters.bytes_out.add(bytes);
        let counters = self.guard.hub.counters();
        counters.frames_out.add(frames);
        counters.bytes_out.add(bytes);
        for (frame, (kind, group)) in self.writer.frames().zip(labels) {
            let bytes = frame.payload_len();
            self.guard
                .service
                .traffic()
                .note_frame(|| TrafficEvent::Frame {
                    hub: self.guard.hub.name().clone(),
                    connection_id: self.guard.attachment.connection_id.clone(),
                    user_id: self.guard.attachment.user_id.as_deref().cloned(),
                    direction: Direction::Out,
                    kind: *kind,
                    group: group.clone(),
                    bytes,
                    // It brings the reconnection token.
                    excerpt: match kind {
                        MessageKind::Connected => None,
                        _ => {
                            let excerpt = || Excerpt::of_parts(frame.payload_bytes(), bytes);
                            self.guard.service.traffic().excerpt(excerpt)
                        }
                    },
                });
        }
    }
}
