//! Requests as the service makes them, and answers as it reads them.

use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;
use webpubsub_axum::{MissingKeys, WebPubSubEventHandler, WebPubSubEventHandlerBuilder};
use webpubsub_protocol::{access::AccessKey, cloud_event::signature};

pub(crate) const KEY: &str = "primary-access-key";
pub(crate) const CONNECTION: &str = "conn-0001";
pub(crate) const PATH: &str = "/api/webpubsub/hubs/chat/";

/// A request that is changed before it is sent.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Bytes,
}

/// An event of this `ce-type`, with the headers of every event.
pub(crate) fn event(ce_type: &str, body: impl Into<Bytes>) -> Call {
    let name = ce_type.rsplit('.').next().unwrap_or_default();
    Call {
        method: "POST",
        path: PATH.to_owned(),
        headers: Vec::new(),
        body: body.into(),
    }
    .with("content-type", "application/json")
    .with("webhook-request-origin", "contoso.webpubsub.azure.com")
    .with("ce-awpsversion", "1.0")
    .with("ce-specversion", "1.0")
    .with("ce-type", ce_type)
    .with("ce-source", "/hubs/chat/client/conn-0001")
    .with("ce-id", "1")
    .with("ce-time", "2026-01-01T00:00:00Z")
    .with(
        "ce-signature",
        signature::sign(&[AccessKey::new(KEY)], CONNECTION),
    )
    .with("ce-connectionid", CONNECTION)
    .with("ce-hub", "chat")
    .with("ce-eventname", name)
}

pub(crate) fn connect() -> Call {
    event("azure.webpubsub.sys.connect", "{}")
}

pub(crate) fn user_event(name: &str, content_type: &str, body: impl Into<Bytes>) -> Call {
    event(&format!("azure.webpubsub.user.{name}"), body).with("content-type", content_type)
}

pub(crate) fn mqtt_connect(protocol_version: u8) -> Call {
    let body = format!(r#"{{"mqtt":{{"protocolVersion":{protocol_version},"username":"u"}}}}"#);
    event("azure.webpubsub.sys.connect", body).mqtt()
}

pub(crate) fn preflight() -> Call {
    Call {
        method: "OPTIONS",
        path: PATH.to_owned(),
        headers: Vec::new(),
        body: Bytes::new(),
    }
    .with("webhook-request-origin", "contoso.webpubsub.azure.com")
    .with("ce-awpsversion", "1.0")
}

impl Call {
    /// Sets a header.
    pub(crate) fn with(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.without(name).and(name, value)
    }

    /// Adds a line of a header.
    pub(crate) fn and(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers
            .push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self
    }

    pub(crate) fn mqtt(self) -> Self {
        self.with("ce-subprotocol", "mqtt")
            .with("ce-physicalconnectionid", "physical-1")
    }

    pub(crate) fn at(mut self, path: &str) -> Self {
        self.path = path.to_owned();
        self
    }

    pub(crate) fn by(mut self, method: &'static str) -> Self {
        self.method = method;
        self
    }

    pub(crate) fn request(self) -> Request<Body> {
        let mut request = Request::builder().method(self.method).uri(self.path);
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        request
            .body(Body::from(self.body))
            .expect("a test builds valid requests")
    }

    pub(crate) async fn to(self, handler: &WebPubSubEventHandler) -> Answer {
        let answer = handler.clone().oneshot(self.request()).await;
        let Ok(response) = answer;
        Answer::read(response).await
    }
}

/// A builder that checks signatures.
pub(crate) fn chat<S>() -> WebPubSubEventHandlerBuilder<S, webpubsub_axum::Ready> {
    bare().access_key(KEY)
}

pub(crate) fn bare<S>() -> WebPubSubEventHandlerBuilder<S, MissingKeys> {
    WebPubSubEventHandler::builder("chat")
}

/// An answer, with its body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) parts: http::response::Parts,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) async fn read(response: Response) -> Self {
        let (parts, body) = response.into_parts();
        let body = body
            .collect()
            .await
            .expect("the body is in memory")
            .to_bytes();
        Self {
            status: parts.status,
            parts,
            body,
        }
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a test reads text")
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.parts
            .headers
            .get(name)
            .map(|value| value.to_str().expect("visible ASCII"))
    }

    /// Status, content type and body.
    pub(crate) fn seen(&self) -> (u16, Option<&str>, &str) {
        (
            self.status.as_u16(),
            self.header("content-type"),
            self.text(),
        )
    }

    pub(crate) fn rejection(&self) -> Option<&webpubsub_axum::Rejection> {
        self.parts.extensions.get()
    }
}
