//! A request under way: from its submission to how it went.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Sleep;
use webpubsub_protocol::session::{Request, RequestId};

use crate::error::SendError;
use crate::shared::{Lane, Settled, Shared};

/// Submits a request as soon as there is room for it, and completes when it is settled. When that takes longer than the
/// time-out, the request is given up, unless it was settled at the last moment: what was not written by then never will
/// be. Dropping the future gives the request up, too.
#[derive(Debug)]
pub(crate) struct Pending<'a> {
    shared: &'a Arc<Shared>,
    lane: Lane,
    step: Step,
    /// Until the first poll.
    timeout: Option<Duration>,
    limit: Option<Pin<Box<Sleep>>>,
}

#[derive(Debug)]
enum Step {
    /// Not submitted; `ticket` is its place among those that wait for room.
    Waiting {
        request: Option<Request>,
        ticket: Option<u64>,
    },
    Submitted(RequestId),
    Over,
}

impl<'a> Pending<'a> {
    /// `lane` is what the request needs room in.
    pub(crate) const fn new(
        shared: &'a Arc<Shared>,
        lane: Lane,
        timeout: Option<Duration>,
        request: Request,
    ) -> Self {
        let step = Step::Waiting {
            request: Some(request),
            ticket: None,
        };
        Self {
            shared,
            lane,
            step,
            timeout,
            limit: None,
        }
    }

    fn poll_settled(&mut self, cx: &Context<'_>) -> Poll<Result<(RequestId, Settled), SendError>> {
        let result = match &mut self.step {
            Step::Waiting { request, ticket } => {
                let submitted = self.shared.poll_submit(self.lane, request, ticket, cx);
                match ready!(submitted) {
                    Ok(id) => {
                        // Whoever settles it wakes us.
                        self.step = Step::Submitted(id);
                        return Poll::Pending;
                    }
                    Err(error) => Err(SendError::of(error)),
                }
            }
            Step::Submitted(id) => {
                let settled = ready!(self.shared.poll_settled(*id, cx));
                // Everything is settled before a driver ends, unless it ends by a panic.
                settled
                    .map(|settled| (*id, settled))
                    .ok_or(SendError::NotStarted)
            }
            Step::Over => Err(SendError::NotStarted),
        };
        self.step = Step::Over;
        Poll::Ready(result)
    }

    /// The time is over. What was settled by now counts nevertheless.
    pub(crate) fn expire(&mut self) -> Result<(RequestId, Settled), SendError> {
        let settled = self
            .withdraw()
            .and_then(|id| Some((id, self.shared.expire(id)?)));
        settled.ok_or(SendError::TimedOut)
    }

    /// Leaves the queue of those that wait for room. Returns the request when it was submitted.
    fn withdraw(&mut self) -> Option<RequestId> {
        match std::mem::replace(&mut self.step, Step::Over) {
            Step::Submitted(id) => return Some(id),
            Step::Waiting {
                ticket: Some(ticket),
                ..
            } => self.shared.leave_room(self.lane, ticket),
            Step::Waiting { .. } | Step::Over => {}
        }
        None
    }
}

impl Future for Pending<'_> {
    type Output = Result<(RequestId, Settled), SendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(timeout) = self.timeout.take() {
            if tokio::runtime::Handle::try_current().is_err() {
                self.step = Step::Over;
                return Poll::Ready(Err(SendError::NoRuntime));
            }
            self.limit = Some(Box::pin(tokio::time::sleep(timeout)));
        }
        let polled = self.poll_settled(cx);
        let limit = self.limit.as_mut().filter(|_| polled.is_pending());
        if limit.is_none_or(|limit| limit.as_mut().poll(cx).is_pending()) {
            return polled;
        }
        Poll::Ready(self.expire())
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.withdraw() {
            self.shared.cancel(id);
        }
    }
}
