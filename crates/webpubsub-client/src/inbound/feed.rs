//! Where the fragments of inbound streams wait for their readers, with the limits that hold however slow these are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use bytestring::ByteString;
use webpubsub_protocol::name::GroupName;
use webpubsub_protocol::session::{Fragment, StreamEnd, StreamKey, SubscriptionId};

use super::{GroupStream, GroupStreamError};
use crate::queue::{Items, Queue};

pub(super) type Item = Result<Fragment, GroupStreamError>;

/// What may wait to be read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// The bytes of one stream.
    pub(crate) stream_bytes: usize,
    /// The bytes of all streams of a subscription.
    pub(crate) total_bytes: usize,
    /// The streams that were not taken from their subscription.
    pub(crate) waiting_streams: usize,
}

/// What the reader of a subscription and the driver share.
#[derive(Debug)]
pub(crate) struct Arrivals {
    pub(crate) streams: Queue<GroupStream>,
    pub(crate) missed: AtomicU64,
}

/// All inbound streams of a client.
#[derive(Debug, Default)]
pub(crate) struct InboundFeeds {
    subscriptions: BTreeMap<SubscriptionId, Subscription>,
    streams: BTreeMap<StreamKey, Feed>,
}

#[derive(Debug)]
struct Subscription {
    arrivals: Arc<Arrivals>,
    limits: Limits,
    /// What waits in all of its streams.
    total: Arc<AtomicUsize>,
    open: BTreeSet<StreamKey>,
}

#[derive(Debug)]
struct Feed {
    subscription: SubscriptionId,
    fragments: Weak<Fragments>,
}

impl InboundFeeds {
    pub(crate) fn subscribe(
        &mut self,
        id: SubscriptionId,
        arrivals: Arc<Arrivals>,
        limits: Limits,
    ) {
        let subscription = Subscription {
            arrivals,
            limits,
            total: Arc::new(AtomicUsize::new(0)),
            open: BTreeSet::new(),
        };
        self.subscriptions.insert(id, subscription);
    }

    /// Ends a subscription and its streams.
    pub(crate) fn unsubscribe(&mut self, id: SubscriptionId) {
        let Some(subscription) = self.subscriptions.get_mut(&id) else {
            return;
        };
        for stream in std::mem::take(&mut subscription.open) {
            self.finish(stream, Some(GroupStreamError::Unsubscribed));
        }
        self.subscriptions.remove(&id);
    }

    /// A stream began; whether it can be taken.
    pub(crate) fn open(
        &mut self,
        id: SubscriptionId,
        stream: StreamKey,
        group: GroupName,
        stream_id: ByteString,
    ) -> bool {
        let Some(subscription) = self.subscriptions.get_mut(&id) else {
            return true;
        };
        let arrivals = &subscription.arrivals;
        if arrivals.streams.look(Items::len) >= subscription.limits.waiting_streams {
            arrivals.missed.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        let fragments = Arc::new(Fragments {
            queue: Queue::new(),
            stream_limit: subscription.limits.stream_bytes,
            total_limit: subscription.limits.total_bytes,
            total: Arc::clone(&subscription.total),
        });
        let feed = Feed {
            subscription: id,
            fragments: Arc::downgrade(&fragments),
        };
        subscription.open.insert(stream);
        self.streams.insert(stream, feed);
        let stream = GroupStream {
            group,
            stream_id,
            fragments,
        };
        arrivals.streams.write(|items| items.push(stream, 0));
        true
    }

    /// A fragment arrived.
    pub(crate) fn push(&mut self, stream: StreamKey, fragment: Fragment) {
        let fragments = self
            .streams
            .get(&stream)
            .map(|feed| feed.fragments.upgrade());
        match fragments {
            Some(Some(fragments)) if fragments.push(fragment) => {}
            Some(Some(_)) => self.finish(stream, Some(GroupStreamError::Overflow)),
            // Nobody reads it any more.
            Some(None) => self.finish(stream, None),
            None => {}
        }
    }

    /// A stream is over.
    pub(crate) fn end(&mut self, stream: StreamKey, end: StreamEnd) {
        let error = match end {
            StreamEnd::Complete => None,
            StreamEnd::Incomplete { missing } => Some(GroupStreamError::Gap { missing }),
            StreamEnd::Failed(error) => Some(GroupStreamError::Failed(error)),
            StreamEnd::IdleTimeout => Some(GroupStreamError::IdleTimeout),
            _ => Some(GroupStreamError::Stopped),
        };
        self.finish(stream, error);
    }

    fn finish(&mut self, stream: StreamKey, error: Option<GroupStreamError>) {
        let Some(feed) = self.streams.remove(&stream) else {
            return;
        };
        if let Some(subscription) = self.subscriptions.get_mut(&feed.subscription) {
            subscription.open.remove(&stream);
        }
        if let Some(fragments) = feed.fragments.upgrade() {
            fragments.finish(error);
        }
    }
}

/// The client is gone: its streams end.
impl Drop for InboundFeeds {
    fn drop(&mut self) {
        for subscription in self.subscriptions.values() {
            subscription.arrivals.streams.write(Items::close);
        }
        for feed in self.streams.values() {
            if let Some(fragments) = feed.fragments.upgrade() {
                fragments.finish(Some(GroupStreamError::Stopped));
            }
        }
    }
}

/// The fragments of one stream that wait to be read.
#[derive(Debug)]
pub(super) struct Fragments {
    queue: Queue<Item>,
    stream_limit: usize,
    total_limit: usize,
    total: Arc<AtomicUsize>,
}

impl Fragments {
    /// Whether there was room.
    fn push(&self, fragment: Fragment) -> bool {
        let sender = fragment.from_user_id.as_deref().map_or(0, str::len);
        let bytes = size_of::<Item>() + fragment.payload.as_bytes().len() + sender;
        self.queue.write(|items| {
            let gap = (fragment.missing > 0).then_some(fragment.missing);
            let cost = bytes + gap.map_or(0, |_| size_of::<Item>());
            // Only the driver adds, under its lock.
            let total = self.total.load(Ordering::Relaxed).saturating_add(cost);
            if items.bytes().saturating_add(cost) > self.stream_limit || total > self.total_limit {
                return false;
            }
            self.total.fetch_add(cost, Ordering::Relaxed);
            if let Some(missing) = gap {
                items.push(Err(GroupStreamError::Gap { missing }), size_of::<Item>());
            }
            items.push(Ok(fragment), bytes);
            true
        })
    }

    fn finish(&self, error: Option<GroupStreamError>) {
        self.queue.write(|items| {
            if let Some(error) = error.filter(|_| !items.is_closed()) {
                items.push(Err(error), 0);
            }
            items.close();
        });
    }

    pub(super) fn poll(&self, cx: &Context<'_>) -> Poll<Option<Item>> {
        self.queue.read(cx, |items| {
            let before = items.bytes();
            let item = items.pop();
            let freed = before - items.bytes();
            self.total.fetch_sub(freed, Ordering::Relaxed);
            item
        })
    }
}

impl Drop for Fragments {
    fn drop(&mut self) {
        let left = self.queue.look(Items::bytes);
        self.total.fetch_sub(left, Ordering::Relaxed);
    }
}
