//! What all operations have in common. The path and query of a request are written here, exactly as the official
//! `@azure/web-pubsub` package writes them. The same text is sent and signed.

use std::fmt::Write as _;

use azure_core::http::Method;
use percent_encoding::{AsciiSet, utf8_percent_encode};
use webpubsub_protocol::uri::COMPONENT;

use crate::invalid_input::InvalidInput;

/// An operation of the REST API with its parameters.
pub(crate) trait Operation {
    const METHOD: Method;
    /// The statuses that count as success: one, and for an existence check also the one that means "no".
    const SUCCESS: &'static [u16];
    /// The `Accept` header; `None` if the response never has a body.
    const ACCEPT: Option<&'static str>;

    /// Writes path and query.
    ///
    /// # Errors
    ///
    /// If a name cannot be part of a path. The error names the parameter.
    fn write_target(&self, target: &mut Target) -> azure_core::Result<()>;

    /// Path and query, `/api/...?api-version=...`, to be resolved against an endpoint.
    ///
    /// # Errors
    ///
    /// If a name cannot be part of a path. The error names the parameter.
    fn target(&self, api_version: &str) -> azure_core::Result<String> {
        let mut target = Target::new(api_version);
        self.write_target(&mut target)?;
        Ok(target.text)
    }
}

/// Includes the apostrophe: URL parsers encode it in the query of `http` URLs.
const QUERY: &AsciiSet = &COMPONENT.add(b'\'');

/// Writer of a path and query.
#[derive(Debug)]
pub(crate) struct Target {
    text: String,
    api_version: String,
    in_query: bool,
}

impl Target {
    fn new(api_version: &str) -> Self {
        Self {
            text: String::with_capacity(128),
            api_version: api_version.to_owned(),
            in_query: false,
        }
    }

    /// Appends a part of the path that is the same in every call.
    pub(crate) fn literal(&mut self, text: &'static str) {
        self.text.push_str(text);
    }

    /// Appends a name as one segment of the path.
    ///
    /// # Errors
    ///
    /// If the name is empty, `.` or `..`: URL parsers would drop it, and the request would call another operation.
    pub(crate) fn segment(
        &mut self,
        parameter: &'static str,
        name: &str,
    ) -> azure_core::Result<()> {
        if matches!(name, "" | "." | "..") {
            return Err(InvalidInput::PathSegment(parameter).into());
        }
        self.text.extend(utf8_percent_encode(name, COMPONENT));
        Ok(())
    }

    /// Appends the version of the API to the query.
    pub(crate) fn api_version(&mut self) {
        let version = std::mem::take(&mut self.api_version);
        self.text("api-version", Some(&version));
        self.api_version = version;
    }

    /// Appends a parameter to the query, also when it is empty, but not when it is absent.
    pub(crate) fn text(&mut self, name: &'static str, value: Option<&str>) {
        if let Some(value) = value {
            self.name(name);
            self.text.extend(utf8_percent_encode(value, QUERY));
        }
    }

    /// Appends a parameter to the query once for each value, in their order.
    pub(crate) fn list(&mut self, name: &'static str, values: &[String]) {
        for value in values {
            self.text(name, Some(value));
        }
    }

    /// Appends a number to the query, unless it is absent.
    pub(crate) fn number(&mut self, name: &'static str, value: Option<u32>) {
        if let Some(value) = value {
            self.name(name);
            write!(self.text, "{value}").expect("writing to a string does not fail");
        }
    }

    fn name(&mut self, name: &'static str) {
        self.text.push(if self.in_query { '&' } else { '?' });
        self.in_query = true;
        self.text.push_str(name);
        self.text.push('=');
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::Value;

    use super::*;
    use crate::generated::{
        operations::{API_VERSION, SendToAll, UserExists},
        vectors,
    };

    /// Parameters of any operation, under the names that they travel under.
    #[derive(Debug)]
    pub(crate) struct Given(Value);

    impl Given {
        pub(crate) fn text(&self, name: &str) -> Option<&str> {
            self.0.get(name).map(|value| value.as_str().expect(name))
        }

        pub(crate) fn texts(&self, name: &str) -> Vec<String> {
            let values = self.0.get(name).map(|value| value.as_array().expect(name));
            values
                .into_iter()
                .flatten()
                .map(|v| v.as_str().expect(name).to_owned())
                .collect()
        }

        pub(crate) fn number(&self, name: &str) -> Option<u32> {
            self.0
                .get(name)
                .map(|value| value.as_u64().and_then(|n| n.try_into().ok()).expect(name))
        }
    }

    fn user(name: &str) -> azure_core::Result<String> {
        UserExists {
            hub: "chat",
            user_id: name,
        }
        .target(API_VERSION)
    }

    /// Recorded request lines of the official package, for every operation.
    #[test]
    fn request_lines_are_those_of_the_official_package() {
        let vectors = include_str!("../tests/vectors/rest-targets.json");
        let vectors: Value = serde_json::from_str(vectors).unwrap();
        let vectors = vectors["vectors"].as_array().unwrap();
        assert!(vectors.len() > 100, "{}", vectors.len());
        for vector in vectors {
            let id = vector["operation"].as_str().unwrap();
            let target = vectors::target(id, &Given(vector["parameters"].clone())).unwrap();
            assert_eq!(target, vector["target"].as_str().unwrap(), "{vector}");
        }
    }

    /// As `encodeURIComponent` does it; `'` differs between path and query.
    #[test]
    fn names_are_escaped_like_the_official_package() {
        for (character, in_path, in_query) in [
            (" ", "%20", "%20"),
            ("/", "%2F", "%2F"),
            ("%", "%25", "%25"),
            ("+", "%2B", "%2B"),
            ("?", "%3F", "%3F"),
            ("#", "%23", "%23"),
            ("@", "%40", "%40"),
            (":", "%3A", "%3A"),
            ("!", "!", "!"),
            ("*", "*", "*"),
            ("(", "(", "("),
            (")", ")", ")"),
            ("'", "'", "%27"),
            ("\"", "%22", "%22"),
            ("~", "~", "~"),
            (",", "%2C", "%2C"),
            (";", "%3B", "%3B"),
            ("=", "%3D", "%3D"),
            ("&", "%26", "%26"),
            ("$", "%24", "%24"),
            ("[", "%5B", "%5B"),
            ("]", "%5D", "%5D"),
            ("<", "%3C", "%3C"),
            ("{", "%7B", "%7B"),
            ("|", "%7C", "%7C"),
            ("\\", "%5C", "%5C"),
            ("^", "%5E", "%5E"),
            ("`", "%60", "%60"),
            ("-_", "-_", "-_"),
            ("...", "...", "..."),
            ("a/../b", "a%2F..%2Fb", "a%2F..%2Fb"),
            ("%2F", "%252F", "%252F"),
            (":send", "%3Asend", "%3Asend"),
            ("\0", "%00", "%00"),
            ("\n", "%0A", "%0A"),
            ("\u{7f}", "%7F", "%7F"),
            ("é", "%C3%A9", "%C3%A9"),
            ("漢", "%E6%BC%A2", "%E6%BC%A2"),
            ("😀", "%F0%9F%98%80", "%F0%9F%98%80"),
        ] {
            let expected = format!("/api/hubs/chat/users/{in_path}?api-version=2024-12-01");
            assert_eq!(user(character).unwrap(), expected, "{character:?}");
            let send = SendToAll {
                hub: "chat",
                excluded: &[],
                filter: Some(character),
                message_ttl_seconds: None,
            };
            let expected = format!("/api/hubs/chat/:send?api-version=2024-12-01&filter={in_query}");
            assert_eq!(send.target(API_VERSION).unwrap(), expected, "{character:?}");
        }
    }

    /// What is written is what is sent: a URL parser changes nothing in it.
    #[test]
    fn url_parsers_leave_targets_alone() {
        let all: String = (0..=0xff_u8)
            .map(char::from)
            .chain("漢😀".chars())
            .collect();
        let send = SendToAll {
            hub: &all,
            excluded: std::slice::from_ref(&all),
            filter: Some(&all),
            message_ttl_seconds: Some(1),
        };
        let target = send.target(API_VERSION).unwrap();
        let url = url::Url::parse(&format!("https://host{target}")).unwrap();
        assert_eq!(&url[url::Position::BeforePath..], target);
    }

    #[test]
    fn names_that_would_change_the_operation_are_refused() {
        for name in ["", ".", ".."] {
            let error = user(name).unwrap_err().to_string();
            assert!(error.contains("`userId`"), "{name:?}: {error}");
        }
        for name in ["...", "%2e", "%2E%2e", ". ", "./", "/."] {
            let target = user(name).unwrap();
            let url = url::Url::parse(&format!("https://host{target}")).unwrap();
            assert_eq!(&url[url::Position::BeforePath..], target, "{name:?}");
        }
    }

    #[test]
    fn the_version_is_the_callers() {
        let target = UserExists {
            hub: "chat",
            user_id: "u",
        }
        .target("2023-07-01")
        .unwrap();
        assert_eq!(target, "/api/hubs/chat/users/u?api-version=2023-07-01");
    }
}
