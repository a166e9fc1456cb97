//! An open socket: reads in batches, writes until it takes no more, and ends with what the peer said last.

use std::task::{Context, Poll};

use webpubsub_protocol::session::{Attempt, Closure, Input, WireFrame};

use crate::connector::AnyTransport;

/// Frames of one batch. They are handed to the session under one lock.
const BATCH_FRAMES: usize = 64;

/// Bytes of one batch, give or take a message.
const BATCH_BYTES: usize = 256 * 1024;

/// What a frame costs in an inbox beyond its own bytes, roughly.
const FRAME_COST: usize = 256;

pub(super) struct Socket {
    attempt: Attempt,
    transport: AnyTransport,
    is_flushed: bool,
    /// Writing failed with this. What the peer said before is still read: its close frame says more.
    broken: Option<Box<Closure>>,
}

impl Socket {
    pub(super) const fn new(attempt: Attempt, transport: AnyTransport) -> Self {
        Self {
            attempt,
            transport,
            is_flushed: true,
            broken: None,
        }
    }

    pub(super) const fn attempt(&self) -> Attempt {
        self.attempt
    }

    pub(super) fn into_transport(self) -> AnyTransport {
        self.transport
    }

    /// Reads a batch, of not much more than `limit` bytes. Pending when nothing more has arrived, ready with whether
    /// the socket is still open.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        limit: usize,
        mut report: impl FnMut(Attempt, Input),
    ) -> Poll<bool> {
        let is_blocked = limit == 0;
        let limit = match self.broken {
            Some(_) => BATCH_BYTES,
            None => limit.min(BATCH_BYTES),
        };
        let mut bytes = 0;
        for _ in 0..BATCH_FRAMES {
            if bytes >= limit {
                break;
            }
            match self.transport.as_mut().poll_next(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    bytes += frame.len() + FRAME_COST;
                    report(self.attempt, Input::Frame(frame));
                }
                Poll::Ready(end) => {
                    let last = end.and_then(Result::err).unwrap_or_default();
                    let closure = match self.broken.take() {
                        Some(broken) if last.code.is_none() => *broken,
                        _ => last,
                    };
                    report(self.attempt, Input::Closed(closure));
                    return Poll::Ready(false);
                }
                Poll::Pending => {
                    let Some(broken) = self.broken.take() else {
                        return Poll::Pending;
                    };
                    report(self.attempt, Input::Closed(*broken));
                    return Poll::Ready(false);
                }
            }
        }
        if is_blocked && let Some(broken) = self.broken.take() {
            // Nobody takes what comes in, so there is no waiting for its end.
            report(self.attempt, Input::Closed(*broken));
            return Poll::Ready(false);
        }
        Poll::Ready(true)
    }

    /// Writes what `next` gives, as long as the socket takes it, and flushes it; whether that failed just now.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        next: impl FnMut() -> Option<WireFrame>,
    ) -> bool {
        if self.broken.is_some() {
            return false;
        }
        self.broken = self.try_write(cx, next).err().map(Box::new);
        self.broken.is_some()
    }

    fn try_write(
        &mut self,
        cx: &mut Context<'_>,
        mut next: impl FnMut() -> Option<WireFrame>,
    ) -> Result<(), Closure> {
        while let Poll::Ready(ready) = self.transport.as_mut().poll_ready(cx) {
            ready?;
            let Some(frame) = next() else { break };
            self.is_flushed = false;
            self.transport.as_mut().start_send(frame)?;
        }
        if !self.is_flushed
            && let Poll::Ready(flushed) = self.transport.as_mut().poll_flush(cx)
        {
            flushed?;
            self.is_flushed = true;
        }
        Ok(())
    }
}
