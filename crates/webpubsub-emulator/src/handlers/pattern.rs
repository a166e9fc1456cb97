//! Which user events a handler takes.

use std::fmt;
use std::str::FromStr;

use webpubsub_protocol::permission::{self, RolePattern};

/// Names of user events: `*` for all, `a,b` for those, empty for none. Items are trimmed, case does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventPattern(Names);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Names {
    All,
    /// In lower case. Wildcards follow the rules of roles: undocumented, but Microsoft's emulator once took them.
    Listed(Vec<RolePattern>),
}

/// A list of user events cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{item}` is no name of an event: use `*` for all events, or names separated by commas")]
pub struct InvalidPattern {
    item: String,
    source: permission::InvalidPattern,
}

impl EventPattern {
    /// Takes every event.
    #[must_use]
    pub const fn all() -> Self {
        Self(Names::All)
    }

    /// Takes no event.
    #[must_use]
    pub const fn none() -> Self {
        Self(Names::Listed(Vec::new()))
    }

    /// Whether it takes the event with this name.
    #[must_use]
    pub fn matches(&self, event: &str) -> bool {
        match &self.0 {
            Names::All => true,
            Names::Listed(names) => {
                let event = event.to_lowercase();
                names.iter().any(|name| name.matches(&event))
            }
        }
    }
}

impl fmt::Display for EventPattern {
    /// As it is read: `*`, or the names in lower case, separated by commas.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Names::All => f.write_str("*"),
            Names::Listed(names) => {
                let names: Vec<&str> = names.iter().map(RolePattern::as_str).collect();
                f.write_str(&names.join(", "))
            }
        }
    }
}

impl FromStr for EventPattern {
    type Err = InvalidPattern;
    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        if text.trim() == "*" {
            return Ok(Self::all());
        }
        let items = text
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty());
        let names = items.map(|item| {
            RolePattern::new(&item.to_lowercase()).map_err(|source| InvalidPattern {
                item: item.to_owned(),
                source,
            })
        });
        Ok(Self(Names::Listed(names.collect::<Result<_, _>>()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_match_whole_names_without_case() {
        for (pattern, taken, passed) in [
            (" * ", &["a", "A.b"][..], &[][..]),
            ("a, B ,", &["a", "A", "b"], &["ab", "c", ""]),
            ("", &[], &["a", ""]),
            (" , ", &[], &["a"]),
            (
                "room.*, x",
                &["room.1", "ROOM.x", "x"],
                &["room.1.2", "room"],
            ),
            ("room.**", &["room.1.2"], &["rooms"]),
        ] {
            let parsed: EventPattern = pattern.parse().unwrap();
            assert!(taken.iter().all(|name| parsed.matches(name)), "{pattern}");
            assert!(!passed.iter().any(|name| parsed.matches(name)), "{pattern}");
        }
        assert!(!EventPattern::none().matches("a"));
        for (pattern, shown) in [(" * ", "*"), ("A,b , ", "a, b"), ("", "")] {
            let parsed: EventPattern = pattern.parse().unwrap();
            assert_eq!(parsed.to_string(), shown);
        }
    }

    #[test]
    fn an_item_that_is_wrong_is_named() {
        let error = r"fine, a\b".parse::<EventPattern>().unwrap_err();
        assert!(error.to_string().contains(r"`a\b`"), "{error}");
    }
}
