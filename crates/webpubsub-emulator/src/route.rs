//! From method and path to the operation that is called, in the REST API and in the admin API.
//!
//! The path is matched as it was sent, percent-encoded: a name may hold any character, and `%2F`
//! in it must not become a slash that splits it.

use http::Method;
use percent_encoding::percent_decode_str;

/// A row of a table of operations.
pub(crate) trait Routed {
    fn method(&self) -> &Method;

    /// The path with its parameters in braces.
    fn path(&self) -> &'static str;
}

/// Where a request goes.
#[derive(Debug)]
pub(crate) enum Route<'p, O: 'static> {
    /// To an operation, with the names in its path.
    Found(&'static O, Captures<'p>),
    /// The path exists, but not for this method. Holds the value of the header `Allow`.
    WrongMethod(String),
    /// There is no such path.
    NotFound,
}

/// The names in a path, still percent-encoded. None is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Captures<'p> {
    template: &'static str,
    path: &'p str,
}

impl<'p> Captures<'p> {
    /// The name that stands at this place of the template.
    pub(crate) fn get(&self, name: &str) -> &'p str {
        let segments = self.template.split('/').zip(self.path.split('/'));
        let mut captured = segments.filter(|(expected, _)| captured(expected) == Some(name));
        captured.next().map_or("", |(_, segment)| segment)
    }
}

/// Finds the operation for a method and a percent-encoded path without its query.
///
/// Literal parts may be percent-encoded too, so `%3Asend` is `:send`. One slash at the end is
/// ignored; other empty segments match nothing. Neither do `.` and `..`: the service resolves
/// them before it routes, so that no name can be one.
pub(crate) fn route<'p, O: Routed>(
    operations: &'static [O],
    method: &Method,
    path: &'p str,
) -> Route<'p, O> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let mut allowed = Vec::new();
    for operation in operations {
        let template = operation.path();
        if !matches(template, path) {
            continue;
        }
        if operation.method() == method {
            return Route::Found(operation, Captures { template, path });
        }
        allowed.push(operation.method().as_str());
    }
    if allowed.is_empty() {
        return Route::NotFound;
    }
    allowed.sort_unstable();
    Route::WrongMethod(allowed.join(", "))
}

fn matches(template: &str, path: &str) -> bool {
    let mut segments = path.split('/');
    let fits = template.split('/').all(|expected| {
        segments
            .next()
            .is_some_and(|segment| match captured(expected) {
                Some(_) => !segment.is_empty() && !is(segment, ".") && !is(segment, ".."),
                None => is(segment, expected),
            })
    });
    fits && segments.next().is_none()
}

/// The name in braces, if a segment of a template is one.
fn captured(segment: &str) -> Option<&str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

/// Whether a percent-encoded segment stands for this text.
fn is(segment: &str, text: &str) -> bool {
    percent_decode_str(segment).eq(text.bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rest::{OPERATIONS, Operation, OperationId};

    fn route<'p>(method: &Method, path: &'p str) -> Route<'p, Operation> {
        super::route(OPERATIONS, method, path)
    }

    fn found(method: Method, path: &str) -> (OperationId, Vec<&str>) {
        match route(&method, path) {
            Route::Found(operation, captures) => {
                let names = operation.path.split('/').filter_map(captured);
                (operation.id, names.map(|name| captures.get(name)).collect())
            }
            other => panic!("{method} {path}: {other:?}"),
        }
    }

    #[test]
    fn every_operation_has_its_route() {
        for (index, operation) in OPERATIONS.iter().enumerate() {
            assert_eq!(operation.id as usize, index, "{}", operation.name);
            let path = operation.path.replace(['{', '}'], "~");
            for path in [path.clone(), format!("{path}/")] {
                let (id, names) = found(operation.method.clone(), &path);
                assert_eq!(id, operation.id);
                let expected: Vec<_> = path
                    .split('/')
                    .filter(|part| part.starts_with('~'))
                    .collect();
                assert_eq!(names, expected, "{path}");
            }
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
            match route(&method, path) {
                Route::WrongMethod(methods) => assert_eq!(methods, allow, "{method} {path}"),
                other => panic!("{method} {path}: {other:?}"),
            }
        }
    }

    #[test]
    fn other_paths_match_nothing() {
        for path in [
            "",
            "*",
            "/",
            "api/health",
            "/api/health//",
            "//api/health",
            "/api//health",
            "/API/health",
            "/api/hubs",
            "/api/hubs/chat",
            "/api/hubs//:send",
            "/api/hubs/chat/:send//",
            "/api/hubs/chat//:send",
            "/api/hubs/chat/:Send",
            "/api/hubs/chat/:unknown",
            "/api/hubs/chat%2F:send",
            "/api/hubs/chat/users/",
            "/api/hubs/chat/users/.",
            "/api/hubs/chat/users/..",
            "/api/hubs/chat/users/%2E%2e",
            "/api/hubs/chat/users/u//",
            "/api/hubs/chat/groups/a/b",
            "/api/hubs/chat/groups//connections",
        ] {
            let found = route(&Method::HEAD, path);
            assert!(matches!(found, Route::NotFound), "{path}: {found:?}");
        }
    }

    proptest! {
        #[test]
        fn any_path_is_routed(path in r"(/|api|hubs|users|:send|%|[0-9a-fA-F]|\PC){0,40}") {
            for method in [Method::GET, Method::HEAD, Method::POST] {
                if let Route::Found(operation, captures) = route(&method, &path) {
                    for name in operation.path.split('/').filter_map(captured) {
                        prop_assert!(!captures.get(name).is_empty());
                        prop_assert!(!captures.get(name).contains('/'));
                    }
                }
            }
        }
    }
}
