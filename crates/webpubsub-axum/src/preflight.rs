//! Abuse protection: the service asks whether it may send events, before it sends the first one.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue};
use webpubsub_protocol::{
    access::{ConnectionStringError, parse_endpoint},
    cloud_event::header as names,
};

use crate::rejection::{HeaderProblem, HeaderRejection};

/// The hosts that a handler accepts events from. The service compares them with its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AllowedOrigins(Vec<HeaderValue>);

impl Default for AllowedOrigins {
    fn default() -> Self {
        Self(vec![HeaderValue::from_static("*")])
    }
}

impl AllowedOrigins {
    /// Accepts no host until endpoints are added.
    pub(crate) fn none() -> Self {
        Self(Vec::new())
    }

    /// Adds the host of an endpoint. The service identifies itself without a port, so an endpoint with a port also allows
    /// the host alone.
    pub(crate) fn add(&mut self, endpoint: &str) -> Result<(), ConnectionStringError> {
        let url = parse_endpoint(endpoint)?;
        let host = url.host_str().unwrap_or_default().to_owned();
        if let Some(port) = url.port() {
            self.add_host(format!("{host}:{port}"));
        }
        self.add_host(host);
        Ok(())
    }

    fn add_host(&mut self, host: String) {
        // Other characters were turned into punycode, or refused.
        let line = HeaderValue::try_from(host).expect("the host of a URL is visible ASCII");
        if !self.0.contains(&line) {
            self.0.push(line);
        }
    }

    /// The response to a preflight request with these headers.
    pub(crate) fn answer(&self, headers: &HeaderMap) -> Response {
        let name = names::WEBHOOK_REQUEST_ORIGIN;
        if !headers.contains_key(name) {
            let problem = HeaderProblem::Missing;
            return HeaderRejection { name, problem }.into_response();
        }
        let mut response = Response::new(Body::empty());
        for line in &self.0 {
            response
                .headers_mut()
                .append(names::WEBHOOK_ALLOWED_ORIGIN, line.clone());
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_become_hosts_with_and_without_port() {
        let mut allowed = AllowedOrigins::none();
        for endpoint in [
            "https://Contoso.webpubsub.azure.com/x",
            "http://localhost:8080",
            "localhost",
        ] {
            allowed.add(endpoint).unwrap();
        }
        assert_eq!(
            allowed.0,
            ["contoso.webpubsub.azure.com", "localhost:8080", "localhost"]
        );
        assert!(allowed.add("ftp://a").is_err());
    }
}
