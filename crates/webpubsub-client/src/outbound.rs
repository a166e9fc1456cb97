//! Streams that this client publishes to a group.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytestring::ByteString;
use tokio::sync::watch;
use webpubsub_protocol::frame::{FrameError, StreamEndError};
use webpubsub_protocol::payload::IntoPayload;
use webpubsub_protocol::session::{Outcome, Request, RequestId};

use crate::error::SendError;
use crate::pending::Pending;
use crate::shared::{Lane, Shared};

/// The writer of a stream to a group.
///
/// On the reliable subprotocols, a stream survives the loss of its socket: fragments that the service has not acknowledged are
/// written again. On the others, it fails together with its connection. If the writer is dropped before
/// [`end`](Self::end), the receivers learn that the stream is incomplete.
#[derive(Debug)]
pub struct GroupStreamWriter {
    shared: Arc<Shared>,
    /// The request that opened it. When it is over, another stream may be opened under its id.
    stream: RequestId,
    stream_id: ByteString,
    failed: watch::Receiver<Option<FrameError>>,
    write_timeout: Option<Duration>,
    is_over: bool,
}

impl GroupStreamWriter {
    /// The writer of the stream that this request opened.
    pub(crate) fn new(
        shared: &Arc<Shared>,
        stream: RequestId,
        write_timeout: Option<Duration>,
    ) -> Result<Self, SendError> {
        let mut inner = shared.lock();
        // It may have failed since.
        let stream_id = inner.session.stream_id(stream).cloned();
        let stream_id = stream_id.ok_or(SendError::StreamOver)?;
        let failed = inner.outbound.watch(stream);
        drop(inner);
        Ok(Self {
            shared: Arc::clone(shared),
            stream,
            stream_id,
            failed,
            write_timeout,
            is_over: false,
        })
    }

    /// The id of the stream.
    #[must_use]
    pub fn stream_id(&self) -> &str {
        &self.stream_id
    }

    /// Writes a fragment. Completes when the fragment was written to the socket; waits while 64 fragments are
    /// unacknowledged. Dropping the future withdraws a fragment that was not written.
    ///
    /// # Errors
    ///
    /// If the stream is over, or if the fragment was not written within the write time-out. In the latter case it never will
    /// be, so you can write it again.
    pub async fn write(&mut self, payload: impl IntoPayload) -> Result<(), SendError> {
        let request = Request::write_stream(self.stream, payload.into_payload()?);
        self.settle(request).await
    }

    /// Keeps an idle stream alive.
    ///
    /// # Errors
    ///
    /// If the stream is over.
    pub async fn keep_alive(&mut self) -> Result<(), SendError> {
        let request = Request::keep_stream_alive(self.stream);
        self.settle(request).await
    }

    /// Ends the stream. Completes when the service has closed it, which means that all fragments have arrived there.
    ///
    /// # Errors
    ///
    /// If the stream failed.
    pub async fn end(self) -> Result<(), SendError> {
        self.finish(None).await
    }

    /// Ends the stream early, with a reason for its receivers.
    ///
    /// # Errors
    ///
    /// If the stream failed.
    pub async fn abort(self, error: StreamEndError) -> Result<(), SendError> {
        self.finish(Some(error)).await
    }

    /// Completes with the reason if the stream fails, and never if it does not. The future does not borrow the writer, so
    /// another task can wait for it.
    pub fn failed(&self) -> impl Future<Output = FrameError> + Send + use<> {
        let mut failed = self.failed.clone();
        async move {
            if let Ok(error) = failed.wait_for(Option::is_some).await
                && let Some(error) = error.clone()
            {
                return error;
            }
            std::future::pending().await
        }
    }

    async fn finish(mut self, error: Option<StreamEndError>) -> Result<(), SendError> {
        self.settle(Request::end_stream(self.stream, error)).await?;
        self.is_over = true;
        Ok(())
    }

    async fn settle(&self, request: Request) -> Result<(), SendError> {
        let lane = Lane::Stream(self.stream);
        let pending = Pending::new(&self.shared, lane, self.write_timeout, request);
        let (_, settled) = pending.await.map_err(|error| self.explain(error))?;
        match settled.outcome {
            Outcome::Accepted { .. } => Ok(()),
            outcome => Err(SendError::of_outcome(outcome)),
        }
    }

    /// A stream that is over because it failed says why.
    fn explain(&self, error: SendError) -> SendError {
        match (error, &*self.failed.borrow()) {
            (SendError::StreamOver, Some(error)) => SendError::Rejected {
                error: error.clone(),
                ack_id: None,
            },
            (error, _) => error,
        }
    }
}

impl Drop for GroupStreamWriter {
    fn drop(&mut self) {
        self.shared.act(|inner, now| {
            inner.outbound.forget(self.stream);
            if !self.is_over {
                inner.session.cancel(now, self.stream);
            }
        });
    }
}
