//! Names of Microsoft's emulator, in its `appsettings.json` and as variables with `__`. Compared without case, as .NET
//! does.

use std::collections::BTreeSet;

use url::{Host, Url};

use super::{
    error::{ConfigError, did_you_mean},
    hubs::{Field, Form, Handler, NO_AUTH, NO_LISTENERS},
    setting::{Layer, Origin},
    table,
};

const SECTION: [&str; 3] = ["AccessKey", "AllowUnvalidatedEntraTokens", "Hubs"];
const HUB: [&str; 2] = ["EventHandlers", "EventListeners"];
const HANDLER: [&str; 3] = ["UrlTemplate", "EventPattern", "SystemEvents"];

/// Whether a top-level name shows that a file is in Microsoft's form.
pub(super) fn is_mark(name: &str) -> bool {
    ["urls", "webpubsub"]
        .iter()
        .any(|mark| name.eq_ignore_ascii_case(mark))
}

/// Collects settings in Microsoft's form.
#[derive(Default)]
pub(super) struct Reader {
    pub layer: Layer,
    pub warnings: BTreeSet<String>,
}

impl Reader {
    /// Takes one value. Unknown names of the emulator's own section are errors when `strict`, else warnings.
    pub(super) fn take(
        &mut self,
        path: &[&str],
        text: String,
        origin: Origin,
        strict: bool,
    ) -> Result<(), ConfigError> {
        let lower: Vec<String> = path.iter().map(|name| name.to_ascii_lowercase()).collect();
        let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
        match lower.as_slice() {
            ["urls"] => self.take_urls(&text, &origin),
            ["webpubsub", "accesskey"] => self.layer.set(&table::ACCESS_KEY, text, origin),
            ["webpubsub", "allowunvalidatedentratokens"] => {
                self.layer
                    .set(&table::ACCEPT_UNVALIDATED_ENTRA_TOKENS, text, origin)
            }
            ["webpubsub", "hubs", _, rest @ ..] if !rest.is_empty() => {
                self.take_of_hub(path, rest, &text, &origin, strict)
            }
            ["webpubsub", name, ..] => {
                let suggestion = did_you_mean(name, SECTION, |name| format!("WebPubSub:{name}"));
                self.unknown(path, &origin, &suggestion, strict)
            }
            // What every ASP.NET Core application has; it changes nothing that could surprise.
            ["logging" | "allowedhosts" | "$schema", ..] | [] => Ok(()),
            [_, ..] => {
                self.warn(
                    &path[..1],
                    &origin,
                    "not a setting of the emulator: ignored",
                );
                Ok(())
            }
        }
    }

    /// Takes an empty list or object.
    pub(super) fn take_empty(&mut self, path: &[&str], origin: &Origin) -> Result<(), ConfigError> {
        let lower: Vec<String> = path.iter().map(|name| name.to_ascii_lowercase()).collect();
        let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
        match lower.as_slice() {
            ["webpubsub", "hubs", hub, "eventhandlers", number, rest @ ..] => {
                self.handler(hub, number, origin)?;
                match rest {
                    ["auth", ..] => Err(ConfigError::new(origin, NO_AUTH)),
                    _ => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    /// Takes one value of a hub; `rest` is what follows the hub's name.
    fn take_of_hub(
        &mut self,
        path: &[&str],
        rest: &[&str],
        text: &str,
        origin: &Origin,
        strict: bool,
    ) -> Result<(), ConfigError> {
        let field = match rest {
            ["eventlisteners", ..] => return Err(ConfigError::new(origin, NO_LISTENERS)),
            ["eventhandlers", _, "auth", ..] => return Err(ConfigError::new(origin, NO_AUTH)),
            ["eventhandlers", _, "urltemplate"] => Field::Url,
            ["eventhandlers", _, "eventpattern"] => Field::UserEvents(None),
            ["eventhandlers", _, "systemevents", item] => {
                Field::SystemEvents(Some(number(item, origin)?))
            }
            ["eventhandlers", _, "systemevents"] => {
                let problem = "expected a list such as `[\"connect\", \"connected\"]`, as variables \
                               `..SystemEvents__0` and so on";
                return Err(ConfigError::new(origin, problem));
            }
            ["eventhandlers"] => {
                return Err(ConfigError::new(
                    origin,
                    "expected a list of event handlers",
                ));
            }
            ["eventhandlers", number, name @ ..] => {
                self.handler(path[2], number, origin)?;
                let name = name.first().copied().unwrap_or_default();
                let suggestion = did_you_mean(name, HANDLER, str::to_owned);
                return self.unknown(path, origin, &suggestion, strict);
            }
            other => {
                let name = other.first().copied().unwrap_or_default();
                let suggestion = did_you_mean(name, HUB, str::to_owned);
                return self.unknown(path, origin, &suggestion, strict);
            }
        };
        self.handler(path[2], rest[1], origin)?
            .set(field, text)
            .map_err(|problem| ConfigError::new(origin, problem))
    }

    fn handler(
        &mut self,
        hub: &str,
        item: &str,
        origin: &Origin,
    ) -> Result<&mut Handler, ConfigError> {
        let number = number(item, origin)?;
        self.layer
            .hubs
            .handler(hub, Form::Microsofts, number, origin)
    }

    fn unknown(
        &mut self,
        path: &[&str],
        origin: &Origin,
        suggestion: &str,
        strict: bool,
    ) -> Result<(), ConfigError> {
        let problem = format!("there is no such setting{suggestion}");
        if strict {
            return Err(ConfigError::new(origin, problem));
        }
        self.warn(path, origin, &format!("{problem}: ignored"));
        Ok(())
    }

    fn warn(&mut self, path: &[&str], origin: &Origin, problem: &str) {
        let place = match origin {
            Origin::File { file, .. } => format!("{file}: `{}`", path.join(":")),
            Origin::Variable(_) => format!("environment variables `{}..`", path.join("__")),
            Origin::Flag(_) => origin.to_string(),
        };
        self.warnings.insert(format!("{place}: {problem}"));
    }

    /// `Urls`: addresses separated by `;`, of which we serve one.
    fn take_urls(&mut self, text: &str, origin: &Origin) -> Result<(), ConfigError> {
        let wrong = |problem: &str| ConfigError::new(origin, problem);
        let mut urls = text.split(';').map(str::trim).filter(|url| !url.is_empty());
        let (Some(url), None) = (urls.next(), urls.next()) else {
            return Err(wrong("expected one URL such as `http://localhost:8080`"));
        };
        let url = Url::parse(url)
            .map_err(|_| wrong("this is not a URL such as `http://localhost:8080`"))?;
        if url.scheme() != "http" {
            return Err(wrong(
                "only `http` is served; put a proxy in front for `https`",
            ));
        }
        if !url.username().is_empty() || url.path() != "/" || url.query().is_some() {
            return Err(wrong("expected only a scheme, a host and a port"));
        }
        let host = match url.host() {
            Some(Host::Domain("*" | "+")) => "0.0.0.0".to_owned(),
            Some(Host::Domain(name)) => name.to_owned(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            None => return Err(wrong("the URL has no host")),
        };
        self.layer.set(&table::HOST, host, origin.clone())?;
        let port = url.port_or_known_default().unwrap_or(80).to_string();
        self.layer.set(&table::PORT, port, origin.clone())
    }
}

/// The number of an item in a list.
fn number(item: &str, origin: &Origin) -> Result<usize, ConfigError> {
    item.parse().map_err(|_| {
        ConfigError::new(
            origin,
            "expected a list: its items have numbers, which start with 0",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::text_of;
    use super::*;

    fn origin() -> Origin {
        Origin::Variable("X".to_owned())
    }

    #[test]
    fn urls_become_host_and_port() {
        for (text, host, port) in [
            ("http://localhost:8090", "localhost", 8090),
            ("http://127.0.0.1", "127.0.0.1", 80),
            ("http://*:8080;", "0.0.0.0", 8080),
            ("http://+:8080", "0.0.0.0", 8080),
            ("http://[::1]:0/", "::1", 0),
        ] {
            let mut reader = Reader::default();
            reader
                .take(&["URLS"], text.to_owned(), origin(), true)
                .unwrap();
            assert_eq!(text_of(&reader.layer, &table::HOST), host, "{text}");
            assert_eq!(
                text_of(&reader.layer, &table::PORT),
                port.to_string(),
                "{text}"
            );
        }
        for text in [
            "",
            "http://a;http://b",
            "https://localhost",
            "localhost:8080",
            "http://u:p@h",
            "http://h/p",
            "http://",
        ] {
            let mut reader = Reader::default();
            let error = reader.take(&["Urls"], text.to_owned(), origin(), true);
            assert!(
                error
                    .unwrap_err()
                    .to_string()
                    .starts_with("environment variable `X`: "),
                "{text}"
            );
        }
    }
}
