//! Streams that others publish to groups of this client.

mod feed;

use std::collections::BTreeSet;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytestring::ByteString;
use futures_util::Stream;
use webpubsub_protocol::frame::StreamError;
use webpubsub_protocol::name::{GroupName, InvalidName};
use webpubsub_protocol::session::{Fragment, StreamOptions, SubscriptionId};

use crate::queue::{Items, Queue};
use crate::shared::Shared;
pub(crate) use feed::InboundFeeds;
use feed::{Arrivals, Fragments, Limits};

/// What may wait unless you say otherwise.
const LIMITS: Limits = Limits {
    stream_bytes: 16 * 1024 * 1024,
    total_bytes: 64 * 1024 * 1024,
    waiting_streams: 1_000,
};

/// Which streams to receive. From [`WebPubSubClient::group_streams`](crate::WebPubSubClient::group_streams).
#[derive(Debug)]
#[must_use = "nothing is received before `subscribe`"]
pub struct SubscribeGroupStreams<'a> {
    shared: &'a Arc<Shared>,
    options: StreamOptions,
    limits: Limits,
}

impl<'a> SubscribeGroupStreams<'a> {
    pub(crate) fn new(shared: &'a Arc<Shared>) -> Self {
        Self {
            shared,
            options: StreamOptions::default(),
            limits: LIMITS,
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

    /// How many bytes of one stream may wait to be read; a stream that would exceed it ends with
    /// [`GroupStreamError::Overflow`]. Default: 16 MiB.
    pub const fn max_bytes(mut self, bytes: usize) -> Self {
        self.limits.stream_bytes = bytes;
        self
    }

    /// How many bytes of all streams of this subscription may wait to be read, whether they were taken from it or
    /// not; a stream that would exceed it ends with [`GroupStreamError::Overflow`]. Default: 64 MiB.
    pub const fn max_total_bytes(mut self, bytes: usize) -> Self {
        self.limits.total_bytes = bytes;
        self
    }

    /// How many streams may wait to be taken from the subscription. What begins beyond that is not shown; see
    /// [`GroupStreams::missed`]. Default: 1,000.
    pub const fn max_waiting(mut self, streams: usize) -> Self {
        self.limits.waiting_streams = streams;
        self
    }

    /// Begins to receive. Several subscriptions may overlap; each sees all of its streams.
    #[must_use = "dropping it ends the subscription"]
    pub fn subscribe(self) -> GroupStreams {
        let shared = self.shared;
        let arrivals = Arc::new(Arrivals {
            streams: Queue::new(),
            missed: AtomicU64::new(0),
        });
        let id = shared.act(|inner, _| {
            let id = inner.session.subscribe_streams(self.options);
            let feed = Arc::clone(&arrivals);
            inner.inbound.subscribe(id, feed, self.limits);
            id
        });
        GroupStreams {
            shared: Arc::clone(shared),
            id,
            arrivals,
        }
    }
}

/// The streams of a subscription, each as it begins. Dropping it ends the subscription, and the streams that were taken
/// from it with [`GroupStreamError::Unsubscribed`].
pub struct GroupStreams {
    shared: Arc<Shared>,
    id: SubscriptionId,
    arrivals: Arc<Arrivals>,
}

impl GroupStreams {
    /// The next stream; `None` when the client is gone.
    pub async fn next(&mut self) -> Option<GroupStream> {
        std::future::poll_fn(|cx| self.arrivals.streams.read(cx, Items::pop)).await
    }

    /// How many streams began that are not shown, because too many waited to be taken.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.arrivals.missed.load(Ordering::Relaxed)
    }
}

impl Stream for GroupStreams {
    type Item = GroupStream;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<GroupStream>> {
        self.arrivals.streams.read(cx, Items::pop)
    }
}

impl Drop for GroupStreams {
    fn drop(&mut self) {
        self.shared.act(|inner, _| {
            inner.session.unsubscribe_streams(self.id);
            inner.inbound.unsubscribe(self.id);
        });
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
    fragments: Arc<Fragments>,
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
        std::future::poll_fn(|cx| self.fragments.poll(cx)).await
    }
}

impl Stream for GroupStream {
    type Item = Result<Fragment, GroupStreamError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.fragments.poll(cx)
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
    /// The [`GroupStreams`] that it was taken from was dropped.
    #[error("the subscription that the stream belongs to was dropped")]
    Unsubscribed,
}

fn code(error: &StreamError) -> String {
    let code = error.user_error_code.as_ref();
    code.map(|code| format!(" {code}")).unwrap_or_default()
}
