//! Streams that this client publishes to a group.

use std::collections::BTreeMap;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytestring::ByteString;
use tokio::sync::watch;
use webpubsub_protocol::frame::{FrameError, StreamEndError};
use webpubsub_protocol::name::GroupName;
use webpubsub_protocol::payload::IntoPayload;
use webpubsub_protocol::session::{Outcome, Request, RequestId};

use crate::error::SendError;
use crate::pending;
use crate::send;
use crate::shared::Shared;

/// Opens a stream when awaited; completes when the service accepted it.
#[derive(Debug)]
#[must_use = "it does nothing unless awaited"]
pub struct OpenGroupStream<'a> {
    shared: &'a Arc<Shared>,
    timeout: Option<Duration>,
    group: ByteString,
    stream_id: Option<ByteString>,
    no_echo: bool,
    idle_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
}

impl<'a> OpenGroupStream<'a> {
    pub(crate) const fn new(
        shared: &'a Arc<Shared>,
        timeout: Option<Duration>,
        group: ByteString,
    ) -> Self {
        Self {
            shared,
            timeout,
            group,
            stream_id: None,
            no_echo: false,
            idle_timeout: None,
            write_timeout: timeout,
        }
    }

    /// Opening the stream fails with [`SendError::TimedOut`] when it takes longer than this. Default:
    /// [`request_timeout`](crate::WebPubSubClientBuilder::request_timeout).
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Uses this id, unique among the open streams of the connection. Default: a random UUID.
    pub fn stream_id(mut self, id: impl Into<ByteString>) -> Self {
        self.stream_id = Some(id.into());
        self
    }

    /// Does not send the stream back to this connection.
    pub const fn no_echo(mut self) -> Self {
        self.no_echo = true;
        self
    }

    /// The service ends the stream after this long without a fragment or a keep-alive: whole milliseconds, not zero.
    /// Default: the service's, 5 minutes.
    pub const fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = Some(timeout);
        self
    }

    /// A write that finds no room for this long fails, and so does an end that is not confirmed. Default:
    /// [`request_timeout`](crate::WebPubSubClientBuilder::request_timeout).
    pub const fn write_timeout(mut self, timeout: Duration) -> Self {
        self.write_timeout = Some(timeout);
        self
    }

    async fn open(self) -> Result<GroupStreamWriter, SendError> {
        let shared = self.shared;
        let mut request = Request::open_stream(GroupName::new(self.group)?);
        if let Some(id) = self.stream_id {
            request = request.stream_id(id);
        }
        if self.no_echo {
            request = request.no_echo();
        }
        if let Some(timeout) = self.idle_timeout {
            request = request.idle_timeout(timeout);
        }
        let (stream, settled) = pending::submit_within(shared, self.timeout, request).await?;
        if !matches!(settled.outcome, Outcome::Accepted { .. }) {
            return Err(send::failure(settled.outcome));
        }
        let mut inner = shared.lock();
        // It may have failed since.
        let stream_id = inner.session.stream_id(stream).cloned();
        let stream_id = stream_id.ok_or(SendError::StreamOver)?;
        let failed = inner.outbound.watch(stream);
        drop(inner);
        Ok(GroupStreamWriter {
            shared: Arc::clone(shared),
            stream,
            stream_id,
            failed,
            write_timeout: self.write_timeout,
            is_over: false,
        })
    }
}

impl<'a> IntoFuture for OpenGroupStream<'a> {
    type Output = Result<GroupStreamWriter, SendError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.open())
    }
}

/// Writes a stream to a group.
///
/// On the reliable subprotocols a stream survives the loss of its socket: what the service has not acknowledged is
/// written again. On the others it fails with its connection. Dropping the writer before
/// [`end`](Self::end) tells the receivers that the stream is incomplete.
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
    /// The stream's id.
    #[must_use]
    pub fn stream_id(&self) -> &str {
        &self.stream_id
    }

    /// Writes a fragment; completes when it was written to the socket. Waits while 64 fragments are unacknowledged.
    /// Dropping the future withdraws a fragment that was not written.
    ///
    /// # Errors
    ///
    /// When the stream is over, or the fragment was not written within the write time-out: then it never will be, and
    /// may be written again.
    pub async fn write(&mut self, payload: impl IntoPayload) -> Result<(), SendError> {
        let request = Request::write_stream(self.stream, payload.into_payload()?);
        self.settle(request).await
    }

    /// Keeps an idle stream alive.
    ///
    /// # Errors
    ///
    /// When the stream is over.
    pub async fn keep_alive(&mut self) -> Result<(), SendError> {
        let request = Request::keep_stream_alive(self.stream);
        self.settle(request).await
    }

    /// Ends the stream; completes when the service has closed it, so all fragments have arrived there.
    ///
    /// # Errors
    ///
    /// When the stream failed.
    pub async fn end(self) -> Result<(), SendError> {
        self.finish(None).await
    }

    /// Ends the stream early and tells its receivers why.
    ///
    /// # Errors
    ///
    /// When the stream failed.
    pub async fn abort(self, error: StreamEndError) -> Result<(), SendError> {
        self.finish(Some(error)).await
    }

    /// Completes when the stream fails, with the reason; never if it does not. The future is independent of the
    /// writer: another task can wait while this one writes.
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
        let settled =
            pending::submit_to_stream(&self.shared, self.stream, self.write_timeout, request)
                .await
                .map_err(|error| self.explain(error))?;
        match settled.outcome {
            Outcome::Accepted { .. } => Ok(()),
            outcome => Err(send::failure(outcome)),
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

/// The writers of open streams, which hear when these fail.
#[derive(Debug, Default)]
pub(crate) struct OutboundStreams(BTreeMap<RequestId, watch::Sender<Option<FrameError>>>);

impl OutboundStreams {
    fn watch(&mut self, stream: RequestId) -> watch::Receiver<Option<FrameError>> {
        let (sender, receiver) = watch::channel(None);
        self.0.insert(stream, sender);
        receiver
    }

    fn forget(&mut self, stream: RequestId) {
        self.0.remove(&stream);
    }

    pub(crate) fn fail(&mut self, stream: RequestId, error: &FrameError) {
        if let Some(failed) = self.0.remove(&stream) {
            failed.send_replace(Some(error.clone()));
        }
    }
}
