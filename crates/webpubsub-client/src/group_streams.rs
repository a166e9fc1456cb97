//! Subscriptions to the streams that others publish to groups of this client.

use std::collections::BTreeSet;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytestring::ByteString;
use futures_util::Stream;
use webpubsub_protocol::name::{GroupName, InvalidName};
use webpubsub_protocol::session::{StreamOptions, SubscriptionId};

use crate::inbound::{Arrivals, GroupStream, Limits};
use crate::queue::{Items, Queue};
use crate::shared::Shared;

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
