//! The `connect` event: what it says about a client, and what the answer changes.

use std::sync::Arc;

use bytestring::ByteString;
use http::{HeaderMap, HeaderName, header};
use webpubsub_protocol::cloud_event::{ConnectData, Lists};
use webpubsub_protocol::name::{ConnectionId, UserId};
use webpubsub_protocol::subprotocol::Subprotocol;

use super::query::Query;
use crate::handlers::{Accepted, ConnectRefused, Connecting, EventHandler, Session};
use crate::hub::{Hub, Negotiated, Overrides, Ticket, WireForm};
use crate::refusal::Refusal;
use crate::service::Service;

/// What a client says of itself when it connects.
pub(super) struct ClientDetails<'a> {
    pub(super) claims: Lists,
    pub(super) query: &'a Query<'a>,
    pub(super) headers: &'a HeaderMap,
    /// All subprotocols that it offers, in its order and spelling.
    pub(super) offered: Vec<ByteString>,
}

/// Who wants to connect, as its token says.
pub(super) struct Client {
    pub(super) connection_id: ConnectionId,
    pub(super) user: Option<UserId>,
    pub(super) session: Arc<Session>,
}

/// A connection that is being opened. Dropped before it is accepted, it is given up: its client has gone.
pub(super) struct Opening {
    pub(super) hub: Arc<Hub>,
    pub(super) ticket: Ticket,
}

impl Drop for Opening {
    fn drop(&mut self) {
        // Without effect once it was accepted.
        self.hub.reject(self.ticket);
    }
}

/// Asks the handler that takes `connect` events, if there is one, and says what it changes.
///
/// # Errors
///
/// The handler refuses the client, or gave no answer that can be followed.
pub(super) async fn ask(
    service: &Service,
    handler: Option<EventHandler>,
    opening: &Opening,
    client: Client,
    details: ClientDetails<'_>,
) -> Result<Overrides, Refusal> {
    let handlers = service.handlers();
    let hub = opening.hub.name();
    let Some(handler) = handler else {
        return Ok(Overrides::default());
    };
    let offered = details.offered.clone();
    let client = Connecting {
        hub: hub.clone(),
        connection_id: client.connection_id,
        user_id: client.user,
        session: client.session,
        data: details.data(),
    };
    // Boxed: few requests need the room that it takes.
    let answer = Box::pin(handlers.connect(&handler, client)).await;
    let accepted = answer.map_err(|refused| match refused {
        ConnectRefused::ByHandler(status) => Refusal::ByHandler(status),
        ConnectRefused::HandlerFailed => Refusal::HandlerFailed,
    })?;
    overrides(accepted, &offered).map_err(|NotOffered(name)| {
        tracing::warn!(
            %hub, subprotocol = name, ?offered,
            "the connect event handler chose a subprotocol that the client does not offer, which no client accepts"
        );
        Refusal::HandlerFailed
    })
}

/// A subprotocol that the client does not offer.
#[derive(Debug, PartialEq, Eq)]
struct NotOffered(String);

fn overrides(accepted: Accepted, offered: &[ByteString]) -> Result<Overrides, NotOffered> {
    let subprotocol = match accepted.subprotocol {
        None => None,
        Some(chosen) => {
            let mut offered = offered.iter();
            let name = offered.find(|name| name.eq_ignore_ascii_case(&chosen));
            Some(negotiated(name.ok_or(NotOffered(chosen))?))
        }
    };
    Ok(Overrides {
        user: accepted.user,
        roles: accepted.roles,
        groups: accepted.groups,
        subprotocol,
    })
}

/// What a client of this subprotocol speaks: bare frames when the service does not know it.
pub(super) fn negotiated(name: &ByteString) -> Negotiated {
    let known = Subprotocol::from_name(name);
    Negotiated {
        form: known.map_or(WireForm::Raw, WireForm::from),
        reliable: known.is_some_and(Subprotocol::is_reliable),
        name: name.clone(),
    }
}

/// Starts the session of a connection. Handlers know the service by the host that the client connected to, without its port.
pub(super) fn session(headers: &HeaderMap) -> Arc<Session> {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let authority = host.and_then(|host| host.parse::<http::uri::Authority>().ok());
    Session::new(authority.as_ref().map_or("localhost", |it| it.host()))
}

impl ClientDetails<'_> {
    fn data(self) -> ConnectData {
        let mut query = Lists::new();
        for (name, value) in self.query.pairs() {
            // The token is for the service alone.
            if !name.eq_ignore_ascii_case("access_token") {
                query
                    .entry(name.to_owned())
                    .or_default()
                    .push(value.to_owned());
            }
        }
        let mut headers = Lists::new();
        for (name, value) in self.headers {
            let is_internal = name.as_str().starts_with("x-asrs-internal-");
            if *name != header::AUTHORIZATION && !is_internal {
                let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
                headers.entry(title_case(name)).or_default().push(value);
            }
        }
        ConnectData {
            claims: self.claims,
            query,
            headers,
            subprotocols: self.offered.iter().map(ToString::to_string).collect(),
            ..ConnectData::default()
        }
    }
}

/// Names of headers as the service writes them, such as `Sec-WebSocket-Key`. How clients spell them is lost on the way.
fn title_case(name: &HeaderName) -> String {
    let words = name.as_str().split('-').map(|word| match word {
        "websocket" => "WebSocket".to_owned(),
        word => {
            let mut chars = word.chars();
            let first = chars.next().map(|first| first.to_ascii_uppercase());
            first.into_iter().chain(chars).collect()
        }
    });
    words.collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn offered() -> Vec<ByteString> {
        vec!["own".into(), "JSON.reliable.webpubsub.azure.v1".into()]
    }

    #[test]
    fn a_handler_is_told_all_but_the_token() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("authorization", "Bearer x"),
            ("x-asrs-internal-a", "x"),
            ("sec-websocket-key", "k"),
            ("cookie", "a=1"),
            ("x-two", "1"),
            ("x-two", "2"),
        ] {
            headers.append(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        let details = ClientDetails {
            claims: Lists::from([("sub".into(), vec!["u".into()])]),
            query: &Query::parse("Access_Token=x&access_token=y&room=a&room=b+c&hub=chat"),
            headers: &headers,
            offered: offered(),
        };
        assert_eq!(
            serde_json::to_string(&details.data()).unwrap(),
            r#"{"claims":{"sub":["u"]},"query":{"hub":["chat"],"room":["a","b c"]},"headers":{"Cookie":["a=1"],"Sec-WebSocket-Key":["k"],"X-Two":["1","2"]},"subprotocols":["own","JSON.reliable.webpubsub.azure.v1"],"clientCertificates":[]}"#
        );
    }

    #[test]
    fn a_chosen_subprotocol_must_be_offered_and_keeps_the_clients_spelling() {
        let choose = |name: &str| {
            let accepted = Accepted {
                subprotocol: Some(name.to_owned()),
                ..Accepted::default()
            };
            overrides(accepted, &offered()).map(|overrides| overrides.subprotocol)
        };
        let custom = Negotiated {
            form: WireForm::Raw,
            reliable: false,
            name: "own".into(),
        };
        assert_eq!(choose("OWN").unwrap(), Some(custom));
        let known = Negotiated {
            form: WireForm::Json,
            reliable: true,
            name: "JSON.reliable.webpubsub.azure.v1".into(),
        };
        assert_eq!(
            choose("json.reliable.webpubsub.azure.v1").unwrap(),
            Some(known)
        );
        assert_eq!(
            choose("json.webpubsub.azure.v1").unwrap_err(),
            NotOffered("json.webpubsub.azure.v1".into())
        );
        let nothing = overrides(Accepted::default(), &offered()).unwrap();
        assert_eq!(nothing.subprotocol, None);
    }

    #[test]
    fn the_origin_is_a_host_without_a_port() {
        for (host, origin) in [
            ("localhost:8080", "localhost"),
            ("127.0.0.1:1", "127.0.0.1"),
            ("[::1]:1", "[::1]"),
            ("app.example", "app.example"),
        ] {
            let headers = HeaderMap::from_iter([(header::HOST, HeaderValue::from_static(host))]);
            assert_eq!(session(&headers).origin(), origin);
        }
    }
}
