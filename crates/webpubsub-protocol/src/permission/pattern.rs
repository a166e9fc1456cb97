//! Patterns of group names in roles such as `webpubsub.sendToGroups.room-*`.

use std::fmt;
use std::str::FromStr;

use crate::limits;

/// A pattern that matches whole group names. It is case-sensitive.
///
/// | Token | Matches |
/// |---|---|
/// | `?` | one character other than `.` |
/// | `*` | any number of characters other than `.` |
/// | `**` (or more stars) | any number of characters |
/// | `\` | makes the next `\`, `*` or `?` a plain character |
///
/// One pattern has at most five unescaped `*` characters (so `**` counts twice), at most five
/// wildcards of all kinds together, and at most 1024 UTF-16 units. A "character" for `?` is a
/// Unicode scalar value.
///
/// ```
/// use webpubsub_protocol::permission::RolePattern;
///
/// let pattern: RolePattern = "clientA.*".parse()?;
/// assert!(pattern.matches("clientA.alpha"));
/// assert!(!pattern.matches("clientA.alpha.room1"));
/// # Ok::<(), webpubsub_protocol::permission::InvalidPattern>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct RolePattern {
    source: Box<str>,
    tokens: Box<[Token]>,
}

/// Why a pattern is not valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPattern {
    /// The pattern is empty.
    #[error("invalid pattern: it is empty")]
    Empty,
    /// The pattern is longer than [`limits::ROLE_PATTERN_UNITS`].
    #[error("invalid pattern: {0} characters, the limit is {max}", max = limits::ROLE_PATTERN_UNITS)]
    TooLong(usize),
    /// The last character is an unescaped `\`.
    #[error(r"invalid pattern: it ends in a single backslash, write \\ for the character")]
    LoneBackslash,
    /// A `\` stands before a character that needs no escape.
    #[error(r"invalid pattern: {0:?} cannot be escaped, only \, * and ? can")]
    InvalidEscape(char),
    /// There are more unescaped `*` than [`limits::ROLE_PATTERN_WILDCARDS`].
    #[error("invalid pattern: {0} asterisks, the limit is {max}", max = limits::ROLE_PATTERN_WILDCARDS)]
    TooManyAsterisks(usize),
    /// There are more `?`, `*` and `**` than [`limits::ROLE_PATTERN_WILDCARDS`].
    #[error("invalid pattern: {0} wildcards, the limit is {max}", max = limits::ROLE_PATTERN_WILDCARDS)]
    TooManyWildcards(usize),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Literal(Box<str>),
    /// `?`
    One,
    /// `*`
    Segment,
    /// `**`
    Any,
}

impl RolePattern {
    /// Parses a pattern.
    ///
    /// # Errors
    ///
    /// [`InvalidPattern`] if it breaks the rules above.
    pub fn new(pattern: &str) -> Result<Self, InvalidPattern> {
        let units = pattern.encode_utf16().count();
        if units > limits::ROLE_PATTERN_UNITS {
            return Err(InvalidPattern::TooLong(units));
        }
        Ok(Self {
            source: pattern.into(),
            tokens: tokenize(pattern)?,
        })
    }

    /// Escapes text, so that it matches itself inside a pattern: `a*b` becomes `a\*b`.
    #[must_use]
    pub fn escape(text: &str) -> String {
        let mut escaped = String::with_capacity(text.len());
        for c in text.chars() {
            if is_escapable(c) {
                escaped.push('\\');
            }
            escaped.push(c);
        }
        escaped
    }

    /// Whether the pattern matches the whole group name.
    ///
    /// The time is at most proportional to the length of the pattern times that of the name.
    #[must_use]
    pub fn matches(&self, group: &str) -> bool {
        let (group, tokens) = match self.tokens.split_first() {
            Some((Token::Literal(prefix), rest)) => match group.strip_prefix(&**prefix) {
                Some(group) => (group, rest),
                None => return false,
            },
            _ => (group, &*self.tokens),
        };
        match tokens {
            [] => group.is_empty(),
            [Token::Any] => true,
            [Token::Segment] => !group.contains('.'),
            _ => reaches_end(tokens, group),
        }
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.source
    }

    /// The group name that a pattern without wildcards matches.
    #[must_use]
    pub fn as_literal(&self) -> Option<&str> {
        match &*self.tokens {
            [Token::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// Whether the pattern is `**` alone, which matches every group.
    #[must_use]
    pub fn is_all(&self) -> bool {
        *self.tokens == [Token::Any]
    }
}

impl FromStr for RolePattern {
    type Err = InvalidPattern;
    fn from_str(pattern: &str) -> Result<Self, InvalidPattern> {
        Self::new(pattern)
    }
}

impl TryFrom<&str> for RolePattern {
    type Error = InvalidPattern;
    fn try_from(pattern: &str) -> Result<Self, InvalidPattern> {
        Self::new(pattern)
    }
}

impl fmt::Display for RolePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

impl fmt::Debug for RolePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RolePattern").field(&self.source).finish()
    }
}

fn is_escapable(c: char) -> bool {
    matches!(c, '\\' | '*' | '?')
}

fn tokenize(pattern: &str) -> Result<Box<[Token]>, InvalidPattern> {
    let mut tokens = Vec::new();
    let mut literal = String::new();
    let mut asterisks = 0;
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        let wildcard = match c {
            '?' => Token::One,
            '*' => {
                let mut run = 1;
                while chars.next_if_eq(&'*').is_some() {
                    run += 1;
                }
                asterisks += run;
                if run == 1 { Token::Segment } else { Token::Any }
            }
            '\\' => {
                literal.push(match chars.next() {
                    Some(escaped) if is_escapable(escaped) => escaped,
                    Some(other) => return Err(InvalidPattern::InvalidEscape(other)),
                    None => return Err(InvalidPattern::LoneBackslash),
                });
                continue;
            }
            _ => {
                literal.push(c);
                continue;
            }
        };
        if !literal.is_empty() {
            tokens.push(Token::Literal(std::mem::take(&mut literal).into()));
        }
        tokens.push(wildcard);
    }
    if !literal.is_empty() {
        tokens.push(Token::Literal(literal.into()));
    }
    let wildcards = tokens
        .iter()
        .filter(|token| !matches!(token, Token::Literal(_)))
        .count();
    match () {
        () if tokens.is_empty() => Err(InvalidPattern::Empty),
        () if asterisks > limits::ROLE_PATTERN_WILDCARDS => {
            Err(InvalidPattern::TooManyAsterisks(asterisks))
        }
        () if wildcards > limits::ROLE_PATTERN_WILDCARDS => {
            Err(InvalidPattern::TooManyWildcards(wildcards))
        }
        () => Ok(tokens.into()),
    }
}

/// Whether the tokens can consume all of `text`: token after token, the set of byte positions that
/// the tokens so far can end at. No backtracking, so no pattern makes it slow.
fn reaches_end(tokens: &[Token], text: &str) -> bool {
    let mut ends = vec![false; text.len() + 1];
    ends[0] = true;
    for token in tokens {
        match token {
            Token::Literal(literal) => {
                for end in (0..ends.len()).rev() {
                    ends[end] = end.checked_sub(literal.len()).is_some_and(|start| {
                        ends[start] && text.as_bytes()[..end].ends_with(literal.as_bytes())
                    });
                }
            }
            Token::One => {
                let mut starts = std::mem::replace(&mut ends, vec![false; text.len() + 1]);
                for (start, c) in text.char_indices() {
                    ends[start + c.len_utf8()] = std::mem::take(&mut starts[start]) && c != '.';
                }
            }
            Token::Segment => {
                for (at, byte) in text.bytes().enumerate() {
                    ends[at + 1] |= ends[at] && byte != b'.';
                }
            }
            Token::Any => {
                let first = ends.iter().position(|end| *end).unwrap_or(ends.len());
                ends[first..].fill(true);
            }
        }
    }
    ends[text.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_what_the_service_ignores() {
        for (pattern, error) in [
            ("", InvalidPattern::Empty),
            ("a\\", InvalidPattern::LoneBackslash),
            ("a\\\\\\", InvalidPattern::LoneBackslash),
            ("\\.", InvalidPattern::InvalidEscape('.')),
            ("******", InvalidPattern::TooManyAsterisks(6)),
            ("**.**.**", InvalidPattern::TooManyAsterisks(6)),
            ("??????", InvalidPattern::TooManyWildcards(6)),
            ("?*?**?*?", InvalidPattern::TooManyWildcards(7)),
        ] {
            assert_eq!(RolePattern::new(pattern), Err(error), "{pattern}");
        }
        assert_eq!(
            RolePattern::new(&"a".repeat(1025)),
            Err(InvalidPattern::TooLong(1025))
        );
        assert_eq!(
            RolePattern::new(&"😀".repeat(513)),
            Err(InvalidPattern::TooLong(1026))
        );
        for good in [
            "*****",
            "**.**.*",
            "\\*\\*\\*\\*\\*\\**",
            "?????",
            &"a".repeat(1024),
        ] {
            assert!(RolePattern::new(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn knows_literals_and_everything() {
        assert_eq!(RolePattern::new("a\\*b").unwrap().as_literal(), Some("a*b"));
        assert_eq!(RolePattern::new("a*b").unwrap().as_literal(), None);
        for (pattern, all) in [("**", true), ("*****", true), ("*", false), ("**a", false)] {
            assert_eq!(
                RolePattern::new(pattern).unwrap().is_all(),
                all,
                "{pattern}"
            );
        }
    }
}
