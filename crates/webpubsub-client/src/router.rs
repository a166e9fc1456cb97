//! Typed handlers for messages.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::pin::Pin;

use bytestring::ByteString;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use serde::de::DeserializeOwned;
use webpubsub_protocol::name::{GroupName, InvalidName};

use crate::client::WebPubSubClient;
use crate::event::Event;
use crate::events::{Events, Held};
use crate::message::{GroupMessage, ServerMessage};

/// How many handlers run at the same time unless you say otherwise.
const CONCURRENCY: usize = 16;

/// Calls typed handlers for messages, by their group and by the type of their data.
///
/// The messages of one group are handled one after the other, in the order of their arrival, and so are those of the server.
/// Messages of different groups are handled concurrently, by default up to 16 at once. Messages that wait for a handler count
/// as waiting in the inbox, so [`Overflow`](crate::Overflow) determines what happens if there are too many.
///
/// If several handlers match a group, the first one that can read the data is called. A message that no handler takes is
/// passed to [`unhandled`](Self::unhandled), or else logged.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let emulator = webpubsub_emulator::Emulator::start().await?;
/// # let url = emulator.client_access_url("chat", "ana", &["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"]);
/// use webpubsub_client::{MessageContext, MessageRouter, WebPubSubClient, payload};
///
/// #[derive(serde::Deserialize, serde::Serialize)]
/// struct Chat {
///     text: String,
/// }
///
/// let (client, events) = WebPubSubClient::connect_with_events(url).await?;
/// client.join_group("room-7").await?;
/// client.send_to_group("room-7", payload::Json(Chat { text: "hi".into() })).await?;
///
/// MessageRouter::new()
///     .group("room-7", |chat: Chat, cx: MessageContext| async move {
///         assert_eq!(chat.text, "hi");
///         cx.client.stop().await; // ends `serve`
///     })?
///     .serve(client, events)
///     .await;
/// # Ok(())
/// # }
/// ```
#[derive(Default)]
#[must_use = "nothing is handled before `serve`"]
pub struct MessageRouter {
    groups: Vec<(Option<GroupName>, GroupHandler)>,
    server: Vec<ServerHandler>,
    unhandled: Option<GroupHandler>,
    on_event: Option<EventHandler>,
    concurrency: Option<usize>,
}

type Handling = Pin<Box<dyn Future<Output = ()> + Send>>;
type GroupHandler = Box<dyn Fn(&GroupMessage, &MessageContext) -> Option<Handling> + Send + Sync>;
type ServerHandler = Box<dyn Fn(&ServerMessage, &MessageContext) -> Option<Handling> + Send + Sync>;
type EventHandler = Box<dyn Fn(&Event) + Send + Sync>;

/// What a handler gets in addition to the data.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct MessageContext {
    /// The client, to answer.
    pub client: WebPubSubClient,
    /// The whole message; `None` for messages of the server.
    pub message: Option<GroupMessage>,
}

impl MessageContext {
    /// The group of the message; `None` for messages of the server.
    #[must_use]
    pub fn group(&self) -> Option<&GroupName> {
        self.message.as_ref().map(|message| &message.group)
    }
}

impl MessageRouter {
    /// A router without handlers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Handles the messages of one group whose JSON can be read as a `T`.
    ///
    /// # Errors
    ///
    /// If the name of the group is not valid, because no message could ever arrive.
    pub fn group<T, H, F>(
        self,
        group: impl Into<ByteString>,
        handler: H,
    ) -> Result<Self, InvalidName>
    where
        T: DeserializeOwned,
        H: Fn(T, MessageContext) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        Ok(self.add_group(Some(GroupName::new(group)?), handler))
    }

    /// Handles the messages of any group whose JSON can be read as a `T`.
    pub fn any_group<T, H, F>(self, handler: H) -> Self
    where
        T: DeserializeOwned,
        H: Fn(T, MessageContext) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        self.add_group(None, handler)
    }

    fn add_group<T, H, F>(mut self, group: Option<GroupName>, handler: H) -> Self
    where
        T: DeserializeOwned,
        H: Fn(T, MessageContext) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let handler = move |message: &GroupMessage, context: &MessageContext| -> Option<Handling> {
            let data = message.json().ok()?;
            Some(Box::pin(handler(data, context.clone())))
        };
        self.groups.push((group, Box::new(handler)));
        self
    }

    /// Handles the messages of the server whose JSON can be read as a `T`.
    pub fn server<T, H, F>(mut self, handler: H) -> Self
    where
        T: DeserializeOwned,
        H: Fn(T, MessageContext) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let handler =
            move |message: &ServerMessage, context: &MessageContext| -> Option<Handling> {
                let data = message.json().ok()?;
                Some(Box::pin(handler(data, context.clone())))
            };
        self.server.push(Box::new(handler));
        self
    }

    /// Handles the messages to groups that no other handler takes.
    pub fn unhandled<H, F>(mut self, handler: H) -> Self
    where
        H: Fn(GroupMessage, MessageContext) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let handler = move |message: &GroupMessage, context: &MessageContext| -> Option<Handling> {
            Some(Box::pin(handler(message.clone(), context.clone())))
        };
        self.unhandled = Some(Box::new(handler));
        self
    }

    /// Calls `handler` for every event when it is taken from the inbox, including messages. It must not block.
    pub fn on_event(mut self, handler: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.on_event = Some(Box::new(handler));
        self
    }

    /// Sets how many handlers may run at the same time, at least one. Default: 16.
    pub const fn concurrency(mut self, most: usize) -> Self {
        self.concurrency = Some(most);
        self
    }

    /// Handles messages until the client is stopped, then waits for the handlers that are still running.
    pub async fn serve(self, client: WebPubSubClient, mut events: Events) {
        let most = self.concurrency.unwrap_or(CONCURRENCY).max(1);
        let mut lanes = Lanes::default();
        let mut running = FuturesUnordered::new();
        loop {
            while running.len() < most
                && let Some((lane, handling)) = lanes.next()
            {
                running.push(run(lane, handling));
            }
            tokio::select! {
                Some(lane) = running.next(), if !running.is_empty() => lanes.done(lane),
                event = events.next_held(), if running.len() < most => {
                    let Some((event, held)) = event else { break };
                    if let Some(handler) = &self.on_event {
                        handler(&event);
                    }
                    match event {
                        Event::GroupMessage(message) => self.route_group(&client, message, held, &mut lanes),
                        Event::ServerMessage(message) => self.route_server(&client, &message, held, &mut lanes),
                        Event::Stopped { .. } | Event::Overflowed => break,
                        _ => {}
                    }
                }
            }
        }
        drop(events);
        loop {
            while running.len() < most
                && let Some((lane, handling)) = lanes.next()
            {
                running.push(run(lane, handling));
            }
            let Some(lane) = running.next().await else {
                break;
            };
            lanes.done(lane);
        }
    }

    fn route_group(
        &self,
        client: &WebPubSubClient,
        message: GroupMessage,
        held: Held,
        lanes: &mut Lanes,
    ) {
        let lane = Some(message.group.clone());
        let context = MessageContext {
            client: client.clone(),
            message: Some(message.clone()),
        };
        let matches =
            |group: &Option<GroupName>| group.as_ref().is_none_or(|group| *group == message.group);
        let handlers = self
            .groups
            .iter()
            .filter(|(group, _)| matches(group))
            .map(|(_, handler)| handler);
        let handling = handlers
            .chain(&self.unhandled)
            .find_map(|handler| handler(&message, &context));
        match handling {
            Some(handling) => lanes.push(lane, handling, held),
            None => tracing::debug!(group = %message.group, "no handler takes this message"),
        }
    }

    fn route_server(
        &self,
        client: &WebPubSubClient,
        message: &ServerMessage,
        held: Held,
        lanes: &mut Lanes,
    ) {
        let context = MessageContext {
            client: client.clone(),
            message: None,
        };
        match self
            .server
            .iter()
            .find_map(|handler| handler(message, &context))
        {
            Some(handling) => lanes.push(None, handling, held),
            None => tracing::debug!("no handler takes this message of the server"),
        }
    }
}

impl fmt::Debug for MessageRouter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageRouter")
            .field("groups", &self.groups.len())
            .field("server", &self.server.len())
            .finish_non_exhaustive()
    }
}

async fn run(lane: Option<GroupName>, handling: Handling) -> Option<GroupName> {
    handling.await;
    lane
}

/// Waiting work, one queue per group: only one of each runs at a time.
#[derive(Default)]
struct Lanes {
    /// A lane is here while one of its handlers runs, with what waits behind it.
    busy: BTreeMap<Option<GroupName>, VecDeque<(Handling, Held)>>,
    ready: VecDeque<(Option<GroupName>, Handling)>,
}

impl Lanes {
    /// What has to wait counts as waiting in the inbox, so that a busy lane holds the service back.
    fn push(&mut self, lane: Option<GroupName>, handling: Handling, held: Held) {
        match self.busy.get_mut(&lane) {
            Some(waiting) => waiting.push_back((handling, held)),
            None => {
                self.busy.insert(lane.clone(), VecDeque::new());
                self.ready.push_back((lane, handling));
            }
        }
    }

    fn next(&mut self) -> Option<(Option<GroupName>, Handling)> {
        self.ready.pop_front()
    }

    fn done(&mut self, lane: Option<GroupName>) {
        match self.busy.get_mut(&lane).and_then(VecDeque::pop_front) {
            Some((handling, _)) => self.ready.push_back((lane, handling)),
            None => {
                self.busy.remove(&lane);
            }
        }
    }
}
