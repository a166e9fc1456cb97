//! Deciding whether a request is for the handler of a hub.

use std::borrow::Cow;

use axum::extract::OriginalUri;
use http::{HeaderMap, Method, request::Parts};
use webpubsub_protocol::cloud_event::EventType;

use crate::{
    header::{self, names},
    rejection::NotOurs,
};

/// What a request asks the handler of a hub to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// To say whether it accepts events.
    Preflight,
    /// To handle an event.
    Event(EventType),
}

/// The path that a handler listens on. It covers everything below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Prefix {
    spelled: String,
    lower_case: String,
}

impl Prefix {
    /// Case and a trailing slash make no difference.
    pub(crate) fn new(path: &str) -> Self {
        let spelled = with_slash(path);
        let lower_case = spelled.to_lowercase();
        Self {
            spelled,
            lower_case,
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.lower_case
    }

    /// The covered paths as axum routes, as far as possible: a route has only one spelling.
    pub(crate) fn routes(&self) -> impl Iterator<Item = String> {
        [&self.spelled, &self.lower_case]
            .into_iter()
            .flat_map(|path| {
                let path = path.replace('{', "{{").replace('}', "}}");
                let bare = path.trim_end_matches('/').to_owned();
                let below = format!("{path}{{*below}}");
                [bare, path, below]
                    .into_iter()
                    .filter(|route| !route.is_empty())
            })
    }

    fn covers(&self, path: &str) -> bool {
        let is_lower_case = |byte: u8| byte.is_ascii() && !byte.is_ascii_uppercase();
        let path = match path.bytes().all(is_lower_case) {
            true => Cow::Borrowed(path),
            false => Cow::Owned(path.to_lowercase()),
        };
        path.starts_with(&self.lower_case)
            || self.lower_case.strip_suffix('/') == Some(path.as_ref())
    }
}

/// Whether the request has the header that only the service sends. This check is very cheap.
pub(crate) fn may_be_ours(headers: &HeaderMap) -> bool {
    headers.contains_key(&names::CE_AWPS_VERSION)
}

/// Makes the decisions in the same order as the official handler, which passes on requests that it does not know.
pub(crate) fn task(prefix: &Prefix, hub: &str, parts: &Parts) -> Result<Task, NotOurs> {
    let nested_in = parts.extensions.get::<OriginalUri>();
    let full_path = nested_in.map_or(parts.uri.path(), |OriginalUri(uri)| uri.path());
    if !prefix.covers(full_path) && !prefix.covers(parts.uri.path()) {
        return Err(NotOurs::Path);
    }
    let is_preflight = parts.method == Method::OPTIONS;
    if !is_preflight && parts.method != Method::POST {
        return Err(NotOurs::Method);
    }
    if !may_be_ours(&parts.headers) {
        return Err(NotOurs::NotWebPubSub);
    }
    match is_preflight {
        true => Ok(Task::Preflight),
        false => event(hub, &parts.headers).map(Task::Event),
    }
}

fn event(hub: &str, headers: &HeaderMap) -> Result<EventType, NotOurs> {
    if !headers.contains_key(&names::WEBHOOK_REQUEST_ORIGIN) {
        return Err(NotOurs::Origin);
    }
    let ce_type = header::joined(headers, &names::CE_TYPE);
    let event = ce_type.and_then(|ce_type| EventType::from_ce_type(&ce_type));
    let event = event.ok_or(NotOurs::EventType)?;
    match header::joined(headers, &names::CE_HUB) {
        Some(found) if found.eq_ignore_ascii_case(hub) => Ok(event),
        _ => Err(NotOurs::Hub),
    }
}

fn with_slash(path: &str) -> String {
    match path.ends_with('/') {
        true => path.to_owned(),
        false => format!("{path}/"),
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn parts(method: &str, path: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    const EVENT: [(&str, &str); 4] = [
        ("ce-awpsversion", "1.0"),
        ("webhook-request-origin", "x"),
        ("ce-type", "azure.webpubsub.sys.connect"),
        ("ce-hub", "Chat"),
    ];

    #[test]
    fn paths_match_by_prefix_without_case_and_with_or_without_slash() {
        let prefix = Prefix::new("/Hooks/chat");
        for path in [
            "/hooks/chat",
            "/HOOKS/Chat/",
            "/hooks/chat/connect",
            "/hooks/chat?a=b",
        ] {
            let found = task(&prefix, "chat", &parts("POST", path, &EVENT));
            assert_eq!(found, Ok(Task::Event(EventType::Connect)), "{path}");
        }
        for path in [
            "/hooks/chats",
            "/hooks",
            "/",
            "/x/hooks/chat",
            "/hooks//chat",
        ] {
            let found = task(&prefix, "chat", &parts("POST", path, &EVENT));
            assert_eq!(found, Err(NotOurs::Path), "{path}");
        }
    }

    #[test]
    fn each_missing_piece_is_named() {
        let prefix = Prefix::new("/");
        for (missing, reason) in [
            ("ce-awpsversion", NotOurs::NotWebPubSub),
            ("webhook-request-origin", NotOurs::Origin),
            ("ce-type", NotOurs::EventType),
            ("ce-hub", NotOurs::Hub),
        ] {
            let headers: Vec<_> = EVENT
                .into_iter()
                .filter(|(name, _)| *name != missing)
                .collect();
            assert_eq!(
                task(&prefix, "chat", &parts("POST", "/", &headers)),
                Err(reason)
            );
        }
        assert_eq!(
            task(&prefix, "other", &parts("POST", "/", &EVENT)),
            Err(NotOurs::Hub)
        );
        assert_eq!(
            task(&prefix, "chat", &parts("PUT", "/", &EVENT)),
            Err(NotOurs::Method)
        );
        let preflight = task(&prefix, "chat", &parts("OPTIONS", "/", &EVENT[..1]));
        assert_eq!(preflight, Ok(Task::Preflight));
    }

    #[test]
    fn a_nested_request_matches_by_either_path() {
        let mut nested = parts("POST", "/chat", &EVENT);
        let original = "/hooks/chat".parse().unwrap();
        nested.extensions.insert(OriginalUri(original));
        for path in ["/hooks/chat", "/chat"] {
            assert!(task(&Prefix::new(path), "chat", &nested).is_ok(), "{path}");
        }
        assert_eq!(
            task(&Prefix::new("/hooks/x"), "chat", &nested),
            Err(NotOurs::Path)
        );
    }
}
