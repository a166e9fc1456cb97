//! Why an emulator did not start.

use std::{fmt, io, net::SocketAddr, ops::RangeInclusive};

use webpubsub_protocol::access::ConnectionStringError;
use webpubsub_protocol::name::InvalidName;

use super::limits::Limit;
use crate::settings::WELL_KNOWN_KEY;

/// Fewest bytes of an access key, as Microsoft's emulator has it.
const KEY_BYTES: usize = 32;

/// Why an emulator did not start. Shows no key, and no value that could hold one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The host is neither an IP address nor `localhost`.
    #[error("the host must be an IP address or `localhost`")]
    InvalidHost,
    /// An access key cannot be used.
    #[error("the {role} access key cannot be used")]
    InvalidAccessKey {
        /// Which of the two keys.
        role: KeyRole,
        /// What is wrong with it.
        source: AccessKeyError,
    },
    /// A public endpoint is not a URL that can be used.
    #[error("public endpoint number {number} cannot be used")]
    InvalidPublicEndpoint {
        /// Which one, counted from 1.
        number: usize,
        /// What is wrong with it.
        source: ConnectionStringError,
    },
    /// An allowed origin is not one.
    #[error("allowed origin number {number} must be like `https://app.example.com`, `null` or `*`")]
    InvalidAllowedOrigin {
        /// Which one, counted from 1.
        number: usize,
    },
    /// The token of the admin API is too short, or holds something other than visible ASCII characters.
    #[error(
        "the token of the admin API must have at least 16 characters, all of them visible ASCII"
    )]
    InvalidAdminToken,
    /// A number is out of its range.
    #[error("the {limit} must be {} to {}", range.start(), range.end())]
    InvalidLimit {
        /// Which one.
        limit: Limit,
        /// What it may be.
        range: RangeInclusive<u64>,
    },
    /// A hub that was set up cannot have this name.
    #[error("`{name}` cannot be the name of a hub")]
    InvalidHub {
        /// The name.
        name: String,
        /// What is wrong with it.
        source: InvalidName,
    },
    /// Everybody knows the key, and others than this machine could reach the port.
    #[error(
        "the well-known access key is public and protects nothing, so it is not used on {address}; set an own access \
         key, listen on 127.0.0.1, or allow the well-known key explicitly"
    )]
    WellKnownKey {
        /// The address that is not loopback.
        address: SocketAddr,
    },
    /// Something else listens there already.
    #[error("{address} is already in use; choose another port, or port 0 for a free one")]
    AddressInUse {
        /// The address.
        address: SocketAddr,
    },
    /// The address cannot be bound: it is not one of this machine, or the port needs privileges.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The system's answer.
        source: io::Error,
    },
    /// The listener that was passed in cannot be used.
    #[error("the given listener cannot be used")]
    Listener(#[source] io::Error),
}

/// One of the two keys of a resource; a signature with either is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyRole {
    /// The first one, which the connection string holds.
    Primary,
    /// The second one, for changing keys without interruption.
    Secondary,
}

impl fmt::Display for KeyRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Primary => "primary",
            Self::Secondary => "secondary",
        })
    }
}

/// What is wrong with an access key. The rules are those of Microsoft's emulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AccessKeyError {
    /// Shorter than 32 bytes in UTF-8.
    #[error("it has {bytes} bytes and needs at least {KEY_BYTES}")]
    TooShort {
        /// Its length.
        bytes: usize,
    },
    /// Starts or ends with white space.
    #[error("it starts or ends with white space, which connection strings do not keep")]
    OuterBlanks,
    /// Holds a `;`.
    #[error("it contains `;`, which ends a value in connection strings")]
    Semicolon,
    /// Holds a control character.
    #[error("it contains a control character")]
    ControlCharacter,
}

/// Checks the rules for access keys.
pub(super) fn check_access_key(key: &str) -> Result<(), AccessKeyError> {
    if key == WELL_KNOWN_KEY {
        return Ok(());
    }
    if key.trim() != key {
        return Err(AccessKeyError::OuterBlanks);
    }
    if key.contains(';') {
        return Err(AccessKeyError::Semicolon);
    }
    if key.contains(char::is_control) {
        return Err(AccessKeyError::ControlCharacter);
    }
    match key.len() {
        bytes if bytes < KEY_BYTES => Err(AccessKeyError::TooShort { bytes }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_rules() {
        let long = "0123456789abcdef0123456789abcdef";
        for (key, expected) in [
            (WELL_KNOWN_KEY.to_owned(), Ok(())),
            (long.to_owned(), Ok(())),
            ("\u{fc}".repeat(16), Ok(())),
            (format!("inner blank {long}"), Ok(())),
            (
                long[1..].to_owned(),
                Err(AccessKeyError::TooShort { bytes: 31 }),
            ),
            (String::new(), Err(AccessKeyError::TooShort { bytes: 0 })),
            (format!(" {long}"), Err(AccessKeyError::OuterBlanks)),
            (format!("{long}\n"), Err(AccessKeyError::OuterBlanks)),
            (format!("a;{long}"), Err(AccessKeyError::Semicolon)),
            (
                format!("a\u{7f}{long}"),
                Err(AccessKeyError::ControlCharacter),
            ),
            (
                format!("a\u{0}{long}"),
                Err(AccessKeyError::ControlCharacter),
            ),
        ] {
            assert_eq!(check_access_key(&key), expected, "{key:?}");
        }
    }
}
