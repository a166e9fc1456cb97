//! The numbers that the builder can change, and their bounds.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use webpubsub_protocol::limits::MESSAGE_BYTES;

use super::{EmulatorBuilder, StartError};
use crate::settings::Limits;

/// Longer than anything that makes sense; keeps times from overflowing.
const DAY_SECONDS: u64 = 24 * 60 * 60;

const MILLION: u64 = 1_000_000;
const GIBIBYTE: u64 = 1 << 30;

/// A number of the service that [`EmulatorBuilder::limit`] changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Limit {
    /// Seconds for which a reliable connection can be recovered after its socket was lost. Default: 30, as the service.
    RecoveryWindow,
    /// Seconds of clock difference that are forgiven when an access token is checked. Default: 300, as the service.
    TokenSkew,
    /// Bytes of a client's message, and of the body of a REST send. Default, and the most: 1 MiB, as the service.
    MessageBytes,
    /// Frames that may wait for a client that does not read before it is closed. Default: 1000, as the service.
    OutboxFrames,
    /// Bytes that may wait for such a client. Default: 16 MiB, as the service.
    OutboxBytes,
    /// Messages that a reliable client may leave unacknowledged before it is closed. Default: 1000, as the service.
    ReplayMessages,
    /// Bytes of such messages. Default: 16 MiB, as the service.
    ReplayBytes,
    /// Ack ids that are remembered per connection to recognise a repeated frame. Default: 1000, as the service.
    AckIds,
    /// Streams that one connection may have open. Default: 100.
    OpenStreams,
    /// Groups that one client token may name. Default: 1000.
    GroupsPerToken,
    /// Requests with events of one hub that may be under way to its handlers at a time; more wait in line, in the order
    /// of their connections. Default: 256.
    HandlerRequests,
    /// Seconds between two pings of an open socket. Default: 20.
    PingInterval,
    /// Seconds for which a socket may stay silent before it counts as lost, looked at with each ping. Default: 60.
    SilenceLimit,
}

impl Limit {
    const ALL: [Self; 13] = [
        Self::RecoveryWindow,
        Self::TokenSkew,
        Self::MessageBytes,
        Self::OutboxFrames,
        Self::OutboxBytes,
        Self::ReplayMessages,
        Self::ReplayBytes,
        Self::AckIds,
        Self::OpenStreams,
        Self::GroupsPerToken,
        Self::HandlerRequests,
        Self::PingInterval,
        Self::SilenceLimit,
    ];

    /// What it may be, in its own unit.
    #[must_use]
    pub const fn range(self) -> RangeInclusive<u64> {
        match self {
            Self::RecoveryWindow | Self::TokenSkew => 0..=DAY_SECONDS,
            Self::MessageBytes => 1..=MESSAGE_BYTES as u64,
            Self::OutboxFrames | Self::ReplayMessages => 1..=MILLION,
            // The first frame of a connection has to fit.
            Self::OutboxBytes => 4096..=GIBIBYTE,
            Self::ReplayBytes => 1..=GIBIBYTE,
            Self::AckIds | Self::OpenStreams | Self::GroupsPerToken => 0..=MILLION,
            Self::HandlerRequests => 1..=MILLION,
            Self::PingInterval | Self::SilenceLimit => 1..=DAY_SECONDS,
        }
    }

    /// Where it is kept.
    const fn slot(self, limits: &mut Limits) -> Slot<'_> {
        match self {
            Self::RecoveryWindow => Slot::Time(&mut limits.recovery_window),
            Self::TokenSkew => Slot::Time(&mut limits.token_skew),
            Self::MessageBytes => Slot::Count(&mut limits.message_bytes),
            Self::OutboxFrames => Slot::Count(&mut limits.outbox_frames),
            Self::OutboxBytes => Slot::Count(&mut limits.outbox_bytes),
            Self::ReplayMessages => Slot::Count(&mut limits.replay_messages),
            Self::ReplayBytes => Slot::Count(&mut limits.replay_bytes),
            Self::AckIds => Slot::Count(&mut limits.ack_ids),
            Self::OpenStreams => Slot::Count(&mut limits.open_streams),
            Self::GroupsPerToken => Slot::Count(&mut limits.groups_per_token),
            Self::HandlerRequests => Slot::Count(&mut limits.handler_requests),
            Self::PingInterval => Slot::Time(&mut limits.ping_interval),
            Self::SilenceLimit => Slot::Time(&mut limits.silence_limit),
        }
    }

    fn value(self, mut limits: Limits) -> u64 {
        match self.slot(&mut limits) {
            Slot::Count(count) => *count as u64,
            // A fraction of a second counts as a whole one.
            Slot::Time(time) => time
                .as_secs()
                .saturating_add((time.subsec_nanos() > 0).into()),
        }
    }
}

enum Slot<'a> {
    Count(&'a mut usize),
    Time(&'a mut Duration),
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RecoveryWindow => "recovery window in seconds",
            Self::TokenSkew => "clock skew in seconds",
            Self::MessageBytes => "size of a message in bytes",
            Self::OutboxFrames => "number of frames that may wait for a client",
            Self::OutboxBytes => "number of bytes that may wait for a client",
            Self::ReplayMessages => "number of unacknowledged messages",
            Self::ReplayBytes => "number of unacknowledged bytes",
            Self::AckIds => "number of remembered ack ids",
            Self::OpenStreams => "number of open streams",
            Self::GroupsPerToken => "number of groups in a token",
            Self::HandlerRequests => "number of requests to event handlers",
            Self::PingInterval => "time between pings in seconds",
            Self::SilenceLimit => "limit of silence in seconds",
        })
    }
}

impl EmulatorBuilder {
    /// Sets a number of the service, in the unit that [`Limit`] names. [`start`](Self::start) refuses what is out of
    /// [range](Limit::range).
    pub fn limit(mut self, limit: Limit, value: u64) -> Self {
        match limit.slot(&mut self.settings.limits) {
            // More than the platform can count is out of range, too.
            Slot::Count(count) => *count = usize::try_from(value).unwrap_or(usize::MAX),
            Slot::Time(time) => *time = Duration::from_secs(value),
        }
        self
    }
}

/// Refuses what would make no sense or overflow.
pub(super) fn check(limits: &Limits) -> Result<(), StartError> {
    for limit in Limit::ALL {
        let range = limit.range();
        if !range.contains(&limit.value(*limits)) {
            return Err(StartError::InvalidLimit { limit, range });
        }
    }
    if limits.silence_limit < limits.ping_interval {
        // Every idle client would be taken as lost before it was asked.
        let limit = Limit::SilenceLimit;
        let range = Limit::PingInterval.value(*limits)..=*limit.range().end();
        return Err(StartError::InvalidLimit { limit, range });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(limit: Limit, value: u64) -> Result<(), String> {
        let builder = EmulatorBuilder::default().limit(limit, value);
        assert_eq!(limit.value(builder.settings.limits), value, "{limit:?}");
        check(&builder.settings.limits).map_err(|error| error.to_string())
    }

    #[test]
    fn defaults_and_the_ends_of_each_range_pass_and_nothing_beyond() {
        assert!(check(&Limits::default()).is_ok());
        for limit in Limit::ALL {
            let range = limit.range();
            let beside_each_other = matches!(limit, Limit::PingInterval | Limit::SilenceLimit);
            for end in [range.start(), range.end()] {
                assert!(
                    beside_each_other || checked(limit, *end).is_ok(),
                    "{limit:?}"
                );
            }
            assert!(checked(limit, range.end() + 1).is_err(), "{limit:?}");
            if let Some(below) = range.start().checked_sub(1) {
                assert!(checked(limit, below).is_err(), "{limit:?}");
            }
        }
    }

    #[test]
    fn what_is_refused_names_limit_and_range() {
        assert_eq!(
            checked(Limit::MessageBytes, 0).unwrap_err(),
            "the size of a message in bytes must be 1 to 1048576"
        );
        assert_eq!(
            checked(Limit::SilenceLimit, 19).unwrap_err(),
            "the limit of silence in seconds must be 20 to 86400"
        );
        let builder = EmulatorBuilder::default().recovery_window(Duration::MAX);
        assert!(check(&builder.settings.limits).is_err());
    }
}
