//! From method and path to the operation that is called.
//!
//! The path is matched as it was sent, percent-encoded: a name may hold any character, and `%2F`
//! in it must not become a slash that splits it.

use http::Method;
use percent_encoding::percent_decode_str;

use super::generated::{MAX_CAPTURES, OperationId, TEMPLATES};

/// Where a request goes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Route<'p> {
    /// To an operation, with the names in its path.
    Found(OperationId, Captures<'p>),
    /// The path exists, but not for this method. Holds the value of the header `Allow`.
    WrongMethod(&'static str),
    /// There is no such path.
    NotFound,
}

/// The names in a path, in its order, still percent-encoded. None is empty.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Captures<'p>([&'p str; MAX_CAPTURES]);

impl<'p> Captures<'p> {
    /// The name at this place; empty beyond the last one.
    pub(crate) fn at(&self, index: usize) -> &'p str {
        self.0.get(index).copied().unwrap_or_default()
    }
}

/// A path, and what can be done there.
#[derive(Debug)]
pub(super) struct Template {
    pub(super) segments: &'static [Segment],
    pub(super) operations: &'static [(Method, OperationId)],
    pub(super) allow: &'static str,
}

#[derive(Debug)]
pub(super) enum Segment {
    Literal(&'static str),
    Capture,
}

/// Finds the operation for a method and a percent-encoded path without its query.
///
/// Literal parts may be percent-encoded too, so `%3Asend` is `:send`. Empty segments, also those
/// of a trailing or double slash, match nothing. Neither do `.` and `..`: the service resolves
/// them before it routes, so that no name can be one.
pub(crate) fn route<'p>(method: &Method, path: &'p str) -> Route<'p> {
    let Some((template, captures)) = TEMPLATES
        .iter()
        .find_map(|template| Some((template, template.matches(path)?)))
    else {
        return Route::NotFound;
    };
    match template
        .operations
        .iter()
        .find(|(allowed, _)| allowed == method)
    {
        Some(&(_, operation)) => Route::Found(operation, captures),
        None => Route::WrongMethod(template.allow),
    }
}

impl Template {
    fn matches<'p>(&self, path: &'p str) -> Option<Captures<'p>> {
        let mut captures = Captures::default();
        let mut free = captures.0.iter_mut();
        let mut segments = path.strip_prefix('/')?.split('/');
        for expected in self.segments {
            let segment = segments.next()?;
            match expected {
                Segment::Literal(text) => {
                    if !is(segment, text) {
                        return None;
                    }
                }
                Segment::Capture => {
                    if segment.is_empty() || is(segment, ".") || is(segment, "..") {
                        return None;
                    }
                    *free.next()? = segment;
                }
            }
        }
        segments.next().is_none().then_some(captures)
    }
}

/// Whether a percent-encoded segment stands for this text.
fn is(segment: &str, text: &str) -> bool {
    percent_decode_str(segment).eq(text.bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::generated::OPERATIONS, *};

    fn found(method: Method, path: &str) -> (OperationId, Vec<&str>) {
        match route(&method, path) {
            Route::Found(id, captures) => (
                id,
                captures
                    .0
                    .into_iter()
                    .filter(|name| !name.is_empty())
                    .collect(),
            ),
            other => panic!("{method} {path}: {other:?}"),
        }
    }

    #[test]
    fn every_operation_has_its_route() {
        for (index, info) in OPERATIONS.iter().enumerate() {
            let (expected, method, path) = &info.route;
            assert_eq!(*expected as usize, index, "{}", info.name);
            assert!(std::ptr::eq(expected.info(), info), "{}", info.name);
            let path = path.replace(['{', '}'], "~");
            let (id, names) = found(method.clone(), &path);
            assert_eq!(id, *expected);
            let expected: Vec<_> = path
                .split('/')
                .filter(|part| part.starts_with('~'))
                .collect();
            assert_eq!(names, expected, "{path}");
        }
    }

    #[test]
    fn colons_may_be_encoded() {
        for send in [":send", "%3Asend", "%3asend", "%3A%73end"] {
            let path = format!("/api/hubs/chat/{send}");
            assert_eq!(
                found(Method::POST, &path),
                (OperationId::SendToAll, vec!["chat"])
            );
        }
    }

    #[test]
    fn names_stay_as_they_were_sent() {
        let (id, names) = found(
            Method::PUT,
            "/api/hubs/CHAT/users/a%2Fb%20+%zz/groups/%3Asend",
        );
        assert_eq!(id, OperationId::AddUserToGroup);
        assert_eq!(names, ["CHAT", "a%2Fb%20+%zz", "%3Asend"]);
        let (id, names) = found(Method::HEAD, "/api/hubs/chat/users/:send");
        assert_eq!(
            (id, names),
            (OperationId::UserExists, vec!["chat", ":send"])
        );
    }

    #[test]
    fn other_methods_learn_which_are_allowed() {
        for (method, path, allow) in [
            (Method::GET, "/api/health", "HEAD"),
            (Method::GET, "/api/hubs/chat/:send", "POST"),
            (Method::POST, "/api/hubs/chat/users/u", "HEAD"),
            (
                Method::OPTIONS,
                "/api/hubs/chat/connections/c",
                "DELETE, HEAD",
            ),
            (
                Method::POST,
                "/api/hubs/chat/permissions/sendToGroup/connections/c",
                "DELETE, HEAD, PUT",
            ),
        ] {
            assert_eq!(
                route(&method, path),
                Route::WrongMethod(allow),
                "{method} {path}"
            );
        }
    }

    #[test]
    fn other_paths_match_nothing() {
        for path in [
            "",
            "*",
            "/",
            "api/health",
            "/api/health/",
            "//api/health",
            "/api//health",
            "/API/health",
            "/api/hubs",
            "/api/hubs/chat",
            "/api/hubs//:send",
            "/api/hubs/chat/:send/",
            "/api/hubs/chat//:send",
            "/api/hubs/chat/:Send",
            "/api/hubs/chat/:unknown",
            "/api/hubs/chat%2F:send",
            "/api/hubs/chat/users/",
            "/api/hubs/chat/users/.",
            "/api/hubs/chat/users/..",
            "/api/hubs/chat/users/%2E%2e",
            "/api/hubs/chat/users/u/",
            "/api/hubs/chat/groups/a/b",
            "/api/hubs/chat/groups//connections",
        ] {
            assert_eq!(route(&Method::HEAD, path), Route::NotFound, "{path}");
        }
    }

    proptest! {
        #[test]
        fn any_path_is_routed(path in r"(/|api|hubs|users|:send|%|[0-9a-fA-F]|\PC){0,40}") {
            for method in [Method::GET, Method::HEAD, Method::POST] {
                if let Route::Found(_, captures) = route(&method, &path) {
                    prop_assert!(captures.0.iter().all(|name| !name.contains('/')));
                }
            }
        }
    }
}
