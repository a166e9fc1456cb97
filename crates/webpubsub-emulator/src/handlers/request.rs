//! The request that tells a handler of an event.

use std::time::SystemTime;

use bytes::Bytes;
use bytestring::ByteString;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use url::Url;
use webpubsub_protocol::access::AccessKey;
use webpubsub_protocol::cloud_event::header as name;
use webpubsub_protocol::cloud_event::{
    AWPS_VERSION, EventType, SPEC_VERSION, content_type, signature,
};
use webpubsub_protocol::metadata::{HEADER_PREFIX, Metadata};
use webpubsub_protocol::name::{ConnectionId, HubName, UserId};
use webpubsub_protocol::payload::Payload;

use crate::date;

/// An event of a connection. Without `Debug`: it holds what clients send.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) kind: EventType,
    /// Numbers the events of the connection.
    pub(crate) id: u64,
    pub(crate) hub: HubName,
    pub(crate) connection_id: ConnectionId,
    pub(crate) user_id: Option<UserId>,
    pub(crate) subprotocol: Option<ByteString>,
    pub(crate) content_type: &'static str,
    pub(crate) body: Bytes,
    pub(crate) metadata: Metadata,
}

/// What a request says besides its event. The same on every try.
pub(super) struct Stamp<'a> {
    pub(super) keys: &'a [AccessKey],
    pub(super) time: SystemTime,
    pub(super) request_id: &'a str,
    /// The host that the client connected to.
    pub(super) origin: &'a str,
    pub(super) state: Option<HeaderValue>,
    pub(super) cookies: Option<HeaderValue>,
}

/// An event cannot be told over HTTP. Trying again does not help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unsendable {
    #[error("the header `{0}` would hold characters that are not sent in headers")]
    Header(HeaderName),
    #[error("the URL is too long")]
    Url,
}

impl Event {
    /// The type and bytes of a user event's body.
    pub(super) fn body_of(payload: &Payload) -> (&'static str, Bytes) {
        let body = match payload {
            Payload::Text(text) | Payload::Json(text) => text.clone().into_bytes(),
            Payload::Binary(bytes) | Payload::Protobuf(bytes) => bytes.clone(),
        };
        (content_type(payload.data_type()), body)
    }

    /// The request to this URL.
    ///
    /// # Errors
    ///
    /// When a header other than the user id is not ASCII, or the user id holds a control character.
    pub(super) fn request(
        &self,
        url: &Url,
        stamp: Stamp<'_>,
    ) -> Result<Request<Bytes>, Unsendable> {
        let mut headers = Headers(probe_headers(stamp.origin)?);
        headers.put(header::CONTENT_TYPE, self.content_type)?;
        headers.put(own(name::CE_SPECVERSION), SPEC_VERSION)?;
        headers.put(own(name::CE_TYPE), &self.kind.ce_type())?;
        let source = format!("/hubs/{}/client/{}", self.hub, self.connection_id);
        headers.put(own(name::CE_SOURCE), &source)?;
        headers.put(own(name::CE_ID), &self.id.to_string())?;
        headers.put(own(name::CE_TIME), &date::in_seconds(stamp.time))?;
        let signature = signature::sign(stamp.keys, self.connection_id.as_str());
        headers.put(own(name::CE_SIGNATURE), &signature)?;
        if let Some(user) = &self.user_id {
            let value = HeaderValue::from_bytes(user.as_str().as_bytes());
            let value = value.map_err(|_| Unsendable::Header(own(name::CE_USER_ID)))?;
            headers.0.insert(own(name::CE_USER_ID), value);
        }
        headers.put(own(name::CE_CONNECTION_ID), self.connection_id.as_str())?;
        headers.put(own(name::CE_HUB), self.hub.as_str())?;
        headers.put(own(name::CE_EVENT_NAME), self.kind.name())?;
        if let Some(subprotocol) = &self.subprotocol {
            headers.put(own(name::CE_SUBPROTOCOL), subprotocol)?;
        }
        headers.put(own(name::CLIENT_REQUEST_ID), stamp.request_id)?;
        for (key, value) in self.metadata.iter() {
            headers.put(of_metadata(key), value)?;
        }
        if let Some(state) = stamp.state {
            headers.put_value(own(name::CE_CONNECTION_STATE), state)?;
        }
        if let Some(cookies) = stamp.cookies {
            headers.put_value(header::COOKIE, cookies)?;
        }
        with_headers(Method::POST, url, headers.0, self.body.clone())
    }
}

/// The request of the probe, by `OPTIONS` or `GET`.
///
/// # Errors
///
/// When the origin is not ASCII.
pub(super) fn probe(method: Method, url: &Url, origin: &str) -> Result<Request<Bytes>, Unsendable> {
    with_headers(method, url, probe_headers(origin)?, Bytes::new())
}

fn probe_headers(origin: &str) -> Result<HeaderMap, Unsendable> {
    let mut headers = Headers(HeaderMap::new());
    headers.put(own(name::WEBHOOK_REQUEST_ORIGIN), origin)?;
    headers.put(own(name::CE_AWPS_VERSION), AWPS_VERSION)?;
    Ok(headers.0)
}

fn with_headers(
    method: Method,
    url: &Url,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Request<Bytes>, Unsendable> {
    let mut request = Request::new(body);
    *request.method_mut() = method;
    // Every URL is a URI, but URIs have a longest length.
    *request.uri_mut() = url.as_str().parse().map_err(|_| Unsendable::Url)?;
    *request.headers_mut() = headers;
    Ok(request)
}

/// Headers of ASCII.
struct Headers(HeaderMap);

impl Headers {
    fn put(&mut self, name: HeaderName, value: &str) -> Result<(), Unsendable> {
        match HeaderValue::from_str(value) {
            Ok(value) => self.put_value(name, value),
            Err(_) => Err(Unsendable::Header(name)),
        }
    }

    fn put_value(&mut self, name: HeaderName, value: HeaderValue) -> Result<(), Unsendable> {
        if !value.as_bytes().is_ascii() {
            return Err(Unsendable::Header(name));
        }
        self.0.insert(name, value);
        Ok(())
    }
}

fn of_metadata(key: &str) -> HeaderName {
    let name = format!("{HEADER_PREFIX}{}", key.to_ascii_lowercase());
    HeaderName::try_from(name).expect("metadata keys are header names")
}

const fn own(name: &'static str) -> HeaderName {
    HeaderName::from_static(name)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn event(kind: EventType) -> Event {
        Event {
            kind,
            id: 0,
            hub: HubName::new("chat").unwrap(),
            connection_id: ConnectionId::new("conn-0001").unwrap(),
            user_id: Some(UserId::new("user1").unwrap()),
            subprotocol: None,
            content_type: "application/json",
            body: Bytes::from_static(b"{}"),
            metadata: Metadata::default(),
        }
    }

    fn stamp(keys: &[AccessKey]) -> Stamp<'_> {
        Stamp {
            keys,
            time: SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600),
            request_id: "0b7e8a52-54a5-4a8d-9b7f-0f2f7a1f3c11",
            origin: "localhost",
            state: None,
            cookies: None,
        }
    }

    fn keys() -> [AccessKey; 2] {
        ["primary-access-key", "secondary-access-key"].map(AccessKey::new)
    }

    fn url() -> Url {
        "http://app.example:3000/eventhandler/connect?code=a"
            .parse()
            .unwrap()
    }

    fn written(request: &Request<Bytes>) -> Vec<(String, String)> {
        let headers = request.headers().iter();
        headers
            .map(|(name, value)| {
                let value = String::from_utf8(value.as_bytes().to_vec()).unwrap();
                (name.to_string(), value)
            })
            .collect()
    }

    #[test]
    fn the_sample_of_the_reference() {
        let keys = keys();
        let request = event(EventType::Connect)
            .request(&url(), stamp(&keys))
            .unwrap();
        assert_eq!(request.method(), "POST");
        assert_eq!(request.uri(), url().as_str());
        let expected = [
            ("webhook-request-origin", "localhost"),
            ("ce-awpsversion", "1.0"),
            ("content-type", "application/json"),
            ("ce-specversion", "1.0"),
            ("ce-type", "azure.webpubsub.sys.connect"),
            ("ce-source", "/hubs/chat/client/conn-0001"),
            ("ce-id", "0"),
            ("ce-time", "2026-01-01T00:00:00Z"),
            (
                "ce-signature",
                "sha256=3576d3aade02b7dccb6e532cd447b27437287c4f3f699af7ae1a257422b3dcd6,\
                 sha256=b929ac135afccd3cc126e842190d7193496a664ba29000f8f1f2a85ce6ec0c7c",
            ),
            ("ce-userid", "user1"),
            ("ce-connectionid", "conn-0001"),
            ("ce-hub", "chat"),
            ("ce-eventname", "connect"),
            (
                "x-ms-client-request-id",
                "0b7e8a52-54a5-4a8d-9b7f-0f2f7a1f3c11",
            ),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(written(&request), expected);
    }

    #[test]
    fn what_a_connection_has_is_said_and_nothing_else() {
        let keys = keys();
        let mut event = event(EventType::User("echo".into()));
        event.user_id = None;
        event.subprotocol = Some("JSON.webpubsub.azure.v1".into());
        event.metadata = Metadata::new([("Trace", "a, b"), ("x", "")]).unwrap();
        let stamp = Stamp {
            state: Some(HeaderValue::from_static("")),
            cookies: Some(HeaderValue::from_static("a=1")),
            ..stamp(&keys[..1])
        };
        let request = event.request(&url(), stamp).unwrap();
        let headers = request.headers();
        assert!(!headers.contains_key("ce-userid"));
        for (name, value) in [
            ("ce-type", "azure.webpubsub.user.echo"),
            ("ce-eventname", "echo"),
            ("ce-subprotocol", "JSON.webpubsub.azure.v1"),
            ("x-webpubsub-metadata-trace", "a, b"),
            ("x-webpubsub-metadata-x", ""),
            ("ce-connectionstate", ""),
            ("cookie", "a=1"),
        ] {
            assert_eq!(headers[name], value, "{name}");
        }
    }

    #[test]
    fn only_the_user_id_may_leave_ascii() {
        let keys = keys();
        let mut event = event(EventType::Connected);
        event.user_id = Some(UserId::new("zoë").unwrap());
        let request = event.request(&url(), stamp(&keys)).unwrap();
        assert_eq!(request.headers()["ce-userid"].as_bytes(), "zoë".as_bytes());

        let state = Stamp {
            state: Some(HeaderValue::from_bytes("ü".as_bytes()).unwrap()),
            ..stamp(&keys)
        };
        let error = event.request(&url(), state).unwrap_err();
        assert!(
            error.to_string().contains("`ce-connectionstate`"),
            "{error}"
        );

        event.subprotocol = Some("protokoll-ü".into());
        let error = event.request(&url(), stamp(&keys)).unwrap_err();
        assert!(error.to_string().contains("`ce-subprotocol`"), "{error}");

        event.subprotocol = None;
        event.user_id = Some(UserId::new("a\r\nce-hub: other").unwrap());
        let error = event.request(&url(), stamp(&keys)).unwrap_err();
        assert!(error.to_string().contains("`ce-userid`"), "{error}");
    }

    #[test]
    fn a_probe_carries_two_headers() {
        let request = probe(Method::OPTIONS, &url(), "localhost").unwrap();
        let expected = [
            ("webhook-request-origin", "localhost"),
            ("ce-awpsversion", "1.0"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(written(&request), expected);
        assert!(probe(Method::GET, &url(), "ü").is_err());
    }
}
