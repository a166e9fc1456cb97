//! Names and ids: strings that are checked when they are created, so that a value of these types is always valid.
//!
//! Group names, user ids and connection ids are case-sensitive. Hub names are not: they are
//! lower-cased, so `CHAT` and `chat` are the same hub.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use bytestring::ByteString;

use crate::limits;

/// Why a name is not valid. The error never contains the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidName {
    /// It is not a valid hub name.
    #[error("invalid hub name: use a letter, then up to 127 letters, digits or any of _ ` , . [ ]")]
    Hub,
    /// It is not a valid group name.
    #[error("invalid group name: use 1 to 1024 characters, not only blanks")]
    Group,
    /// It is not a valid user id.
    #[error("invalid user id: use at least one character that is not a blank")]
    User,
    /// It is not a valid connection id.
    #[error("invalid connection id: use at least one character that is not a blank")]
    Connection,
    /// It is not a valid name of a user event.
    #[error("invalid event name: use a letter, then up to 127 letters, digits or any of _ . -")]
    Event,
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $error:ident, |$text:ident| $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(ByteString);

        impl $name {
            /// Creates a name from a text that follows its rules.
            ///
            /// # Errors
            ///
            #[doc = concat!("[`InvalidName::", stringify!($error), "`] when the text breaks the rules above.")]
            pub fn new(text: impl Into<ByteString>) -> Result<Self, InvalidName> {
                let text: ByteString = text.into();
                let $text: &str = &text;
                if $valid { Ok(Self::from_checked(text)) } else { Err(InvalidName::$error) }
            }

            /// The name as a string.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The name as shared text, which is cheap to clone.
            #[must_use]
            pub fn as_shared(&self) -> &ByteString {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self.as_str(), f)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                self.as_str()
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = InvalidName;
            fn try_from(text: &str) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(text: String) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }
    };
}

macro_rules! verbatim {
    ($($name:ident),*) => {$(
        impl $name {
            fn from_checked(text: ByteString) -> Self {
                Self(text)
            }
        }
    )*};
}

name! {
    /// The name of a hub: a letter, then up to 127 of ``A-Z a-z 0-9 _ ` , . [ ]``. It is lower-cased.
    HubName, Hub, |text| is_hub_name(text)
}

name! {
    /// The name of a group: 1 to 1,024 UTF-16 code units of any text that is not blank.
    GroupName, Group, |text| !is_blank(text) && is_short(text)
}

name! {
    /// The id of a user: any text that is not blank.
    UserId, User, |text| !is_blank(text)
}

name! {
    /// The id of a connection, which the service assigns: opaque, any text that is not blank.
    ConnectionId, Connection, |text| !is_blank(text)
}

name! {
    /// The name of a user event: a letter, then up to 127 of `A-Z a-z 0-9 _ . -`.
    EventName, Event, |text| is_event_name(text)
}

verbatim!(GroupName, UserId, ConnectionId, EventName);

impl HubName {
    fn from_checked(text: ByteString) -> Self {
        if text.bytes().any(|b| b.is_ascii_uppercase()) {
            Self(text.to_ascii_lowercase().into())
        } else {
            Self(text)
        }
    }
}

fn is_blank(text: &str) -> bool {
    text.chars().all(char::is_whitespace)
}

/// Whether a text is no longer than a group name may be. A text never has more UTF-16 code units than bytes.
fn is_short(text: &str) -> bool {
    text.len() <= limits::GROUP_NAME_UNITS
        || text.encode_utf16().count() <= limits::GROUP_NAME_UNITS
}

fn is_hub_name(text: &str) -> bool {
    text.len() <= limits::HUB_NAME_CHARS
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_`,.[]".contains(&b))
}

fn is_event_name(text: &str) -> bool {
    text.len() <= limits::EVENT_NAME_CHARS
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hubs_follow_the_pattern_and_lose_their_case() {
        for good in ["a", "Chat", "a_`,.[]9", &format!("a{}", "b".repeat(127))] {
            assert_eq!(
                HubName::new(good).map(|hub| hub.to_string()),
                Ok(good.to_ascii_lowercase())
            );
        }
        for bad in [
            "",
            "1a",
            "_a",
            "a-b",
            "a/b",
            "ä",
            "a b",
            &format!("a{}", "b".repeat(128)),
        ] {
            assert_eq!(HubName::new(bad), Err(InvalidName::Hub), "{bad:?}");
        }
        assert_eq!(HubName::new("CHAT"), HubName::new("chat"));
    }

    #[test]
    fn groups_are_counted_in_utf16_units() {
        assert!(GroupName::new("g".repeat(1024)).is_ok());
        assert!(GroupName::new("g".repeat(1025)).is_err());
        assert!(GroupName::new("😀".repeat(512)).is_ok());
        assert!(GroupName::new("😀".repeat(513)).is_err());
        for bad in ["", " ", "\t\n", "\u{3000}"] {
            assert_eq!(GroupName::new(bad), Err(InvalidName::Group), "{bad:?}");
        }
        assert_ne!(GroupName::new("G"), GroupName::new("g"));
    }

    #[test]
    fn events_follow_the_pattern() {
        for good in ["message", "A", "a_.-9"] {
            assert!(EventName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "1a", "a b", "a/b", "é", &"a".repeat(129)] {
            assert_eq!(EventName::new(bad), Err(InvalidName::Event), "{bad:?}");
        }
    }
}
