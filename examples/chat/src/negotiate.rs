//! The two calls of the page and of `chat join`: getting access to a room, and announcing that somebody joined.

use std::error::Error;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use rand::Rng;
use serde::{Deserialize, Serialize};
use webpubsub::{Role, payload};

use crate::names::{PersonName, RoomName};
use crate::refusal::{Refusal, describe};
use crate::server::Shared;

/// How long a token can be used to connect. A connection outlives its token, and the page gets a new
/// token for each connection, so a leaked token is useful for a minute only.
const TOKEN_LIFETIME: Duration = Duration::from_secs(60);

/// Letters and digits that are hard to confuse, and that do not form words.
const TAG_ALPHABET: &[u8] = b"23456789bcdfghjkmnpqrstvwxz";
const TAG_LENGTH: usize = 6;

/// A person in the chat. Whoever knows the id of the session can get more tokens in their name.
pub(crate) struct Person {
    name: PersonName,
    user_id: String,
}

/// Permission to announce a join once, or in handler mode, to log in once.
pub(crate) struct Join {
    pub(crate) user_id: String,
    pub(crate) group: String,
}

/// No `Debug`: the session is a secret.
#[derive(Serialize, Deserialize)]
pub(crate) struct Question {
    pub(crate) name: String,
    pub(crate) room: String,
    /// From an earlier response, so that the same person keeps the same user id.
    pub(crate) session: Option<String>,
}

/// No `Debug`: the URL holds a token, and the two ids are secrets as well.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Grant {
    pub(crate) mode: Mode,
    pub(crate) url: String,
    group: String,
    user_id: String,
    pub(crate) session: String,
    pub(crate) ticket: String,
}

/// What determines what a connection may do, and who publishes messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Mode {
    /// The token: clients send to their group themselves.
    Token,
    /// The event handler: clients say things to the server, which publishes them.
    Handler,
}

/// `POST /negotiate`: returns a client access URL whose token allows joining and sending to one group. In handler mode the
/// token grants nothing, and the URL contains a login for the event handler.
pub(crate) async fn negotiate(
    State(shared): State<Shared>,
    body: Result<Json<Question>, JsonRejection>,
) -> Result<Json<Grant>, Refusal> {
    let Question {
        name,
        room,
        session,
    } = json(body, "`name` and `room`, both texts")?;
    let name = PersonName::parse(&name)?;
    let group = RoomName::parse(&room)?.group();

    let (session, user_id) = recognise(&shared, name, session, Instant::now());
    let mut token = shared.service.client_access_token();
    if shared.mode == Mode::Token {
        token = token
            .user_id(&user_id)
            .role(Role::join_leave_group(&group).expect("rooms make legal group names"))
            .role(Role::send_to_group(&group).expect("rooms make legal group names"));
    }
    let token = token
        .lifetime(TOKEN_LIFETIME)
        .await
        .map_err(|error| service_failed("a token could not be made", &error))?;
    let join = Join {
        user_id: user_id.clone(),
        group: group.clone(),
    };
    let ticket = shared.joins.lock().issue(join, Instant::now());
    let url = match shared.mode {
        Mode::Token => token.url().to_owned(),
        Mode::Handler => format!("{}&login={ticket}", token.url()),
    };
    Ok(Json(Grant {
        mode: shared.mode,
        url,
        group,
        user_id,
        session,
        ticket,
    }))
}

/// No `Debug`: the ticket is a secret.
#[derive(Serialize, Deserialize)]
pub(crate) struct Arrival {
    pub(crate) ticket: String,
}

/// What the server sends to a room. The page trusts it, because only the owner of the access key can
/// send messages without the user id of a sender.
#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub(crate) enum Announcement {
    Joined {
        user: String,
    },
    /// Handler mode: somebody said something.
    Said {
        id: String,
        from: String,
        text: String,
        /// In milliseconds of Unix time.
        at: u64,
    },
    /// Handler mode: who is in the room. A list with a greater version is newer.
    Presence {
        version: u64,
        users: Vec<String>,
        count: usize,
    },
}

/// `POST /announce`: announces in the room who joined. The ticket determines who and where, so nobody
/// can announce somebody else, and it works once.
pub(crate) async fn announce(
    State(shared): State<Shared>,
    body: Result<Json<Arrival>, JsonRejection>,
) -> Result<StatusCode, Refusal> {
    let Arrival { ticket } = json(body, "`ticket`, a text")?;
    let join = shared.joins.lock().take(&ticket, Instant::now());
    let Some(Join { user_id, group }) = join else {
        return Err(Refusal::new(
            StatusCode::FORBIDDEN,
            "The ticket is unknown, used or expired.",
        ));
    };
    shared
        .service
        .group(group)
        .send_to_all(payload::Json(&Announcement::Joined { user: user_id }))
        .await
        .map_err(|error| service_failed("a join could not be announced", &error))?;
    Ok(StatusCode::NO_CONTENT)
}

/// The session and the user id of the caller: the known ones, or those of a new person.
fn recognise(
    shared: &Shared,
    name: PersonName,
    session: Option<String>,
    now: Instant,
) -> (String, String) {
    let mut people = shared.people.lock();
    if let Some(session) = session
        && let Some(person) = people.find(&session, now)
        && person.name == name
    {
        let user_id = person.user_id.clone();
        return (session, user_id);
    }
    let user_id = name.user_id(&tag());
    let session = people.issue(
        Person {
            name,
            user_id: user_id.clone(),
        },
        now,
    );
    (session, user_id)
}

fn tag() -> String {
    let mut rng = rand::rng();
    (0..TAG_LENGTH)
        .map(|_| char::from(TAG_ALPHABET[rng.random_range(0..TAG_ALPHABET.len())]))
        .collect()
}

/// The body, or a refusal that does not quote it: it may hold a session or a ticket.
fn json<T>(body: Result<Json<T>, JsonRejection>, members: &str) -> Result<T, Refusal> {
    body.map(|Json(value)| value).map_err(|rejection| {
        let text = match &rejection {
            JsonRejection::MissingJsonContentType(_) => {
                "The content type has to be application/json.".to_owned()
            }
            _ if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                "The body is too large.".to_owned()
            }
            _ => format!("The body has to be a JSON object with {members}."),
        };
        Refusal::new(rejection.status(), text)
    })
}

fn service_failed(what: &str, error: &(dyn Error + 'static)) -> Refusal {
    tracing::warn!(error = describe(error), "{what}");
    Refusal::new(
        StatusCode::BAD_GATEWAY,
        "The Web PubSub service could not be reached.",
    )
}
