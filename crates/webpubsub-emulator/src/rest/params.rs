//! Reads the parameters of a call: names from the path, the rest from the query.
//!
//! The [generated table](super::generated) says which parameters an operation has and what breaks
//! their rules; how a value is found, decoded and checked is here.

use std::{borrow::Cow, ops::RangeInclusive, str::FromStr};

use percent_encoding::percent_decode_str;

use super::generated::{self, Call, OperationId};
use super::table::{Repeated, Rules};
use crate::route::Captures;

/// A parameter that the service would answer with 400.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadParameter {
    /// The member `target` of the error.
    pub(crate) target: &'static str,
    /// The member `message` of the error.
    pub(crate) message: Cow<'static, str>,
}

/// A call whose parameters were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parsed {
    pub(crate) call: Call,
    /// A name held an encoded slash that was kept as the three characters `%2F`. Callers hardly
    /// mean that, so it deserves a warning.
    pub(crate) kept_slash: bool,
}

/// What becomes of an encoded slash in a name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum EncodedSlash {
    /// It stays `%2F`, as the service has it.
    #[default]
    Keep,
    /// It becomes a slash.
    Decode,
}

/// Checks the parameters of a call: everything that comes before the token.
///
/// # Errors
///
/// The first parameter that breaks its rules.
pub(crate) fn parse(
    operation: OperationId,
    captures: &Captures<'_>,
    query: Option<&str>,
    slash: EncodedSlash,
) -> Result<Parsed, BadParameter> {
    let query = query.unwrap_or_default();
    let mut input = Input {
        captures,
        query,
        slash,
        kept_slash: false,
    };
    generated::API_VERSION.read(&mut input)?;
    let call = Call::parse(operation, &mut input)?;
    Ok(Parsed {
        call,
        kept_slash: input.kept_slash,
    })
}

/// A path, or a part of one, without its percent-encoding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DecodedPath {
    pub(crate) text: String,
    /// It holds an encoded slash that was kept.
    pub(crate) kept_slash: bool,
}

/// Decodes a path once, as the service does it: a plus sign is itself, and `%2F` is the reader's
/// choice. Nothing when it is not percent-encoded UTF-8.
pub(crate) fn decode_path(path: &str, slash: EncodedSlash) -> Option<DecodedPath> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut kept_slash = false;
    let mut rest = path.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let [high, low, tail @ ..] = tail else {
            return None;
        };
        rest = tail;
        let byte = hex(*high)? << 4 | hex(*low)?;
        if byte == b'/' && slash == EncodedSlash::Keep {
            kept_slash = true;
            bytes.extend([b'%', *high, *low]);
        } else {
            bytes.push(byte);
        }
    }
    Some(DecodedPath {
        text: String::from_utf8(bytes).ok()?,
        kept_slash,
    })
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

/// The raw parameters of a call.
#[derive(Debug)]
pub(super) struct Input<'a> {
    captures: &'a Captures<'a>,
    query: &'a str,
    slash: EncodedSlash,
    kept_slash: bool,
}

impl<'a> Input<'a> {
    /// A name in the path.
    pub(super) fn captured<T: FromStr>(&mut self, rules: Rules) -> Result<T, BadParameter> {
        let raw = self.captures.get(rules.name);
        let decoded = decode_path(raw, self.slash).ok_or_else(|| malformed(rules.name))?;
        self.kept_slash |= decoded.kept_slash;
        decoded.text.parse().map_err(|_| rules.violated())
    }

    /// A value that must be there.
    pub(super) fn required<T: FromStr>(&self, rules: Rules) -> Result<T, BadParameter> {
        self.optional(rules)?.ok_or_else(|| rules.violated())
    }

    /// A value that may be absent.
    pub(super) fn optional<T: FromStr>(&self, rules: Rules) -> Result<Option<T>, BadParameter> {
        let text = self.text(rules)?;
        text.map(|text| text.parse().map_err(|_| rules.violated()))
            .transpose()
    }

    /// All values of a parameter.
    pub(super) fn list<T: FromStr>(&self, rules: Rules) -> Result<Vec<T>, BadParameter> {
        let parse = |text: String| text.parse().map_err(|_| rules.violated());
        self.texts(rules)?.into_iter().map(parse).collect()
    }

    /// All values of a parameter, whatever they are.
    pub(super) fn texts(&self, rules: Rules) -> Result<Vec<String>, BadParameter> {
        self.values(rules.name)
            .map(|raw| decode_query(rules.name, raw))
            .collect()
    }

    /// Text of a length, in UTF-16 units as the service counts.
    pub(super) fn sized_text(
        &self,
        rules: Rules,
        length: RangeInclusive<usize>,
    ) -> Result<Option<String>, BadParameter> {
        match self.text(rules)? {
            Some(text) if !length.contains(&text.encode_utf16().count()) => Err(rules.violated()),
            text => Ok(text),
        }
    }

    /// A whole number in a range.
    pub(super) fn number(
        &self,
        rules: Rules,
        range: RangeInclusive<u32>,
    ) -> Result<Option<u32>, BadParameter> {
        match self.optional(rules)? {
            Some(number) if !range.contains(&number) => Err(rules.violated()),
            number => Ok(number),
        }
    }

    /// Refuses a value that is not one of these. None at all is fine.
    pub(super) fn one_of(&self, rules: Rules, known: &[&str]) -> Result<(), BadParameter> {
        match self.text(rules)? {
            Some(text) if !known.contains(&text.as_str()) => Err(rules.violated()),
            _ => Ok(()),
        }
    }

    /// Any text.
    pub(super) fn text(&self, rules: Rules) -> Result<Option<String>, BadParameter> {
        let mut values = self.values(rules.name);
        let Some(first) = values.next() else {
            return Ok(None);
        };
        if rules.repeated == Repeated::Refuse && values.next().is_some() {
            return Err(rules.violated());
        }
        decode_query(rules.name, first).map(Some)
    }

    /// The values of a parameter, still percent-encoded. Names compare without regard to case, as
    /// the service's framework does it.
    fn values(&self, name: &'static str) -> impl Iterator<Item = &'a str> {
        self.query.split('&').filter_map(move |pair| {
            let (found, value) = pair.split_once('=').unwrap_or((pair, ""));
            let found = percent_decode_str(found).map(|byte| byte.to_ascii_lowercase());
            found
                .eq(name.bytes().map(|byte| byte.to_ascii_lowercase()))
                .then_some(value)
        })
    }
}

/// Decodes a value of the query. Unlike in a path, a plus sign is a blank.
fn decode_query(name: &'static str, raw: &str) -> Result<String, BadParameter> {
    let spaced = raw.replace('+', " ");
    let decoded = decode_path(&spaced, EncodedSlash::Decode).ok_or_else(|| malformed(name))?;
    Ok(decoded.text)
}

fn malformed(name: &'static str) -> BadParameter {
    let message =
        format!("Invalid percent-encoding in '{name}': it must be UTF-8, with %25 for %.");
    BadParameter {
        target: "Request",
        message: message.into(),
    }
}

#[cfg(test)]
pub(super) mod tests;
