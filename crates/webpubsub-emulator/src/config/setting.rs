//! The settings, and where each value came from.

use std::collections::BTreeMap;
use std::fmt;

use webpubsub_emulator::Limit;
use webpubsub_protocol::access::AccessKey;

use super::{error::ConfigError, hubs::Hubs};

/// A setting. Flags, variables and file keys are spelled after one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(clippy::enum_variant_names, reason = "some settings are keys")]
pub(super) enum Key {
    Host,
    Port,
    AccessKey,
    SecondaryAccessKey,
    PublicEndpoint,
    Log,
    Json,
    AllowWellKnownKey,
    AcceptUnvalidatedEntraTokens,
    DecodeSlashes,
    RecoveryWindow,
    TokenSkew,
    MaxMessageBytes,
    MaxOutboxFrames,
    MaxOutboxBytes,
    MaxReplayMessages,
    MaxReplayBytes,
    MaxAckIds,
    MaxOpenStreams,
    MaxGroupsPerToken,
    PingInterval,
    SilenceLimit,
    ConnectedOnRecovery,
    EndOnCloseWithoutStatus,
    CloseFailedEventsNormally,
    EventHandler,
    AnonymousConnect,
}

impl Key {
    pub(super) const ALL: [Self; 27] = [
        Self::Host,
        Self::Port,
        Self::AccessKey,
        Self::SecondaryAccessKey,
        Self::PublicEndpoint,
        Self::Log,
        Self::Json,
        Self::AllowWellKnownKey,
        Self::AcceptUnvalidatedEntraTokens,
        Self::DecodeSlashes,
        Self::RecoveryWindow,
        Self::TokenSkew,
        Self::MaxMessageBytes,
        Self::MaxOutboxFrames,
        Self::MaxOutboxBytes,
        Self::MaxReplayMessages,
        Self::MaxReplayBytes,
        Self::MaxAckIds,
        Self::MaxOpenStreams,
        Self::MaxGroupsPerToken,
        Self::PingInterval,
        Self::SilenceLimit,
        Self::ConnectedOnRecovery,
        Self::EndOnCloseWithoutStatus,
        Self::CloseFailedEventsNormally,
        Self::EventHandler,
        Self::AnonymousConnect,
    ];

    /// The name as in a flag without its dashes, and in a file.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Port => "port",
            Self::AccessKey => "access-key",
            Self::SecondaryAccessKey => "secondary-access-key",
            Self::PublicEndpoint => "public-endpoint",
            Self::Log => "log",
            Self::Json => "json",
            Self::AllowWellKnownKey => "allow-well-known-key",
            Self::AcceptUnvalidatedEntraTokens => "accept-unvalidated-entra-tokens",
            Self::DecodeSlashes => "decode-slashes",
            Self::RecoveryWindow => "recovery-window",
            Self::TokenSkew => "token-skew",
            Self::MaxMessageBytes => "max-message-bytes",
            Self::MaxOutboxFrames => "max-outbox-frames",
            Self::MaxOutboxBytes => "max-outbox-bytes",
            Self::MaxReplayMessages => "max-replay-messages",
            Self::MaxReplayBytes => "max-replay-bytes",
            Self::MaxAckIds => "max-ack-ids",
            Self::MaxOpenStreams => "max-open-streams",
            Self::MaxGroupsPerToken => "max-groups-per-token",
            Self::PingInterval => "ping-interval",
            Self::SilenceLimit => "silence-limit",
            Self::ConnectedOnRecovery => "connected-on-recovery",
            Self::EndOnCloseWithoutStatus => "end-on-close-without-status",
            Self::CloseFailedEventsNormally => "close-failed-events-normally",
            Self::EventHandler => "event-handler",
            Self::AnonymousConnect => "anonymous-connect",
        }
    }

    /// The number that it sets, if it sets one.
    pub(super) const fn limit(self) -> Option<Limit> {
        Some(match self {
            Self::RecoveryWindow => Limit::RecoveryWindow,
            Self::TokenSkew => Limit::TokenSkew,
            Self::MaxMessageBytes => Limit::MessageBytes,
            Self::MaxOutboxFrames => Limit::OutboxFrames,
            Self::MaxOutboxBytes => Limit::OutboxBytes,
            Self::MaxReplayMessages => Limit::ReplayMessages,
            Self::MaxReplayBytes => Limit::ReplayBytes,
            Self::MaxAckIds => Limit::AckIds,
            Self::MaxOpenStreams => Limit::OpenStreams,
            Self::MaxGroupsPerToken => Limit::GroupsPerToken,
            Self::PingInterval => Limit::PingInterval,
            Self::SilenceLimit => Limit::SilenceLimit,
            _ => return None,
        })
    }

    /// Finds a name; `_` is as good as `-`.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        let name = name.replace('_', "-");
        Self::ALL.into_iter().find(|key| key.name() == name)
    }

    pub(super) fn names() -> impl Iterator<Item = &'static str> {
        Self::ALL.into_iter().map(Self::name)
    }
}

/// Where a value was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Flag(Key),
    Variable(String),
    File {
        file: String,
        line: usize,
        key: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(key) => write!(f, "`--{}`", key.name()),
            Self::Variable(name) => write!(f, "environment variable `{name}`"),
            Self::File { file, line, key } => write!(f, "{file}:{line}: `{key}`"),
        }
    }
}

/// A value and where it was given.
#[derive(Clone, Debug)]
pub(super) struct Setting<T> {
    pub value: T,
    pub origin: Origin,
}

/// Where it was given makes no other value of it: lines of a file move.
impl<T: PartialEq> PartialEq for Setting<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

/// The values of one source, or of several laid over each other.
#[derive(Clone, Debug, Default)]
pub(super) struct Layer {
    pub host: Option<Setting<String>>,
    pub port: Option<Setting<u16>>,
    pub access_key: Option<Setting<AccessKey>>,
    pub secondary_access_key: Option<Setting<AccessKey>>,
    pub public_endpoints: Vec<Setting<String>>,
    pub log: Option<Setting<String>>,
    pub json: Option<Setting<bool>>,
    pub allow_well_known_key: Option<Setting<bool>>,
    pub accept_unvalidated_entra_tokens: Option<Setting<bool>>,
    pub decode_slashes: Option<Setting<bool>>,
    /// The values of keys with a [`Limit`].
    pub numbers: BTreeMap<Key, Setting<u64>>,
    /// The switches of `tuning.rs`.
    pub switches: BTreeMap<Key, Setting<bool>>,
    pub hubs: Hubs,
}

impl Layer {
    /// Sets a value that was given as text.
    pub(super) fn set(
        &mut self,
        key: Key,
        text: String,
        origin: Origin,
    ) -> Result<(), ConfigError> {
        match key {
            Key::Host => put(&mut self.host, text, origin),
            Key::Port => put(&mut self.port, port(&text, &origin)?, origin),
            Key::AccessKey => put(&mut self.access_key, AccessKey::new(text), origin),
            Key::SecondaryAccessKey => {
                put(&mut self.secondary_access_key, AccessKey::new(text), origin)
            }
            Key::PublicEndpoint => {
                self.public_endpoints.push(Setting {
                    value: text,
                    origin,
                });
                Ok(())
            }
            Key::Log => put(&mut self.log, text, origin),
            Key::Json => put(&mut self.json, switch(&text, &origin)?, origin),
            Key::AllowWellKnownKey => put(
                &mut self.allow_well_known_key,
                switch(&text, &origin)?,
                origin,
            ),
            Key::AcceptUnvalidatedEntraTokens => put(
                &mut self.accept_unvalidated_entra_tokens,
                switch(&text, &origin)?,
                origin,
            ),
            Key::DecodeSlashes => put(&mut self.decode_slashes, switch(&text, &origin)?, origin),
            Key::ConnectedOnRecovery
            | Key::EndOnCloseWithoutStatus
            | Key::CloseFailedEventsNormally => {
                insert(&mut self.switches, key, switch(&text, &origin)?, origin)
            }
            Key::RecoveryWindow
            | Key::TokenSkew
            | Key::MaxMessageBytes
            | Key::MaxOutboxFrames
            | Key::MaxOutboxBytes
            | Key::MaxReplayMessages
            | Key::MaxReplayBytes
            | Key::MaxAckIds
            | Key::MaxOpenStreams
            | Key::MaxGroupsPerToken
            | Key::PingInterval
            | Key::SilenceLimit => insert(&mut self.numbers, key, number(&text, &origin)?, origin),
            Key::EventHandler => self.hubs.add_handler(&text, origin),
            Key::AnonymousConnect => self.hubs.set_anonymous(&text, origin),
        }
    }

    /// The settings other than those of hubs whose values differ.
    pub(super) fn differences(&self, other: &Self) -> Vec<Key> {
        let differs = |key: &Key| match key {
            Key::Host => self.host != other.host,
            Key::Port => self.port != other.port,
            Key::AccessKey => self.access_key != other.access_key,
            Key::SecondaryAccessKey => self.secondary_access_key != other.secondary_access_key,
            Key::PublicEndpoint => self.public_endpoints != other.public_endpoints,
            Key::Log => self.log != other.log,
            Key::Json => self.json != other.json,
            Key::AllowWellKnownKey => self.allow_well_known_key != other.allow_well_known_key,
            Key::AcceptUnvalidatedEntraTokens => {
                self.accept_unvalidated_entra_tokens != other.accept_unvalidated_entra_tokens
            }
            Key::DecodeSlashes => self.decode_slashes != other.decode_slashes,
            Key::EventHandler | Key::AnonymousConnect => false,
            number_or_switch => {
                self.numbers.get(number_or_switch) != other.numbers.get(number_or_switch)
                    || self.switches.get(number_or_switch) != other.switches.get(number_or_switch)
            }
        };
        Key::ALL.into_iter().filter(differs).collect()
    }

    /// Takes from `lower` what is not set here. A list counts as one value.
    pub(super) fn or(self, lower: Self) -> Self {
        Self {
            host: self.host.or(lower.host),
            port: self.port.or(lower.port),
            access_key: self.access_key.or(lower.access_key),
            secondary_access_key: self.secondary_access_key.or(lower.secondary_access_key),
            public_endpoints: match self.public_endpoints.is_empty() {
                true => lower.public_endpoints,
                false => self.public_endpoints,
            },
            log: self.log.or(lower.log),
            json: self.json.or(lower.json),
            allow_well_known_key: self.allow_well_known_key.or(lower.allow_well_known_key),
            accept_unvalidated_entra_tokens: self
                .accept_unvalidated_entra_tokens
                .or(lower.accept_unvalidated_entra_tokens),
            decode_slashes: self.decode_slashes.or(lower.decode_slashes),
            numbers: lower.numbers.into_iter().chain(self.numbers).collect(),
            switches: lower.switches.into_iter().chain(self.switches).collect(),
            hubs: self.hubs.or(lower.hubs),
        }
    }
}

fn put<T>(slot: &mut Option<Setting<T>>, value: T, origin: Origin) -> Result<(), ConfigError> {
    if slot.is_some() {
        return Err(ConfigError::new(origin, "given more than once"));
    }
    *slot = Some(Setting { value, origin });
    Ok(())
}

fn insert<T>(
    map: &mut BTreeMap<Key, Setting<T>>,
    key: Key,
    value: T,
    origin: Origin,
) -> Result<(), ConfigError> {
    if map.contains_key(&key) {
        return Err(ConfigError::new(origin, "given more than once"));
    }
    map.insert(key, Setting { value, origin });
    Ok(())
}

fn number(text: &str, origin: &Origin) -> Result<u64, ConfigError> {
    text.trim()
        .parse()
        .map_err(|_| ConfigError::new(origin, "expected a whole number"))
}

fn port(text: &str, origin: &Origin) -> Result<u16, ConfigError> {
    text.trim().parse().map_err(|_| {
        ConfigError::new(
            origin,
            "the port must be a number from 0 to 65535; 0 takes a free one",
        )
    })
}

fn switch(text: &str, origin: &Origin) -> Result<bool, ConfigError> {
    is_true(text).map_err(|problem| ConfigError::new(origin, problem))
}

/// Reads `true` and `false` as people write them.
pub(super) fn is_true(text: &str) -> Result<bool, &'static str> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err("expected `true` or `false`"),
    }
}
