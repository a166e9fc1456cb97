//! Streams that other clients publish, as subscriptions see them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use bytestring::ByteString;

use super::event::{Event, Ignored};
use crate::frame::{Message, Sender, StreamError};
use crate::name::GroupName;
use crate::payload::Payload;

/// Streams whose beginning was missed, remembered so that their next fragment does not count as one.
/// The oldest are forgotten.
const IGNORED_STREAMS: usize = 1000;

/// Streams that one subscription shows at the same time. Ours; what begins beyond is ignored.
const ACTIVE_STREAMS: usize = 10_000;

/// Ids of streams longer than this are not kept, in bytes. Ours.
const STREAM_ID_BYTES: usize = 1024;

/// Names a subscription to streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionId(u64);

/// Names a stream within its session, and within one subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamKey(u64);

/// Which streams a subscription shows.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamOptions {
    /// Only streams of these groups. Default: all groups.
    pub groups: Option<BTreeSet<GroupName>>,
    /// Only streams that are seen from their first fragment. Default: false.
    pub from_start: bool,
    /// A stream that is silent for this long is given up. Default: 5 minutes.
    pub idle_timeout: Duration,
}

impl StreamOptions {
    /// Shows only streams of these groups. Default: all groups.
    #[must_use]
    pub fn groups(mut self, groups: impl IntoIterator<Item = GroupName>) -> Self {
        self.groups = Some(groups.into_iter().collect());
        self
    }

    /// Shows only streams that are seen from their first fragment. Default: also those that have begun.
    #[must_use]
    pub const fn from_start(mut self) -> Self {
        self.from_start = true;
        self
    }

    /// Gives a stream up that is silent for this long. Default: 5 minutes.
    #[must_use]
    pub const fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }
}

impl Default for StreamOptions {
    fn default() -> Self {
        Self {
            groups: None,
            from_start: false,
            idle_timeout: crate::limits::STREAM_IDLE_TIMEOUT,
        }
    }
}

/// A part of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fragment {
    /// Its number; the first one of a stream is 1.
    pub number: u64,
    /// How many fragments between the one before and this one did not arrive.
    pub missing: u64,
    /// The publisher, when it has a user id.
    pub from_user_id: Option<ByteString>,
    /// Its data.
    pub payload: Payload,
}

/// How a stream ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamEnd {
    /// The publisher ended it, and its last fragments arrived. (Gaps before them show in
    /// [`Fragment::missing`].)
    Complete,
    /// Its last fragments did not arrive.
    Incomplete {
        /// How many.
        missing: u64,
    },
    /// The publisher, or the service for it, gave up.
    Failed(StreamError),
    /// Nothing arrived for the subscription's idle time-out.
    IdleTimeout,
    /// The client was stopped.
    Stopped,
}

#[derive(Debug, Default)]
pub(super) struct InboundStreams {
    subscriptions: BTreeMap<SubscriptionId, Subscription>,
    last_id: u64,
    last_key: u64,
    /// When to see whether a stream is silent, in order. A fragment moves its stream's time-out but not this, so it may be
    /// too early; then the stream is looked at again.
    checks: BTreeMap<(Instant, StreamKey), (SubscriptionId, Name)>,
}

#[derive(Debug)]
struct Subscription {
    options: StreamOptions,
    active: BTreeMap<Name, Active>,
    ignored: VecDeque<Name>,
}

type Name = (GroupName, ByteString);

#[derive(Debug)]
struct Active {
    key: StreamKey,
    next: u64,
    /// `None` = never.
    idle_at: Option<Instant>,
    /// When it is looked at.
    check_at: Option<Instant>,
}

impl InboundStreams {
    pub(super) fn subscribe(&mut self, options: StreamOptions) -> SubscriptionId {
        self.last_id += 1;
        let id = SubscriptionId(self.last_id);
        let subscription = Subscription {
            options,
            active: BTreeMap::new(),
            ignored: VecDeque::new(),
        };
        self.subscriptions.insert(id, subscription);
        id
    }

    pub(super) fn unsubscribe(&mut self, id: SubscriptionId) {
        self.subscriptions.remove(&id);
        self.checks
            .retain(|_, (subscription, _)| *subscription != id);
    }

    /// A message; nothing happens unless it is a fragment.
    pub(super) fn message(
        &mut self,
        now: Instant,
        message: &Message,
        events: &mut VecDeque<Event>,
    ) {
        let (
            Some(info),
            Sender::Group {
                group,
                from_user_id,
            },
        ) = (&message.stream, &message.from)
        else {
            return;
        };
        if info.stream_id.len() > STREAM_ID_BYTES {
            return events.push_back(Event::Ignored(Ignored::StreamIdTooLong));
        }
        let name = (group.clone(), info.stream_id.clone());
        for (id, subscription) in &mut self.subscriptions {
            let wanted = |groups: &BTreeSet<GroupName>| groups.contains(group);
            if !subscription.options.groups.as_ref().is_none_or(wanted) {
                continue;
            }
            let number = info.stream_sequence_id;
            if !subscription.active.contains_key(&name) {
                if subscription.is_ignored(&name, info.end_of_stream) {
                    continue;
                }
                if subscription.active.len() >= ACTIVE_STREAMS {
                    events.push_back(Event::Ignored(Ignored::TooManyStreams));
                    continue;
                }
                if subscription.options.from_start && number != 1 {
                    if !info.end_of_stream {
                        subscription.ignore(name.clone());
                    }
                    continue;
                }
                self.last_key += 1;
                let stream = StreamKey(self.last_key);
                let active = Active {
                    key: stream,
                    next: number,
                    idle_at: None,
                    check_at: None,
                };
                subscription.active.insert(name.clone(), active);
                events.push_back(Event::StreamOpened {
                    subscription: *id,
                    stream,
                    group: group.clone(),
                    stream_id: info.stream_id.clone(),
                });
            }
            let Some(active) = subscription.active.get_mut(&name) else {
                continue;
            };
            active.idle_at = now.checked_add(subscription.options.idle_timeout);
            let stream = active.key;
            if active.check_at.is_none() {
                active.check_at = active.idle_at;
                let check = active.idle_at.map(|at| ((at, stream), (*id, name.clone())));
                self.checks.extend(check);
            }
            let missing = number.saturating_sub(active.next);
            // The last frame of a stream takes a number, and usually has an empty payload.
            let is_payload = !info.end_of_stream || !message.payload.as_bytes().is_empty();
            if number >= active.next && is_payload {
                active.next = number.saturating_add(1);
                let fragment = Fragment {
                    number,
                    missing,
                    from_user_id: from_user_id.clone(),
                    payload: message.payload.clone(),
                };
                events.push_back(Event::StreamFragment { stream, fragment });
            }
            if info.end_of_stream {
                if let Some(at) = subscription
                    .active
                    .remove(&name)
                    .and_then(|active| active.check_at)
                {
                    self.checks.remove(&(at, stream));
                }
                let end = match &info.error {
                    Some(error) => StreamEnd::Failed(error.clone()),
                    None if missing > 0 && !is_payload => StreamEnd::Incomplete { missing },
                    None => StreamEnd::Complete,
                };
                events.push_back(Event::StreamEnded { stream, end });
            }
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.checks.first_key_value().map(|((at, _), _)| *at)
    }

    pub(super) fn handle_timeout(&mut self, now: Instant, events: &mut VecDeque<Event>) {
        while let Some(check) = self
            .checks
            .first_entry()
            .filter(|check| check.key().0 <= now)
        {
            let ((_, stream), (id, name)) = check.remove_entry();
            let Some(subscription) = self.subscriptions.get_mut(&id) else {
                continue;
            };
            let Some(active) = subscription.active.get_mut(&name) else {
                continue;
            };
            active.check_at = active.idle_at;
            match active.idle_at {
                Some(at) if at > now => {
                    self.checks.insert((at, stream), (id, name));
                }
                _ => {
                    subscription.active.remove(&name);
                    events.push_back(Event::StreamEnded {
                        stream,
                        end: StreamEnd::IdleTimeout,
                    });
                }
            }
        }
    }

    /// The session stopped: subscriptions stay, streams end.
    pub(super) fn end_all(&mut self, events: &mut VecDeque<Event>) {
        for subscription in self.subscriptions.values_mut() {
            for (_, active) in std::mem::take(&mut subscription.active) {
                events.push_back(Event::StreamEnded {
                    stream: active.key,
                    end: StreamEnd::Stopped,
                });
            }
            subscription.ignored.clear();
        }
        self.checks.clear();
    }
}

impl Subscription {
    /// Whether the stream is ignored; its end makes the name free again.
    fn is_ignored(&mut self, name: &Name, is_end: bool) -> bool {
        let found = self.ignored.iter().position(|ignored| ignored == name);
        if let (Some(at), true) = (found, is_end) {
            self.ignored.remove(at);
        }
        found.is_some()
    }

    fn ignore(&mut self, name: Name) {
        if self.ignored.len() == IGNORED_STREAMS {
            self.ignored.pop_front();
        }
        self.ignored.push_back(name);
    }
}
