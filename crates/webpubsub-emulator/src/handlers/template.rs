//! The URL of a handler, with places for the names of hub and event.

use std::fmt;
use std::str::FromStr;

use percent_encoding::utf8_percent_encode;
use url::Url;
use webpubsub_protocol::uri::COMPONENT;

/// An absolute `http` or `https` URL in which `{hub}` and `{event}` are filled in, percent-encoded. The names of the
/// placeholders are not case-sensitive. `Debug` and `Display` do not show the query, which may hold a key.
#[derive(Clone, PartialEq, Eq)]
pub struct UrlTemplate {
    parts: Vec<Part>,
}

#[derive(Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Hub,
    Event,
}

/// A text is not a [`UrlTemplate`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidTemplate {
    /// Filling in the placeholders does not give a URL.
    #[error("expected a URL such as `http://localhost:3000/eventhandler/{{event}}`: {0}")]
    NoUrl(#[source] url::ParseError),
    /// Neither `http` nor `https`. `tunnel:` URLs need Azure's tunnel; here a handler is reached directly.
    #[error("`{0}:` URLs are not called: use `http` or `https`")]
    Scheme(String),
    /// A placeholder that does not exist.
    #[error("`{{{0}}}` is not known: only `{{hub}}` and `{{event}}` are filled in")]
    Placeholder(String),
    /// A placeholder decides where requests go.
    #[error("placeholders may stand in the path and the query only")]
    PlaceholderInHost,
    /// A user name or password.
    #[error(
        "a user name or password in the URL is not sent: put a key into the query, or check the signature"
    )]
    Credentials,
    /// A reference into Azure's Key Vault.
    #[error("Key Vault references are not resolved here: write the value itself")]
    KeyVault,
}

impl UrlTemplate {
    /// The URL for an event of a hub.
    #[must_use]
    pub fn fill(&self, hub: &str, event: &str) -> Url {
        Url::parse(&self.text(hub, event))
            .expect("names are encoded, so it stays the URL that was checked")
    }

    fn text(&self, hub: &str, event: &str) -> String {
        let encode = |text: &str| -> String {
            match text {
                // Encoded dots are dots to a URL: they would leave their place.
                "." | ".." => text.replace('.', "%252E"),
                text => utf8_percent_encode(text, COMPONENT).to_string(),
            }
        };
        let texts = self.parts.iter().map(|part| match part {
            Part::Text(text) => text.clone(),
            Part::Hub => encode(hub),
            Part::Event => encode(event),
        });
        texts.collect()
    }
}

impl FromStr for UrlTemplate {
    type Err = InvalidTemplate;
    fn from_str(text: &str) -> Result<Self, InvalidTemplate> {
        let text = text.trim();
        if text.contains("@Microsoft.KeyVault") {
            return Err(InvalidTemplate::KeyVault);
        }
        let template = Self {
            parts: parts(text)?,
        };
        let url =
            |hub, event| Url::parse(&template.text(hub, event)).map_err(InvalidTemplate::NoUrl);
        let (one, other) = match (url("a", "b"), url("c", "d")) {
            (Ok(one), Ok(other)) => (one, other),
            // A port that holds a placeholder, for example.
            (Err(error), _) | (_, Err(error)) => return Err(error),
        };
        if !matches!(one.scheme(), "http" | "https") {
            return Err(InvalidTemplate::Scheme(one.scheme().to_owned()));
        }
        if !one.username().is_empty() || one.password().is_some() {
            return Err(InvalidTemplate::Credentials);
        }
        if one.origin() != other.origin() {
            return Err(InvalidTemplate::PlaceholderInHost);
        }
        Ok(template)
    }
}

fn parts(text: &str) -> Result<Vec<Part>, InvalidTemplate> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, after)) = after.split_once('}') else {
            return Err(InvalidTemplate::Placeholder(shown(after)));
        };
        parts.push(Part::Text(before.to_owned()));
        parts.push(match name.to_ascii_lowercase().as_str() {
            "hub" => Part::Hub,
            "event" => Part::Event,
            _ => return Err(InvalidTemplate::Placeholder(shown(name))),
        });
        rest = after;
    }
    parts.push(Part::Text(rest.to_owned()));
    Ok(parts)
}

/// The part of a wrong placeholder that cannot belong to a query, which may hold a key.
fn shown(placeholder: &str) -> String {
    let name = placeholder.chars().take_while(|c| c.is_alphanumeric());
    name.take(32).collect()
}

impl fmt::Display for UrlTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        for part in &self.parts {
            text.push_str(match part {
                Part::Text(text) => text,
                Part::Hub => "{hub}",
                Part::Event => "{event}",
            });
        }
        match text.split_once('?') {
            Some((before, _)) => write!(f, "{before}?.."),
            None => f.write_str(&text),
        }
    }
}

impl fmt::Debug for UrlTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fill(template: &str, event: &str) -> String {
        template
            .parse::<UrlTemplate>()
            .unwrap()
            .fill("chat", event)
            .to_string()
    }

    #[test]
    fn names_are_filled_in_encoded() {
        assert_eq!(
            fill("http://h:1/x/{hub}/{EVENT}", "connect"),
            "http://h:1/x/chat/connect"
        );
        assert_eq!(
            fill("https://h/{event}?code=a&e={event}", "a/b?c"),
            "https://h/a%2Fb%3Fc?code=a&e=a%2Fb%3Fc"
        );
        assert_eq!(fill("http://h/fixed", "x"), "http://h/fixed");
    }

    #[test]
    fn mistakes_are_named() {
        let error = |text: &str| text.parse::<UrlTemplate>().unwrap_err();
        assert!(matches!(error("/eventhandler"), InvalidTemplate::NoUrl(_)));
        assert!(matches!(
            error("http://h:{event}/"),
            InvalidTemplate::NoUrl(_)
        ));
        assert_eq!(
            error("tunnel:///x"),
            InvalidTemplate::Scheme("tunnel".into())
        );
        assert_eq!(
            error("http://h/{name}"),
            InvalidTemplate::Placeholder("name".into())
        );
        assert_eq!(
            error("http://h/{event"),
            InvalidTemplate::Placeholder("event".into())
        );
        assert_eq!(
            error("http://h/{event?code=private"),
            InvalidTemplate::Placeholder("event".into())
        );
        assert_eq!(
            error("http://{hub}.example/"),
            InvalidTemplate::PlaceholderInHost
        );
        assert_eq!(error("{event}://h/"), InvalidTemplate::Scheme("b".into()));
        assert_eq!(error("http://u:p@h/"), InvalidTemplate::Credentials);
        assert_eq!(
            error("http://h/?code={@Microsoft.KeyVault(SecretUri=x)}"),
            InvalidTemplate::KeyVault
        );
    }

    #[test]
    fn the_query_is_not_shown() {
        let template: UrlTemplate = "http://h/{event}?code=private".parse().unwrap();
        assert_eq!(
            format!("{template} {template:?}"),
            "http://h/{event}?.. \"http://h/{event}?..\""
        );
    }

    proptest! {
        #[test]
        fn no_name_leaves_its_place(hub in "\\PC{1,20}", event in "\\PC{1,20}|\\.|\\.\\.") {
            let template: UrlTemplate = "http://h:1/a/{hub}/{event}?e={event}&k=1".parse().unwrap();
            let url = template.fill(&hub, &event);
            prop_assert_eq!(url.host_str(), Some("h"));
            prop_assert_eq!(url.path_segments().unwrap().count(), 3);
            prop_assert_eq!(url.query_pairs().count(), 2);
            prop_assert!(url.fragment().is_none());
        }
    }
}
