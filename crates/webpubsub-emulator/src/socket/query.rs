//! The query of a client URL. Names compare without regard to case; of a repeated one the last
//! counts, except where a rule says otherwise.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use webpubsub_protocol::name::GroupName;

use crate::hub::RawMode;

/// A client URL's query, decoded.
pub(super) struct Query<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

/// Why the raw-mode parameters are refused; the text goes to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidRawMode {
    #[error("Invalid webpubsub_mode. Valid modes are sendToGroup and sendEvent.")]
    Mode,
    #[error("The raw sendToGroup group name is invalid.")]
    Group,
    #[error("Invalid noEcho. Valid values are true and false.")]
    NoEcho,
}

impl<'a> Query<'a> {
    pub(super) fn parse(query: &'a str) -> Self {
        let pairs = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                (decode(name), decode(value))
            });
        Self(pairs.collect())
    }

    /// The last value of a parameter.
    pub(super) fn last(&self, name: &str) -> Option<&str> {
        let mut values = self
            .0
            .iter()
            .rev()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name));
        values.next().map(|(_, value)| value.as_ref())
    }

    /// All parameters, in their order.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        let pairs = self.0.iter();
        pairs.map(|(name, value)| (name.as_ref(), value.as_ref()))
    }

    /// What a simple client's frames do.
    pub(super) fn raw_mode(&self) -> Result<RawMode, InvalidRawMode> {
        let mode = self.last("webpubsub_mode").unwrap_or_default();
        if mode.is_empty() || mode.eq_ignore_ascii_case("sendEvent") {
            return Ok(RawMode::SendEvent);
        }
        if !mode.eq_ignore_ascii_case("sendToGroup") {
            return Err(InvalidRawMode::Mode);
        }
        let group = self.last("group").unwrap_or_default().to_owned();
        let group = GroupName::new(group).map_err(|_| InvalidRawMode::Group)?;
        let no_echo = match self.last("noEcho") {
            None => false,
            Some(text) if text.eq_ignore_ascii_case("true") => true,
            Some(text) if text.eq_ignore_ascii_case("false") => false,
            Some(_) => return Err(InvalidRawMode::NoEcho),
        };
        Ok(RawMode::SendToGroup { group, no_echo })
    }
}

/// Decodes a query component; bytes that are no UTF-8 become replacement characters.
fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let text = text.replace('+', " ");
    Cow::Owned(percent_decode_str(&text).decode_utf8_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_the_last_counts() {
        let query = Query::parse("a=1&A=2%203+4&&b&c==%zz");
        assert_eq!(query.last("a"), Some("2 3 4"));
        assert_eq!(query.last("b"), Some(""));
        assert_eq!(query.last("c"), Some("=%zz"));
        assert_eq!(query.last("d"), None);
        assert_eq!(Query::parse("").last(""), None);
    }

    #[test]
    fn raw_modes() {
        let mode = |query| Query::parse(query).raw_mode();
        let to_group = |no_echo| {
            let group = GroupName::new("g").expect("a name");
            Ok(RawMode::SendToGroup { group, no_echo })
        };
        for event in [
            "",
            "webpubsub_mode=",
            "webpubsub_mode=SENDEVENT&group=&noEcho=x",
        ] {
            assert_eq!(mode(event), Ok(RawMode::SendEvent), "{event}");
        }
        assert_eq!(mode("webpubsub_mode=sendtogroup&group=g"), to_group(false));
        assert_eq!(
            mode("webpubsub_mode=sendToGroup&group=g&noEcho=True"),
            to_group(true)
        );
        assert_eq!(
            mode("webpubsub_mode=x&webpubsub_mode=sendToGroup&group=a&group=g"),
            to_group(false)
        );
        assert_eq!(mode("webpubsub_mode=other"), Err(InvalidRawMode::Mode));
        assert_eq!(
            mode("webpubsub_mode=sendToGroup"),
            Err(InvalidRawMode::Group)
        );
        assert_eq!(
            mode("webpubsub_mode=sendToGroup&group=%20"),
            Err(InvalidRawMode::Group)
        );
        assert_eq!(
            mode("webpubsub_mode=sendToGroup&group=g&noEcho=1"),
            Err(InvalidRawMode::NoEcho)
        );
    }
}
