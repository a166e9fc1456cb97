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

/// Options for receiving streams. Created by [`WebPubSubClient::group_streams`](crate::WebPubSubClient::group_streams).
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

    /// Receives only streams of these groups. Default: of all groups.
    ///
    /// # Errors
    ///
    /// If a name is not valid for a group.
    pub fn groups<G: Into<ByteString>>(
        mut self,
        groups: impl IntoIterator<Item = G>,
    ) -> Result<Self, InvalidName> {
        let groups = groups.into_iter().map(GroupName::new);
        self.options.groups = Some(groups.collect::<Result<BTreeSet<_>, _>>()?);
        Ok(self)
    }

    /// Receives only streams from their first fragment. Default: also streams that have already begun.
    pub const fn from_start(mut self) -> Self {
        self.options.from_start = true;
        self
    }

    /// Gives up a stream if no fragment arrives for this long. Default: 5 minutes.
    pub const fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.options.idle_timeout = timeout;
        self
    }

    /// Sets how many bytes of one stream may wait to be read. A stream that exceeds this ends with
    /// [`GroupStreamError::Overflow`](crate::GroupStreamError::Overflow). Default: 16 MiB.
    pub const fn max_bytes(mut self, bytes: usize) -> Self {
        self.limits.stream_bytes = bytes;
        self
    }

    /// Sets how many bytes of all streams of this subscription may wait to be read, whether or not the streams were taken
    /// from it. A stream that exceeds this ends with [`GroupStreamError::Overflow`](crate::GroupStreamError::Overflow).
    /// Default: 64 MiB.
    pub const fn max_total_bytes(mut self, bytes: usize) -> Self {
        self.limits.total_bytes = bytes;
        self
    }

    /// Sets how many streams may wait to be taken from the subscription. Streams that begin beyond that are not shown, see
    /// [`GroupStreams::missed`]. Default: 1,000.
    pub const fn max_waiting(mut self, streams: usize) -> Self {
        self.limits.waiting_streams = streams;
        self
    }

    /// Starts to receive. Subscriptions can overlap, and each receives all of its streams.
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

/// The streams of a subscription, each when it begins. Dropping it ends the subscription; the streams that were taken from it
/// end with [`GroupStreamError::Unsubscribed`](crate::GroupStreamError::Unsubscribed).
pub struct GroupStreams {
    shared: Arc<Shared>,
    id: SubscriptionId,
    arrivals: Arc<Arrivals>,
}

impl GroupStreams {
    /// The next stream; `None` if the last handle of the client was dropped.
    pub async fn next(&mut self) -> Option<GroupStream> {
        std::future::poll_fn(|cx| self.arrivals.streams.read(cx, Items::pop)).await
    }

    /// The number of streams that are not shown because too many were waiting to be taken.
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
