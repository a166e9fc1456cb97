//! The checks before an upgrade. Nothing is opened until all have passed, in this order: the gate, subprotocol, recovery,
//! token, token groups, raw mode, connect event.

use std::sync::Arc;

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use bytestring::ByteString;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, header};
use percent_encoding::percent_decode_str;
use webpubsub_protocol::access::verify_reconnection_token;
use webpubsub_protocol::name::{ConnectionId, HubName};
use webpubsub_protocol::subprotocol::Subprotocol;

use super::authorize::{Authorized, authorize};
use super::connect_event::{self, Client, ClientDetails, Opening};
use super::guard::SocketGuard;
use super::query::Query;
use super::upgrade::Upgrade;
use crate::faults::{Place, Subject};
use crate::gate::Passage;
use crate::http::Watch;
use crate::hub::{Admission, Attachment, End, Hub, OPEN_TIMEOUT, OpenRequest};
use crate::refusal::{Refusal, Refused};
use crate::service::Service;

pub(crate) const NOT_RECOVERABLE: &str = "The connection could not be recovered.";

/// Answers every request below `/client`, unless its client is gone.
pub(crate) async fn handle(service: &Arc<Service>, request: Request<Body>) -> Option<Response> {
    let (mut parts, _) = request.into_parts();
    let watch = parts.extensions.get::<Watch>().cloned();
    let hung_up = async {
        match &watch {
            Some(watch) => watch.hung_up().await,
            None => std::future::pending().await,
        }
    };
    // A `connect` handler may take its time. What it decides does not matter any more when nobody is let in or the client
    // is gone.
    let answer = tokio::select! {
        biased;
        () = service.gate().stopping().cancelled() => Err(Refusal::Stopping),
        answer = connect(service, &mut parts) => answer,
        () = hung_up => {
            tracing::info!("a client hung up before it was connected");
            return None;
        }
    };
    Some(answer.unwrap_or_else(refused))
}

/// Logs why a client is refused, and answers it. What is wrong with a token goes to the log only.
fn refused(refusal: Refusal) -> Response {
    let status = refusal.status();
    tracing::info!(status = status.as_u16(), reason = %refusal, "a client was refused");
    let mut response = match refusal {
        Refusal::Unauthorized { .. } => status.into_response(),
        _ => (status, refusal.to_string()).into_response(),
    };
    let headers = response.headers_mut();
    // The text may quote what the caller sent: no browser may take it for a page.
    let nosniff = HeaderValue::from_static("nosniff");
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    let retry_after = refusal.retry_after().map(HeaderValue::from);
    headers.extend(retry_after.map(|seconds| (header::RETRY_AFTER, seconds)));
    response.extensions_mut().insert(Refused {
        reason: refusal.to_string(),
        token: match refusal {
            Refusal::Unauthorized { token, .. } => Some(token),
            _ => None,
        },
    });
    response
}

async fn connect(service: &Arc<Service>, parts: &mut Parts) -> Result<Response, Refusal> {
    let query_text = parts.uri.query().unwrap_or_default().to_owned();
    let query = Query::parse(&query_text);
    let hub_name = hub_name(parts.uri.path(), &query)?;
    let mut upgrade = Upgrade::of(parts).map_err(Refusal::BadRequest)?;
    let passage = Passage::Upgrade(&hub_name);
    service.gate().pass(passage, &parts.headers).await?;
    let offered = offered_subprotocols(&parts.headers);
    let offer = first_supported(&offered);
    if let Some(connection_id) = query.last("awps_connection_id") {
        admit_recovery(service, &hub_name, connection_id).await?;
        return Ok(recover(
            service,
            &hub_name,
            connection_id,
            &query,
            offer,
            upgrade,
            parts.extensions.get::<Watch>().cloned(),
        ));
    }

    let Authorized {
        mut request,
        claims,
    } = authorize(service, parts, &query, &hub_name)?;
    let subject = Subject {
        hub: Some(&hub_name),
        user: request.user.as_ref(),
        ..Subject::default()
    };
    service.faults().admit(Place::Upgrade, &subject).await?;
    request.raw_mode = query
        .raw_mode()
        .map_err(|error| Refusal::BadRequest(error.to_string()))?;
    request.session = connect_event::session(&parts.headers);
    if let Some(name) = &offer {
        let negotiated = connect_event::negotiated(name);
        request.form = negotiated.form;
        request.reliable = negotiated.reliable;
        request.protocol = Some(negotiated.name);
    }
    let offers = !offered.is_empty();
    let details = ClientDetails {
        claims,
        query: &query,
        headers: &parts.headers,
        offered,
    };
    let hub = service.hub(&hub_name);
    let attachment = open(service, Arc::clone(&hub), request, details).await?;
    match &attachment.protocol {
        Some(spelled) => upgrade.choose(spelled),
        None if offers => {
            tracing::warn!(
                hub = %hub_name, connection = %attachment.connection_id,
                "no subprotocol that the client offers is known, so it gets none, which browsers do not accept: an own \
                 subprotocol needs a `connect` handler that chooses it"
            );
        }
        None => {}
    }
    let line = parts.extensions.get::<Watch>().cloned();
    let guard = SocketGuard::new(Arc::clone(service), hub, attachment, line);
    if service.gate().stopping().is_cancelled() {
        // Accepted after the hub was told to end all of its connections, or in the same moment.
        guard.end(&End::ServiceReload);
        return Err(Refusal::Stopping);
    }
    Ok(upgrade.serve(guard))
}

/// Opens a connection as its token and the `connect` handler say.
async fn open(
    service: &Service,
    hub: Arc<Hub>,
    mut request: OpenRequest,
    details: ClientDetails<'_>,
) -> Result<Attachment, Refusal> {
    let handler = service.handlers().of_connect(hub.name());
    if let Some(handler) = &handler {
        // Time-outs of the handler come first, so that the log names them.
        request.timeout = request.timeout.max(handler.longest() + OPEN_TIMEOUT);
    }
    let user = request.user.clone();
    let session = Arc::clone(&request.session);
    let (ticket, connection_id) = hub.open(request);
    let opening = Opening { hub, ticket };
    let client = Client {
        connection_id,
        user,
        session,
    };
    let overrides = connect_event::ask(service, handler, &opening, client, details).await?;
    // Visible from here on: what is sent once the client knows of its 101 reaches it.
    opening.hub.accept(ticket, overrides)
}

/// The hub, from `/client/hubs/{hub}` or `/client/?hub={hub}`.
fn hub_name(path: &str, query: &Query<'_>) -> Result<HubName, Refusal> {
    let name = match path.strip_prefix("/client/hubs/") {
        Some(name) if !name.contains('/') => percent_decode_str(name).decode_utf8_lossy(),
        None if matches!(path, "/client" | "/client/") => {
            query.last("hub").unwrap_or_default().into()
        }
        _ => return Err(Refusal::NoSuchEndpoint),
    };
    HubName::new(name.into_owned()).map_err(|error| Refusal::BadRequest(error.to_string()))
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

/// Lets a fault refuse the upgrade by which a connection would be recovered.
async fn admit_recovery(
    service: &Service,
    hub_name: &HubName,
    connection_id: &str,
) -> Result<(), Refusal> {
    let faults = service.faults();
    if !faults.concern(Place::Upgrade) {
        return Ok(());
    }
    let hub = service.existing_hub(hub_name);
    let user = hub.and_then(|hub| hub.user_of_id(connection_id));
    let connection = ConnectionId::new(connection_id.to_owned()).ok();
    let subject = Subject {
        hub: Some(hub_name),
        user: user.as_ref(),
        connection: connection.as_ref(),
        ..Subject::default()
    };
    faults.admit(Place::Upgrade, &subject).await
}

/// Gives a reliable connection its next socket. Only hub, connection id and reconnection token
/// count: the access token may have expired, and the subprotocol is the one it had.
fn recover(
    service: &Arc<Service>,
    hub_name: &HubName,
    connection_id: &str,
    query: &Query<'_>,
    offer: Option<ByteString>,
    mut upgrade: Upgrade,
    line: Option<Watch>,
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
            Err(refusal) => Err(refusal.to_string()),
        });
    match attached {
        Ok((hub, attachment)) => {
            if attachment.admission == Admission::TakenOver {
                tracing::info!(
                    connection = connection_id,
                    "taken over from an earlier socket"
                );
            }
            // Echoed as its first socket spelled it, even if this one offers another or none.
            if let Some(spelled) = &attachment.protocol {
                upgrade.choose(spelled);
            }
            upgrade.serve(SocketGuard::new(Arc::clone(service), hub, attachment, line))
        }
        Err(cause) => {
            tracing::info!(connection = connection_id, %cause, "a recovery was refused");
            if let Some(spelled) = offer {
                upgrade.choose(&spelled);
            }
            // Opened only to be closed: that is how clients learn to start afresh.
            let mut response = upgrade.refuse(1008, NOT_RECOVERABLE);
            response.extensions_mut().insert(Refused {
                reason: cause,
                token: None,
            });
            response
        }
    }
}
