//! Names of Microsoft's emulator, in its `appsettings.json` and as variables with `__`. Compared without case, as .NET
//! does.

use std::collections::BTreeSet;

use url::{Host, Url};

use super::{
    error::{ConfigError, did_you_mean},
    setting::{Key, Layer, Origin},
};

const SECTION: [&str; 3] = ["AccessKey", "AllowUnvalidatedEntraTokens", "Hubs"];

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
            ["webpubsub", "accesskey"] => self.layer.set(Key::AccessKey, text, origin),
            ["webpubsub", "allowunvalidatedentratokens"] => {
                self.layer
                    .set(Key::AcceptUnvalidatedEntraTokens, text, origin)
            }
            [
                "webpubsub",
                "hubs",
                _,
                kind @ ("eventhandlers" | "eventlisteners"),
                ..,
            ] => {
                let what = match *kind {
                    "eventhandlers" => "event handlers",
                    _ => "event listeners",
                };
                self.warn(
                    &path[..4],
                    &origin,
                    &format!("{what} are not supported in this version: ignored"),
                );
                Ok(())
            }
            ["webpubsub", name, ..] => {
                let suggestion = did_you_mean(name, SECTION, |name| format!("WebPubSub:{name}"));
                let problem = format!("there is no such setting{suggestion}");
                if strict {
                    return Err(ConfigError::new(origin, problem));
                }
                self.warn(path, &origin, &format!("{problem}: ignored"));
                Ok(())
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
        self.layer.set(Key::Host, host, origin.clone())?;
        let port = url.port_or_known_default().unwrap_or(80).to_string();
        self.layer.set(Key::Port, port, origin.clone())
    }
}

#[cfg(test)]
mod tests {
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
            assert_eq!(reader.layer.host.unwrap().value, host, "{text}");
            assert_eq!(reader.layer.port.unwrap().value, port, "{text}");
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
