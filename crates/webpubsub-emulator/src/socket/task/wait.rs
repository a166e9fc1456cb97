//! Waiting: what comes due while nothing happens.

use std::ops::ControlFlow::{Break, Continue};
use std::task::Context;
use std::time::Instant;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Phase, Socket, Turn};
use crate::hub::{Found, FrameKind, Line, STALL_LIMIT, WireFrame};

impl<T: AsyncRead + AsyncWrite + Unpin> Socket<T> {
    /// Acts on what has come due, and waits for what comes next.
    pub(super) fn wait(&mut self, cx: &mut Context<'_>, now: Instant, found: Found) -> Turn<()> {
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
}
