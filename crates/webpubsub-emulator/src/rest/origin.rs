//! The names by which the caller of a request knows the emulator.

use http::request::Parts;
use http::{Uri, header};
use url::Url;

/// Where a request was sent, and the other names of the emulator.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin<'a> {
    /// The `Host` header with its port, or the authority of an absolute request line.
    host: Option<&'a str>,
    public_endpoints: &'a [Url],
}

impl<'a> Origin<'a> {
    pub(super) fn of(request: &'a Parts, public_endpoints: &'a [Url]) -> Self {
        let header = request
            .headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok());
        let authority = request.uri.authority().map(|authority| authority.as_str());
        Self {
            host: authority.or(header).filter(|host| !host.is_empty()),
            public_endpoints,
        }
    }

    /// What may stand between scheme and path in the audience of a token: the host of the request
    /// first, then the public endpoints, with their paths.
    pub(super) fn audience_hosts(&self) -> Vec<String> {
        let own = self.host.map(str::to_owned);
        own.into_iter()
            .chain(self.public_endpoints.iter().map(host_and_path))
            .collect()
    }

    /// The endpoint that the caller uses, for what is handed back to it. A public endpoint when the
    /// request went to its host, so that links keep its scheme and path.
    pub(super) fn endpoint(&self) -> Url {
        let public = self.host.and_then(|host| {
            let is_it = |url: &&Url| authority(url).is_some_and(|a| a.eq_ignore_ascii_case(host));
            self.public_endpoints.iter().find(is_it)
        });
        let own = || {
            let host: Uri = self.host?.parse().ok()?;
            Url::parse(&format!("http://{}/", host.authority()?.as_str())).ok()
        };
        public
            .cloned()
            .or_else(own)
            .or_else(|| self.public_endpoints.first().cloned())
            .unwrap_or_else(|| Url::parse("http://localhost/").expect("a valid URL"))
    }
}

fn host_and_path(url: &Url) -> String {
    let path = url.path().trim_end_matches('/');
    format!("{}{path}", authority(url).unwrap_or_default())
}

/// Host and port as in a `Host` header: the scheme's own port is left out.
fn authority(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    Some(
        url.port()
            .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")),
    )
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn endpoints() -> Vec<Url> {
        ["https://gateway.example/pubsub/", "http://proxy:9000"]
            .map(|url| url.parse().unwrap())
            .into()
    }

    fn parts(uri: &str, host: Option<&str>) -> Parts {
        let mut request = Request::get(uri);
        if let Some(host) = host {
            request = request.header("host", host);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn audiences_name_the_host_of_the_request_and_every_public_endpoint() {
        let public = endpoints();
        let request = parts("/api/health", Some("localhost:8080"));
        assert_eq!(
            Origin::of(&request, &public).audience_hosts(),
            ["localhost:8080", "gateway.example/pubsub", "proxy:9000"]
        );
        let nameless = parts("/api/health", None);
        assert_eq!(Origin::of(&nameless, &[]).audience_hosts(), [""; 0]);
    }

    #[test]
    fn the_endpoint_is_the_one_that_the_caller_used() {
        let public = endpoints();
        for (uri, host, endpoint) in [
            ("/", Some("localhost:8080"), "http://localhost:8080/"),
            ("/", Some("[::1]:8080"), "http://[::1]:8080/"),
            (
                "/",
                Some("GATEWAY.example"),
                "https://gateway.example/pubsub/",
            ),
            ("/", Some("proxy:9000"), "http://proxy:9000/"),
            ("/", Some("proxy"), "http://proxy/"),
            ("http://absolute:1/", Some("other"), "http://absolute:1/"),
            ("/", Some("a b"), "https://gateway.example/pubsub/"),
            ("/", None, "https://gateway.example/pubsub/"),
        ] {
            let request = parts(uri, host);
            assert_eq!(
                Origin::of(&request, &public).endpoint().as_str(),
                endpoint,
                "{host:?}"
            );
        }
        assert_eq!(
            Origin::of(&parts("/", None), &[]).endpoint().as_str(),
            "http://localhost/"
        );
    }
}
