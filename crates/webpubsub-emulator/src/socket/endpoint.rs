//! The checks before an upgrade. Nothing is opened until all have passed, in this order:
//! subprotocol, recovery, token, token groups, raw mode, connect event.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::FromRequestParts as _;
use axum::extract::ws::{CloseFrame, Message, WebSocketUpgrade};
use axum::response::{IntoResponse as _, Response};
use bytestring::ByteString;
use futures_util::SinkExt as _;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use percent_encoding::percent_decode_str;
use webpubsub_protocol::access::{
    ClientProtocol, client_audience, verify_client_token, verify_reconnection_token,
};
use webpubsub_protocol::cloud_event::Lists;
use webpubsub_protocol::limits::MESSAGE_BYTES;
use webpubsub_protocol::name::{GroupName, HubName, UserId};
use webpubsub_protocol::subprotocol::Subprotocol;

use super::connect_event::{self, Client, Introduction, Opening};
use super::query::Query;
use super::task::{self, SocketGuard};
use crate::hub::{Attachment, Hub, NotRecoverable, OPEN_TIMEOUT, OpenRequest, RawMode, WireForm};
use crate::service::Service;

/// Reading and writing in small pieces: the default of 128 KiB per connection is for few and large.
const SOCKET_BUFFER_BYTES: usize = 4096;

/// What the WebSocket layer still reads. Above the service's limit, so that a message that is a
/// little too large is read whole and answered by a clean 1009 instead of a reset.
const READABLE_BYTES: usize = 2 * MESSAGE_BYTES;

pub(crate) const NOT_RECOVERABLE: &str = "The connection could not be recovered.";

/// A refusal before the upgrade.
enum Refusal {
    /// Answered with an empty body, as the reference has it; the cause is logged.
    Unauthorized(String),
    With(StatusCode, String),
}

/// A connection as its token asks for it, and all that the token says.
struct Authorized {
    request: OpenRequest,
    claims: Lists,
}

impl Refusal {
    fn bad_request(text: impl Into<String>) -> Self {
        Self::With(StatusCode::BAD_REQUEST, text.into())
    }

    fn into_response(self) -> Response {
        match self {
            Self::Unauthorized(reason) => {
                tracing::info!(status = 401, %reason, "a client was refused");
                StatusCode::UNAUTHORIZED.into_response()
            }
            Self::With(status, text) => {
                tracing::info!(%status, reason = %text, "a client was refused");
                (status, text).into_response()
            }
        }
    }
}

/// Answers every request below `/client`.
pub(crate) async fn handle(service: &Arc<Service>, request: Request<Body>) -> Response {
    let (mut parts, _) = request.into_parts();
    match connect(service, &mut parts).await {
        Ok(response) => response,
        Err(refusal) => refusal.into_response(),
    }
}

async fn connect(service: &Arc<Service>, parts: &mut Parts) -> Result<Response, Refusal> {
    let query_text = parts.uri.query().unwrap_or_default().to_owned();
    let query = Query::parse(&query_text);
    let hub_name = hub_name(parts.uri.path(), &query)?;
    let upgrade = upgrade(parts).await?;
    let offered = offered_subprotocols(&parts.headers);
    let offer = first_supported(&offered);
    if let Some(connection_id) = query.last("awps_connection_id") {
        return Ok(recover(
            service,
            &hub_name,
            connection_id,
            &query,
            offer,
            upgrade,
        ));
    }

    let Authorized {
        mut request,
        claims,
    } = authorize(service, parts, &query, &hub_name)?;
    request.raw_mode = query
        .raw_mode()
        .map_err(|e| Refusal::bad_request(e.to_string()))?;
    request.session = connect_event::session(&parts.headers);
    if let Some(name) = &offer {
        let spoken = connect_event::spoken(name);
        request.form = spoken.form;
        request.reliable = spoken.reliable;
        request.protocol = Some(spoken.name);
    }
    let offers = !offered.is_empty();
    let introduction = Introduction {
        claims,
        query: &query,
        headers: &parts.headers,
        offered,
    };
    let hub = service.hub(&hub_name);
    let attachment = open(service, Arc::clone(&hub), request, introduction).await?;
    let upgrade = match &attachment.protocol {
        Some(spelled) => upgrade.protocols([spelled.to_string()]),
        None if offers => {
            tracing::warn!(
                hub = %hub_name, connection = %attachment.connection_id,
                "no subprotocol that the client offers is known, so it gets none, which browsers do not accept: an own \
                 subprotocol needs a `connect` handler that chooses it"
            );
            upgrade
        }
        None => upgrade,
    };
    let guard = SocketGuard::new(Arc::clone(service), hub, attachment);
    Ok(upgrade.on_upgrade(move |socket| task::run(socket, guard)))
}

/// Opens a connection as its token and the `connect` handler say.
async fn open(
    service: &Service,
    hub: Arc<Hub>,
    mut request: OpenRequest,
    introduction: Introduction<'_>,
) -> Result<Attachment, Refusal> {
    let handler = service.handlers().of_connect(hub.name());
    if let Some(handler) = &handler {
        // Time-outs of the handler come first, so that the log names them.
        request.patience = request.patience.max(handler.longest() + OPEN_TIMEOUT);
    }
    let user = request.user.clone();
    let session = Arc::clone(&request.session);
    let (ticket, connection_id) = hub.open(request);
    let opening = Opening { hub, ticket };
    let client = Client {
        connection_id: connection_id.clone(),
        user,
        session,
    };
    let overrides = connect_event::ask(service, handler, &opening, client, introduction)
        .await
        .map_err(|(status, text)| Refusal::With(status, text.to_owned()))?;
    // Visible from here on: what is sent once the client knows of its 101 reaches it.
    opening.hub.accept(ticket, overrides).ok_or_else(|| {
        tracing::error!(connection = %connection_id, "it took too long to open, or its id is taken");
        Refusal::With(StatusCode::INTERNAL_SERVER_ERROR, "try again".to_owned())
    })
}

/// The hub, from `/client/hubs/{hub}` or `/client/?hub={hub}`.
fn hub_name(path: &str, query: &Query<'_>) -> Result<HubName, Refusal> {
    let name = match path.strip_prefix("/client/hubs/") {
        Some(name) if !name.contains('/') => percent_decode_str(name).decode_utf8_lossy(),
        None if matches!(path, "/client" | "/client/") => {
            query.last("hub").unwrap_or_default().into()
        }
        _ => {
            let text = "clients connect to /client/hubs/{hub} or /client/?hub={hub}";
            return Err(Refusal::With(StatusCode::NOT_FOUND, text.to_owned()));
        }
    };
    HubName::new(name.into_owned()).map_err(|error| Refusal::bad_request(error.to_string()))
}

async fn upgrade(parts: &mut Parts) -> Result<WebSocketUpgrade, Refusal> {
    if parts.method != Method::GET {
        return Err(Refusal::bad_request(
            "this endpoint takes WebSocket upgrades only",
        ));
    }
    let upgrade = WebSocketUpgrade::from_request_parts(parts, &())
        .await
        .map_err(|rejection| Refusal::bad_request(rejection.body_text()))?;
    Ok(upgrade
        .read_buffer_size(SOCKET_BUFFER_BYTES)
        .write_buffer_size(SOCKET_BUFFER_BYTES)
        .max_message_size(READABLE_BYTES)
        .max_frame_size(READABLE_BYTES))
}

/// All that the client offers, in its order and spelling.
fn offered_subprotocols(headers: &HeaderMap) -> Vec<ByteString> {
    let names = headers
        .get_all(header::SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|name| !name.is_empty());
    names.map(ByteString::from).collect()
}

/// The first subprotocol in the client's order that the service speaks. A client that offers only other names is a
/// simple client, unless a handler chooses one of them.
fn first_supported(offered: &[ByteString]) -> Option<ByteString> {
    let mut offered = offered.iter();
    let known = offered.find(|name| Subprotocol::from_name(name).is_some());
    known.cloned()
}

/// Checks the token and takes from it what the connection starts with. Without one, the client is anonymous where the
/// hub allows that.
fn authorize(
    service: &Service,
    parts: &Parts,
    query: &Query<'_>,
    hub: &HubName,
) -> Result<Authorized, Refusal> {
    let from_query = query.last("access_token").filter(|token| !token.is_empty());
    let Some(token) = from_query.or_else(|| bearer(&parts.headers)) else {
        if service.handlers().admits_anonymous(hub) {
            return Ok(Authorized {
                request: nobody(),
                claims: Lists::new(),
            });
        }
        return Err(Refusal::Unauthorized("no access token".to_owned()));
    };

    let settings = service.settings();
    let host = parts
        .headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let audiences = audiences(host, settings.public_endpoints.as_slice(), hub);
    let is_ours = |audience: &str| {
        audiences
            .iter()
            .any(|ours| ours.eq_ignore_ascii_case(audience))
    };
    let at = settings.checked_at(service.clock().now().wall);
    let claims = verify_client_token(token, settings.keys(), &is_ours, at)
        .map_err(|error| Refusal::Unauthorized(error.to_string()))?;
    let all_claims = claims.event_claims();

    let most = settings.limits.groups_per_token;
    if claims.groups.len() > most {
        return Err(Refusal::bad_request(format!(
            "The token names more than {most} groups."
        )));
    }
    let groups: Result<Vec<_>, _> = claims.groups.into_iter().map(GroupName::new).collect();
    let groups =
        groups.map_err(|_| Refusal::bad_request("The token contains an invalid group name."))?;
    let request = OpenRequest {
        // A user id of blanks only cannot be addressed, so it is as good as none.
        user: claims.user_id.and_then(|user| UserId::new(user).ok()),
        roles: claims.roles,
        groups,
        ..nobody()
    };
    Ok(Authorized {
        request,
        claims: all_claims,
    })
}

/// A simple client without user, roles and groups.
fn nobody() -> OpenRequest {
    OpenRequest {
        id: None,
        user: None,
        roles: Vec::new(),
        groups: Vec::new(),
        form: WireForm::Raw,
        reliable: false,
        protocol: None,
        raw_mode: RawMode::SendEvent,
        patience: OPEN_TIMEOUT,
        session: Arc::default(),
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The audiences that open this hub: the address the client used, and every public endpoint, each
/// with either scheme since a proxy may have taken TLS off.
fn audiences(host: Option<&str>, public: &[url::Url], hub: &HubName) -> Vec<String> {
    let own = host.and_then(|host| url::Url::parse(&format!("http://{host}/")).ok());
    let of_url =
        |endpoint: &url::Url| client_audience(endpoint, hub.as_str(), ClientProtocol::Default);
    own.iter()
        .chain(public)
        .map(of_url)
        .flat_map(|audience| {
            let rest = audience
                .split_once("://")
                .map_or("", |(_, rest)| rest)
                .to_owned();
            [format!("http://{rest}"), format!("https://{rest}")]
        })
        .collect()
}

/// Gives a reliable connection its next socket. Only hub, connection id and reconnection token
/// count: the access token may have expired, and the subprotocol is the one it had.
fn recover(
    service: &Arc<Service>,
    hub_name: &HubName,
    connection_id: &str,
    query: &Query<'_>,
    offer: Option<ByteString>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let token = query.last("awps_reconnection_token").unwrap_or_default();
    let now = service.clock().now().wall;
    let attached = verify_reconnection_token(token, service.settings().keys(), connection_id, now)
        .map_err(|error| error.to_string())
        .and_then(|()| {
            service
                .existing_hub(hub_name)
                .ok_or("unknown hub".to_owned())
        })
        .and_then(|hub| match hub.recover(connection_id) {
            Ok(attachment) => Ok((hub, attachment)),
            Err(NotRecoverable) => Err("the connection has ended".to_owned()),
        });
    match attached {
        Ok((hub, attachment)) => {
            // Echoed as its first socket spelled it, even if this one offers another or none: the
            // upgrade itself would only choose among what was offered.
            let echo = attachment.protocol.as_deref().map(HeaderValue::from_str);
            let guard = SocketGuard::new(Arc::clone(service), hub, attachment);
            let mut response = upgrade.on_upgrade(move |socket| task::run(socket, guard));
            if let Some(Ok(name)) = echo {
                let headers = response.headers_mut();
                headers.insert(header::SEC_WEBSOCKET_PROTOCOL, name);
            }
            response
        }
        Err(cause) => {
            tracing::info!(connection = connection_id, %cause, "a recovery was refused");
            let upgrade = match offer {
                Some(spelled) => upgrade.protocols([spelled.to_string()]),
                None => upgrade,
            };
            refuse_recovery(upgrade)
        }
    }
}

/// Opens the socket only to close it: that is how clients learn to start afresh.
fn refuse_recovery(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(|mut socket| async move {
        let close = CloseFrame {
            code: 1008,
            reason: NOT_RECOVERABLE.into(),
        };
        // The client may be gone already.
        let _ = socket.send(Message::Close(Some(close))).await;
        let _ = socket.close().await;
    })
}
