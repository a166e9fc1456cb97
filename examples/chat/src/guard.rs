//! Restricts who may call the server, and what browsers may do with its responses.
//!
//! The server listens on loopback, where every page that the user has open can reach it. What it
//! hands out is worth protecting (a token, an announcement in a room), so it answers only to its
//! own page: by name, so that a page which rebinds its own name to 127.0.0.1 gets nothing, and by
//! origin, so that no page can post in the user's name.

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use url::{Host, Url};

use crate::refusal::Refusal;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// Refuses requests that do not come from our page, and adds security headers to every response.
pub(crate) async fn guard(
    State(content_security_policy): State<HeaderValue>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = match check(request.method(), request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, content_security_policy);
    for (name, value) in [
        // Tokens must not end up in a cache, and the page changes with each build.
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (RESOURCE_POLICY, "same-origin"),
        (OPENER_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// The policy for the page: its own files, its own server, and the service's WebSocket.
///
/// Trusted Types make the browser refuse what the page never does, parsing strings as markup.
pub(crate) fn content_security_policy(service: &Url) -> HeaderValue {
    let scheme = if service.scheme() == "https" {
        "wss"
    } else {
        "ws"
    };
    let socket = match (service.host(), service.port()) {
        (Some(host @ (Host::Domain(_) | Host::Ipv4(_))), Some(port)) => {
            format!("{scheme}://{host}:{port}")
        }
        (Some(host @ (Host::Domain(_) | Host::Ipv4(_))), None) => format!("{scheme}://{host}"),
        // The policy's grammar has no IPv6 addresses, so only the scheme can be named.
        _ => format!("{scheme}:"),
    };
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
         connect-src 'self' {socket}; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    );
    HeaderValue::try_from(policy).expect("a parsed URL's host is visible ASCII")
}

fn check(method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
    let host = own_host(uri, headers)?;
    if matches!(*method, Method::GET | Method::HEAD) {
        return Ok(());
    }
    // Browsers send both with every POST; other programs are no confused deputies.
    if let Some(origin) = headers.get(header::ORIGIN)
        && !origin
            .as_bytes()
            .eq_ignore_ascii_case(format!("http://{host}").as_bytes())
    {
        return Err(Refusal::foreign_page());
    }
    if let Some(site) = headers.get(SEC_FETCH_SITE)
        && site != "same-origin"
    {
        return Err(Refusal::foreign_page());
    }
    Ok(())
}

/// The host that the request was made to, if it is this machine under one of its own names.
fn own_host<'a>(uri: &Uri, headers: &'a HeaderMap) -> Result<&'a str, Refusal> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return Err(Refusal::new(
            StatusCode::BAD_REQUEST,
            "The request needs exactly one Host header.",
        ));
    };
    let host = host.to_str().unwrap_or_default();
    let named = uri
        .authority()
        .is_none_or(|authority| authority.as_str().eq_ignore_ascii_case(host));
    if named && is_loopback_name(host) {
        return Ok(host);
    }
    Err(Refusal::new(
        StatusCode::MISDIRECTED_REQUEST,
        "This server answers to localhost, 127.0.0.1 and [::1] only.",
    ))
}

fn is_loopback_name(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else {
        return false;
    };
    let known = ["localhost", "127.0.0.1", "[::1]"]
        .iter()
        .any(|name| authority.host().eq_ignore_ascii_case(name));
    known && !host.contains('@')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(
        method: Method,
        uri: &str,
        headers: &[(&'static str, &'static str)],
    ) -> Option<StatusCode> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        check(&method, &uri.parse().expect("a URI"), &map)
            .err()
            .map(|refusal| refusal.status())
    }

    #[test]
    fn only_this_machines_own_names_are_served() {
        for host in [
            "localhost",
            "LOCALHOST:3000",
            "127.0.0.1",
            "127.0.0.1:3000",
            "[::1]:3000",
            "[::1]",
        ] {
            assert_eq!(status(Method::GET, "/", &[("host", host)]), None, "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:3000",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "localhost.",
            "evil@localhost",
            "127.0.0.2",
            "0.0.0.0",
            "[::]",
            "2130706433",
            "::1",
            "",
        ] {
            assert_eq!(
                status(Method::GET, "/", &[("host", host)]),
                Some(StatusCode::MISDIRECTED_REQUEST),
                "{host}"
            );
        }
    }

    #[test]
    fn one_host_is_needed_and_the_request_line_must_not_name_another() {
        assert_eq!(status(Method::GET, "/", &[]), Some(StatusCode::BAD_REQUEST));
        let twice = [("host", "localhost"), ("host", "evil.example")];
        assert_eq!(
            status(Method::GET, "/", &twice),
            Some(StatusCode::BAD_REQUEST)
        );
        let host = [("host", "localhost:3000")];
        assert_eq!(status(Method::GET, "http://localhost:3000/", &host), None);
        assert_eq!(
            status(Method::GET, "http://evil.example/", &host),
            Some(StatusCode::MISDIRECTED_REQUEST)
        );
    }

    #[test]
    fn posts_come_from_our_own_page() {
        let own = "http://127.0.0.1:3000";
        let post = |headers: &[(&'static str, &'static str)]| {
            let host = [("host", "127.0.0.1:3000")];
            status(Method::POST, "/negotiate", &[&host, headers].concat())
        };
        assert_eq!(post(&[]), None);
        assert_eq!(
            post(&[("origin", own), ("sec-fetch-site", "same-origin")]),
            None
        );
        for origin in [
            "null",
            "http://evil.example",
            "https://127.0.0.1:3000",
            "http://127.0.0.1:3001",
            "http://localhost:3000",
            "http://127.0.0.1",
        ] {
            assert_eq!(
                post(&[("origin", origin)]),
                Some(StatusCode::FORBIDDEN),
                "{origin}"
            );
        }
        for site in ["cross-site", "same-site", "none"] {
            assert_eq!(
                post(&[("origin", own), ("sec-fetch-site", site)]),
                Some(StatusCode::FORBIDDEN),
                "{site}"
            );
        }
    }

    #[test]
    fn links_from_other_sites_still_open_the_page() {
        let link = [("host", "localhost:3000"), ("sec-fetch-site", "cross-site")];
        assert_eq!(status(Method::GET, "/", &link), None);
    }

    #[test]
    fn the_policy_names_the_services_socket() {
        for (endpoint, socket) in [
            (
                "http://127.0.0.1:8080/",
                "connect-src 'self' ws://127.0.0.1:8080;",
            ),
            (
                "https://demo.webpubsub.azure.com/",
                "connect-src 'self' wss://demo.webpubsub.azure.com;",
            ),
            ("http://[::1]:8080/", "connect-src 'self' ws:;"),
        ] {
            let policy = content_security_policy(&endpoint.parse().expect("a URL"));
            assert!(
                policy.to_str().expect("ASCII").contains(socket),
                "{policy:?}"
            );
        }
    }
}
