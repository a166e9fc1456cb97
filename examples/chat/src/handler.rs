//! Handler mode: the service asks this server who may connect, and sends the messages to it.

use std::time::{Instant, SystemTime};

use anyhow::{Context as _, Result};
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use webpubsub::{Role, payload};
use webpubsub_axum::{
    ConnectRequest, ConnectResponse, ConnectionContext, GroupJoinedRequest, GroupLeftRequest,
    UserEventRequest, UserEventResponse, WebPubSubEventHandler,
};
use webpubsub_emulator::{EventHandler, SystemEvent};

use crate::negotiate::{Announcement, Join};
use crate::refusal::describe;
use crate::rooms::{People, unix_millis};
use crate::serve::HUB;
use crate::server::Shared;

/// The path of the event handler, below the address of the page.
pub(crate) const PATH: &str = "/eventhandler";

/// The user event for sending a message.
pub(crate) const SAY: &str = "say";

const LONGEST_ID: usize = 64;
/// As the page allows, in UTF-16 units.
const LONGEST_TEXT: usize = 2_000;

/// What the page sends in the event `say`.
#[derive(Deserialize)]
struct Say {
    id: String,
    text: String,
}

/// The response to it.
#[derive(Serialize)]
#[serde(tag = "kind", rename = "receipt")]
struct Receipt {
    id: String,
    /// When the server published it, in milliseconds of Unix time.
    at: u64,
}

/// The connection state, which is set at login.
#[derive(Serialize, Deserialize)]
struct Seat {
    group: String,
}

/// The settings that the service needs for this handler.
pub(crate) fn setting(page: &str) -> Result<EventHandler> {
    let events = [
        SystemEvent::Connect,
        SystemEvent::GroupJoined,
        SystemEvent::GroupLeft,
    ];
    let handler = EventHandler::url(&template(page))?.user_events(SAY)?;
    Ok(handler.system_events(events))
}

/// The URL of this handler, with the service's placeholder for the event.
pub(crate) fn template(page: &str) -> String {
    format!("{}{PATH}/{{event}}", page.trim_end_matches('/'))
}

/// The handler, which takes what is signed with the key of the connection string.
pub(crate) fn event_handler(
    connection_string: &str,
    shared: Shared,
) -> Result<WebPubSubEventHandler> {
    WebPubSubEventHandler::builder(HUB)
        .connection_string(connection_string)?
        .path(PATH)
        .on_connect(connect)
        .on_user_event::<Say, _>(SAY, say)
        .on_group_joined(joined)
        .on_group_left(left)
        .with_state(shared)
        .build()
        .context("the event handler cannot be made")
}

/// Login: the URL contains a ticket, which determines who connects, and to which room.
async fn connect(request: ConnectRequest, State(shared): State<Shared>) -> ConnectResponse {
    let ticket = request.query("login").unwrap_or_default();
    let join = shared.joins.lock().take(ticket, Instant::now());
    let Some(Join { user_id, group }) = join else {
        let text = "The login is missing, unknown, used or expired.";
        return ConnectResponse::fail(StatusCode::UNAUTHORIZED, text);
    };
    let role = Role::join_leave_group(&group).expect("rooms make legal group names");
    ConnectResponse::accept()
        .user_id(user_id)
        .groups([&group])
        .roles([role.to_string()])
        .states(&Seat { group })
}

/// Publishes a message in the room of the login, only once, and responds with the time.
async fn say(request: UserEventRequest<Say>, State(shared): State<Shared>) -> UserEventResponse {
    let Say { id, text } = request.data;
    let context = request.context;
    let (Some(user), Ok(Some(Seat { group }))) = (context.user_id(), context.state()) else {
        return UserEventResponse::fail(StatusCode::FORBIDDEN, "Nobody logged in here.");
    };
    if !(1..=LONGEST_ID).contains(&id.len()) || text.is_empty() {
        return UserEventResponse::fail(
            StatusCode::BAD_REQUEST,
            "`id` or `text` is empty or too long.",
        );
    }
    if text.encode_utf16().count() > LONGEST_TEXT {
        return UserEventResponse::fail(StatusCode::BAD_REQUEST, "`text` is too long.");
    }
    let at = unix_millis(SystemTime::now());
    // The service repeats an event if the response was lost, and so does the page on a new connection.
    if shared.rooms.lock().is_first(user, &id) {
        let said = Announcement::Said {
            id: id.clone(),
            from: user.to_owned(),
            text,
            at,
        };
        let sent = shared
            .service
            .group(group)
            .send_to_all(payload::Json(&said));
        if let Err(error) = sent.exclude(context.connection_id()).await {
            tracing::warn!(error = describe(&error), "a message could not be published");
            shared.rooms.lock().forget(user, &id);
            return UserEventResponse::fail(StatusCode::SERVICE_UNAVAILABLE, "Not published.");
        }
    }
    UserEventResponse::success(payload::Json(Receipt { id, at }))
}

async fn joined(request: GroupJoinedRequest, State(shared): State<Shared>) {
    let GroupJoinedRequest { context, group, .. } = request;
    let Some(user) = context.user_id() else {
        return;
    };
    let people = shared
        .rooms
        .lock()
        .joined(&group, user, context.connection_id());
    send_people(&shared, &context, &group, people).await;
}

async fn left(request: GroupLeftRequest, State(shared): State<Shared>) {
    let GroupLeftRequest { context, group, .. } = request;
    let Some(user) = context.user_id() else {
        return;
    };
    let people = shared
        .rooms
        .lock()
        .left(&group, user, context.connection_id());
    send_people(&shared, &context, &group, people).await;
}

/// Sends the list of people to a room. If it is lost, the next one replaces it.
async fn send_people(shared: &Shared, context: &ConnectionContext, group: &str, people: People) {
    let People {
        version,
        users,
        count,
    } = people;
    let presence = Announcement::Presence {
        version,
        users,
        count,
    };
    let sent = shared
        .service
        .group(group)
        .send_to_all(payload::Json(&presence));
    if let Err(error) = sent.await {
        let connection = context.connection_id();
        tracing::warn!(error = describe(&error), %connection, "the list of people could not be sent");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tokio::net::TcpListener;
    use webpubsub::WebPubSubServiceClient;
    use webpubsub_client::{Event, Events, WebPubSubClient, payload::Json};
    use webpubsub_emulator::Emulator;

    use super::*;
    use crate::serve;
    use crate::server;

    /// A chat in handler mode, and the emulator under it.
    struct Chat {
        emulator: Emulator,
        shared: Shared,
    }

    impl Chat {
        async fn start() -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let page = format!("http://{}/", listener.local_addr().expect("bound"));
            let emulator = serve::emulator(Some(&page)).await.expect("an emulator");
            let text = emulator.connection_string();
            let service =
                WebPubSubServiceClient::from_connection_string(&text, HUB).expect("its own");
            let shared = Shared::new(service, true);
            let handler = event_handler(&text, shared.clone()).expect("a handler");
            let app = server::app(shared.clone()).layer(handler);
            tokio::spawn(async { axum::serve(listener, app).await });
            Self { emulator, shared }
        }

        fn url(&self, login: &str) -> String {
            let url = self.emulator.client_access_url(HUB, None, &[]);
            format!("{url}&login={login}")
        }

        async fn enter(&self, user: &str, group: &str) -> (WebPubSubClient, Events) {
            let join = Join {
                user_id: user.to_owned(),
                group: group.to_owned(),
            };
            let ticket = self.shared.joins.lock().issue(join, Instant::now());
            let url = self.url(&ticket);
            WebPubSubClient::connect_with_events(url)
                .await
                .expect("a login")
        }
    }

    /// The next message of the chat's server of this kind.
    async fn next(events: &mut Events, kind: &str) -> Value {
        loop {
            let message = match events.next().await.expect("more events") {
                Event::GroupMessage(message) if message.from_user_id.is_none() => message.json(),
                Event::ServerMessage(message) => message.json(),
                _ => continue,
            };
            let message: Value = message.expect("JSON");
            if message["kind"] == kind {
                return message;
            }
        }
    }

    async fn users(events: &mut Events) -> Value {
        next(events, "presence").await["users"].clone()
    }

    #[tokio::test]
    async fn only_who_logged_in_may_connect_and_each_ticket_once() {
        let chat = Chat::start().await;
        let (ana, _events) = chat.enter("Ana#1", "room.a").await;
        assert_eq!(ana.user_id().as_deref(), Some("Ana#1"));
        let join = Join {
            user_id: "Ben#1".to_owned(),
            group: "room.a".to_owned(),
        };
        let used = chat.shared.joins.lock().issue(join, Instant::now());
        let _ben = WebPubSubClient::connect(chat.url(&used))
            .await
            .expect("the first time");
        for login in [&used, "unknown", ""] {
            let refused = WebPubSubClient::connect(chat.url(login)).await;
            let error = format!("{:?}", refused.expect_err("refused"));
            assert!(error.contains("401"), "{error}");
        }
        let other = ana.join_group("room.b").await;
        assert!(other.is_err(), "the login is for one room");
        let direct = ana.send_to_group("room.a", "hi").await;
        assert!(direct.is_err(), "only the server publishes");
    }

    #[tokio::test]
    async fn what_is_said_reaches_the_others_once_and_is_answered() {
        let chat = Chat::start().await;
        let (ana, mut at_ana) = chat.enter("Ana#1", "room.a").await;
        let (_ben, mut at_ben) = chat.enter("Ben#1", "room.a").await;
        for id in ["1", "1", "2"] {
            let said = ana.send_event(SAY, Json(json!({ "id": id, "text": "hi" })));
            said.await.expect("accepted");
            assert_eq!(next(&mut at_ana, "receipt").await["id"], id);
        }
        for id in ["1", "2"] {
            let said = next(&mut at_ben, "said").await;
            assert_eq!(
                (&said["id"], &said["from"], &said["text"]),
                (&json!(id), &json!("Ana#1"), &json!("hi"))
            );
        }
        for bad in [
            json!({ "id": "", "text": "hi" }),
            json!({ "id": "3", "text": "" }),
            json!({ "id": "3", "text": "x".repeat(2001) }),
            json!({ "id": "3" }),
            json!("hi"),
        ] {
            assert!(ana.send_event(SAY, Json(&bad)).await.is_err(), "{bad}");
        }
        assert!(ana.send_event("other", "hi").await.is_err());
    }

    #[tokio::test]
    async fn a_room_knows_who_is_there() {
        let chat = Chat::start().await;
        let (ana, mut at_ana) = chat.enter("Ana#1", "room.a").await;
        assert_eq!(users(&mut at_ana).await, json!(["Ana#1"]));
        let (ben, mut at_ben) = chat.enter("Ben#1", "room.a").await;
        assert_eq!(users(&mut at_ana).await, json!(["Ana#1", "Ben#1"]));
        assert_eq!(users(&mut at_ben).await, json!(["Ana#1", "Ben#1"]));
        let (_eve, _at_eve) = chat.enter("Eve#1", "room.b").await;
        ben.stop().await;
        assert_eq!(users(&mut at_ana).await, json!(["Ana#1"]));
        ana.leave_group("room.a").await.expect("left");
        ana.join_group("room.a").await.expect("back");
        assert_eq!(users(&mut at_ana).await, json!(["Ana#1"]));
    }
}
