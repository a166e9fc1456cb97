//! From a request to how it went.

use std::time::Duration;

use tokio::sync::oneshot;
use webpubsub_protocol::session::{Outcome, Request, RequestId};

use crate::error::SendError;
use crate::shared::{Lane, Settled, Shared};

/// Submits a request as soon as there is room for it, and waits until it is settled, for as long as the time-out allows.
/// Then the request is given up, unless it was settled at the last moment: what was not written by then never will be.
/// Dropping the future gives it up, too.
pub(crate) async fn submit_within(
    shared: &Shared,
    timeout: Option<Duration>,
    request: Request,
) -> Result<(RequestId, Settled), SendError> {
    submit_to(shared, Lane::Outbox, timeout, request).await
}

/// As [`submit_within`], for what goes to the stream that was opened by the request `stream`.
pub(crate) async fn submit_to_stream(
    shared: &Shared,
    stream: RequestId,
    timeout: Option<Duration>,
    request: Request,
) -> Result<Settled, SendError> {
    let (_, settled) = submit_to(shared, Lane::Stream(stream), timeout, request).await?;
    Ok(settled)
}

async fn submit_to(
    shared: &Shared,
    lane: Lane,
    timeout: Option<Duration>,
    request: Request,
) -> Result<(RequestId, Settled), SendError> {
    let mut submitted = None;
    let settled = async {
        let pending = Pending::submit(shared, lane, request).await?;
        submitted.insert(pending).settled().await
    };
    let Some(timeout) = timeout else {
        return settled.await;
    };
    if tokio::runtime::Handle::try_current().is_err() {
        return Err(SendError::NoRuntime);
    }
    match tokio::time::timeout(timeout, settled).await {
        Ok(settled) => settled,
        Err(_) => submitted.map_or(Err(SendError::TimedOut), Pending::give_up),
    }
}

/// A request that was submitted and not settled, as far as its caller knows. Dropping it gives it up.
struct Pending<'a> {
    shared: &'a Shared,
    id: RequestId,
    /// `None` once it was settled.
    settled: Option<oneshot::Receiver<Settled>>,
}

impl<'a> Pending<'a> {
    async fn submit(shared: &'a Shared, lane: Lane, request: Request) -> Result<Self, SendError> {
        let (id, settled) = shared.submit(lane, request).await.map_err(SendError::of)?;
        Ok(Self {
            shared,
            id,
            settled: Some(settled),
        })
    }

    async fn settled(&mut self) -> Result<(RequestId, Settled), SendError> {
        let Some(settled) = &mut self.settled else {
            return Err(SendError::NotStarted);
        };
        let settled = settled.await;
        self.settled = None;
        // Everything is settled before a driver ends, unless it ends by a panic.
        Ok((self.id, settled.map_err(|_| SendError::NotStarted)?))
    }

    fn give_up(mut self) -> Result<(RequestId, Settled), SendError> {
        let decided = self
            .settled
            .take()
            .and_then(|mut settled| self.shared.cancel(self.id, &mut settled));
        match decided {
            Some(settled) if settled.outcome != Outcome::Cancelled => Ok((self.id, settled)),
            _ => Err(SendError::TimedOut),
        }
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if self.settled.is_some() {
            self.shared
                .act(|inner, now| inner.session.cancel(now, self.id));
        }
    }
}
