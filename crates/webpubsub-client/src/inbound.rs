//! Streams that others publish to groups of this client.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytestring::ByteString;
use futures_util::Stream;
use parking_lot::Mutex;
use webpubsub_protocol::frame::StreamError;
use webpubsub_protocol::name::{GroupName, InvalidName};
use webpubsub_protocol::session::{Fragment, StreamEnd, StreamOptions, SubscriptionId};

use crate::client::WebPubSubClient;
use crate::shared::Shared;

/// What one stream holds that was not taken yet.
const STREAM_BYTES: usize = 16 * 1024 * 1024;

/// Which streams to receive. From [`WebPubSubClient::group_streams`].
#[derive(Debug)]
#[must_use = "nothing is received before `subscribe`"]
pub struct SubscribeGroupStreams<'a> {
    client: &'a WebPubSubClient,
    options: StreamOptions,
    max_bytes: usize,
}

impl<'a> SubscribeGroupStreams<'a> {
    pub(crate) fn new(client: &'a WebPubSubClient) -> Self {
        Self {
            client,
            options: StreamOptions::default(),
            max_bytes: STREAM_BYTES,
        }
    }

    /// Only streams of these groups. Default: all.
    ///
    /// # Errors
    ///
    /// When one is not the name of a group.
    pub fn groups<G: Into<ByteString>>(
        mut self,
        groups: impl IntoIterator<Item = G>,
    ) -> Result<Self, InvalidName> {
        let groups = groups.into_iter().map(GroupName::new);
        self.options.groups = Some(groups.collect::<Result<BTreeSet<_>, _>>()?);
        Ok(self)
    }

    /// Only streams whose first fragment arrives. Default: also those that are under way.
    pub const fn from_start(mut self) -> Self {
        self.options.from_start = true;
        self
    }

    /// Gives a stream up that is silent for this long. Default: 5 minutes.
    pub const fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.options.idle_timeout = timeout;
        self
    }

    /// What one stream may hold that was not taken yet, in bytes; then it ends with
    /// [`GroupStreamError::Overflow`]. Default: 16 MiB.
    pub const fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Begins to receive. Several subscriptions may overlap; each sees all of its streams.
    #[must_use = "dropping it ends the subscription"]
    pub fn subscribe(self) -> GroupStreams {
        let shared = self.client.shared();
        let queue = Arc::new(Queue::default());
        let feed = StreamsFeed {
            streams: Arc::downgrade(&queue),
            max_bytes: self.max_bytes,
        };
        let id = shared.act(|inner, _| {
            let id = inner.session.subscribe_streams(self.options);
            inner.subscribe(id, feed);
            id
        });
        GroupStreams {
            shared: Arc::clone(shared),
            id,
            queue,
        }
    }
}

/// The streams of a subscription, each as it begins. Dropping it ends the subscription and its streams.
pub struct GroupStreams {
    shared: Arc<Shared>,
    id: SubscriptionId,
    queue: Arc<Queue<GroupStream>>,
}

impl GroupStreams {
    /// The next stream; `None` when the client is gone.
    pub async fn next(&mut self) -> Option<GroupStream> {
        std::future::poll_fn(|cx| self.queue.poll(cx)).await
    }
}

impl Stream for GroupStreams {
    type Item = GroupStream;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<GroupStream>> {
        self.queue.poll(cx)
    }
}

impl Drop for GroupStreams {
    fn drop(&mut self) {
        self.shared.act(|inner, _| inner.unsubscribe(self.id));
    }
}

impl fmt::Debug for GroupStreams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupStreams")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// A stream of fragments. Ends after its last fragment, or with an error.
#[derive(Debug)]
pub struct GroupStream {
    group: GroupName,
    stream_id: ByteString,
    queue: Arc<Queue<Result<Fragment, GroupStreamError>>>,
}

impl GroupStream {
    /// The group it is published to.
    #[must_use]
    pub const fn group(&self) -> &GroupName {
        &self.group
    }

    /// The publisher's id for it.
    #[must_use]
    pub fn stream_id(&self) -> &str {
        &self.stream_id
    }

    /// The next fragment; `None` after the last one.
    pub async fn next(&mut self) -> Option<Result<Fragment, GroupStreamError>> {
        std::future::poll_fn(|cx| self.queue.poll(cx)).await
    }
}

impl Stream for GroupStream {
    type Item = Result<Fragment, GroupStreamError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.queue.poll(cx)
    }
}

/// A stream is not what its publisher wrote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GroupStreamError {
    /// Fragments did not arrive: they were sent while this client had no connection. The stream goes on behind the gap.
    #[error("{missing} fragments did not arrive")]
    Gap {
        /// How many.
        missing: u64,
    },
    /// The publisher, or the service for it, ended it early.
    #[error("the publisher ended the stream early: {}{}", .0.name, code(.0))]
    Failed(StreamError),
    /// Nothing arrived for the idle time-out.
    #[error("the stream was silent for too long")]
    IdleTimeout,
    /// More arrived than may wait to be taken.
    #[error("the stream was not read fast enough")]
    Overflow,
    /// The client was stopped.
    #[error("the client was stopped")]
    Stopped,
}

fn code(error: &StreamError) -> String {
    let code = error.user_error_code.as_ref();
    code.map(|code| format!(" {code}")).unwrap_or_default()
}

/// Where the driver puts the streams of a subscription.
pub(crate) struct StreamsFeed {
    streams: Weak<Queue<GroupStream>>,
    max_bytes: usize,
}

/// Where the driver puts the fragments of a stream.
pub(crate) struct StreamFeed {
    fragments: Weak<Queue<Result<Fragment, GroupStreamError>>>,
    max_bytes: usize,
}

impl StreamsFeed {
    /// A stream began.
    pub(crate) fn open(&self, group: GroupName, stream_id: ByteString) -> Option<StreamFeed> {
        let streams = self.streams.upgrade()?;
        let queue = Arc::new(Queue::default());
        let feed = StreamFeed {
            fragments: Arc::downgrade(&queue),
            max_bytes: self.max_bytes,
        };
        let stream = GroupStream {
            group,
            stream_id,
            queue,
        };
        streams.push(stream, 0);
        Some(feed)
    }
}

impl Drop for StreamsFeed {
    fn drop(&mut self) {
        if let Some(streams) = self.streams.upgrade() {
            streams.close();
        }
    }
}

impl StreamFeed {
    /// A fragment arrived; whether anybody wants more.
    pub(crate) fn push(&self, fragment: Fragment) -> bool {
        let Some(queue) = self.fragments.upgrade() else {
            return false;
        };
        if fragment.missing > 0 {
            let missing = fragment.missing;
            queue.push(Err(GroupStreamError::Gap { missing }), 0);
        }
        let bytes = fragment.payload.as_bytes().len() + size_of::<Fragment>();
        let fits = queue.push(Ok(fragment), bytes) <= self.max_bytes;
        if !fits {
            queue.push(Err(GroupStreamError::Overflow), 0);
            queue.close();
        }
        fits
    }

    pub(crate) fn end(self, end: StreamEnd) {
        let Some(queue) = self.fragments.upgrade() else {
            return;
        };
        let error = match end {
            StreamEnd::Complete => None,
            StreamEnd::Incomplete { missing } => Some(GroupStreamError::Gap { missing }),
            StreamEnd::Failed(error) => Some(GroupStreamError::Failed(error)),
            StreamEnd::IdleTimeout => Some(GroupStreamError::IdleTimeout),
            _ => Some(GroupStreamError::Stopped),
        };
        if let Some(error) = error {
            queue.push(Err(error), 0);
        }
        queue.close();
    }
}

impl Drop for StreamFeed {
    fn drop(&mut self) {
        if let Some(queue) = self.fragments.upgrade() {
            queue.close();
        }
    }
}

/// A queue with one reader that may wait.
#[derive(Debug)]
struct Queue<T>(Mutex<QueueState<T>>);

#[derive(Debug)]
struct QueueState<T> {
    items: VecDeque<(T, usize)>,
    bytes: usize,
    closed: bool,
    waker: Option<Waker>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self(Mutex::new(QueueState {
            items: VecDeque::new(),
            bytes: 0,
            closed: false,
            waker: None,
        }))
    }
}

impl<T> Queue<T> {
    /// Appends an item; how many bytes wait now.
    fn push(&self, item: T, bytes: usize) -> usize {
        let mut state = self.0.lock();
        if !state.closed {
            state.items.push_back((item, bytes));
            state.bytes += bytes;
        }
        let (waiting, waker) = (state.bytes, state.waker.take());
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        waiting
    }

    fn close(&self) {
        let mut state = self.0.lock();
        state.closed = true;
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn poll(&self, cx: &Context<'_>) -> Poll<Option<T>> {
        let mut state = self.0.lock();
        match state.items.pop_front() {
            Some((item, bytes)) => {
                state.bytes -= bytes;
                Poll::Ready(Some(item))
            }
            None if state.closed => Poll::Ready(None),
            None => {
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}
