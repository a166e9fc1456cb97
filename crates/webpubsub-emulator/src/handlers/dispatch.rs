//! From an event to the handler that takes it, and back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::{HeaderValue, StatusCode};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use webpubsub_protocol::access::AccessKey;
use webpubsub_protocol::cloud_event::{
    ConnectData, DisconnectedData, EventType, GroupData, VALIDATE,
};
use webpubsub_protocol::metadata::Metadata;
use webpubsub_protocol::name::{ConnectionId, HubName, UserId};
use webpubsub_protocol::payload::Payload;

use super::answer::{self, Accepted, Answer, Unusable};
use super::client::Client;
use super::exchange::Failure;
use super::health::Healths;
use super::interception::Interception;
use super::probe::{self, Probe, Probes};
use super::request::Event;
use super::session::Session;
use super::settings::{AnonymousConnectPolicy, EventHandler, HubOptions, Target};
use crate::clock::Clock;
use crate::counters::Counters;
use crate::faults::{FaultStore, Place};
use crate::hub::{
    CLOSE_DRAIN, GroupEvents, HandlerFailed, Notice, NoticeKind, Reply, Upstream, UpstreamCall,
};
use crate::ids::Ids;
use crate::traffic::{Excerpt, Log, TrafficEvent};

/// The event handlers of all hubs.
#[derive(Clone)]
pub(crate) struct Handlers(pub(super) Arc<Shared>);

/// What the handlers share with the rest of the service.
pub(crate) struct Context {
    pub(crate) clock: Clock,
    /// How many requests with events of one hub may be under way at a time; more wait.
    pub(crate) concurrency: usize,
    /// Sign events, the primary one first.
    pub(crate) keys: Vec<AccessKey>,
    pub(crate) seed: Option<u64>,
    pub(crate) traffic: Arc<Log>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) faults: Arc<FaultStore>,
    /// Answers the user events that no handler takes.
    pub(crate) fallback: Option<Arc<dyn Upstream>>,
}

pub(super) struct Shared {
    pub(super) context: Context,
    pub(super) client: Arc<Client>,
    pub(super) probes: Probes,
    pub(super) healths: Healths,
    pub(super) request_ids: Mutex<Ids>,
    /// Replaced as a whole; the options of one event never change while it is handled.
    options: Mutex<Arc<BTreeMap<HubName, HubOptions>>>,
    /// Limits the requests in progress of each hub that has handlers.
    places: Mutex<BTreeMap<HubName, Arc<Semaphore>>>,
    /// The URLs that have been probed, so that a reload probes only new ones.
    tried_out: Mutex<BTreeSet<String>>,
    /// Events come from anywhere, also from a runtime that is about to end.
    runtime: Handle,
    /// Events that nobody waits for.
    notices: TaskTracker,
    abort: CancellationToken,
}

/// A client that wants to connect.
pub(crate) struct Connecting {
    pub(crate) hub: HubName,
    pub(crate) connection_id: ConnectionId,
    pub(crate) user_id: Option<UserId>,
    pub(crate) session: Arc<Session>,
    pub(crate) data: ConnectData,
}

/// Why a client may not connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConnectRefused {
    /// The handler said so, with this status.
    ByHandler(StatusCode),
    /// The handler gave no answer that can be used. Its cause is logged where it happened.
    HandlerFailed,
}

impl Handlers {
    /// On the current tokio runtime.
    pub(crate) fn new(context: Context, options: BTreeMap<HubName, HubOptions>) -> Self {
        Self(Arc::new(Shared {
            client: Arc::new(Client::new(context.clock.clone())),
            probes: Probes::default(),
            healths: Healths::default(),
            request_ids: Mutex::new(Ids::new(context.seed, "requests to event handlers")),
            options: Mutex::new(Arc::new(options)),
            places: Mutex::default(),
            tried_out: Mutex::default(),
            runtime: Handle::current(),
            notices: TaskTracker::new(),
            abort: CancellationToken::new(),
            context,
        }))
    }

    /// The options of all hubs, as they are now.
    pub(crate) fn options(&self) -> Arc<BTreeMap<HubName, HubOptions>> {
        Arc::clone(&self.0.options.lock())
    }

    pub(crate) fn set_options(&self, options: BTreeMap<HubName, HubOptions>) {
        self.0.healths.retain(&options);
        *self.0.options.lock() = Arc::new(options);
    }

    /// Which changes of groups are reported to the handlers of a hub.
    pub(crate) fn group_events(&self, hub: &HubName) -> GroupEvents {
        GroupEvents {
            joined: self.of(hub, &EventType::GroupJoined).is_some(),
            left: self.of(hub, &EventType::GroupLeft).is_some(),
        }
    }

    /// Whether clients without a token may connect to a hub.
    pub(crate) fn admits_anonymous(&self, hub: &HubName) -> bool {
        let options = self.options();
        let policy = options.get(hub).map(|options| options.anonymous_connect);
        policy == Some(AnonymousConnectPolicy::Allow)
    }

    /// The handler that takes the `connect` events of a hub.
    pub(crate) fn of_connect(&self, hub: &HubName) -> Option<EventHandler> {
        self.of(hub, &EventType::Connect)
    }

    pub(super) fn of(&self, hub: &HubName, event: &EventType) -> Option<EventHandler> {
        let options = self.options();
        options.get(hub)?.handler_of(event).cloned()
    }

    /// Asks a handler whether a client may connect.
    ///
    /// # Errors
    ///
    /// The handler refuses the client, or gives no usable answer.
    pub(crate) async fn connect(
        &self,
        handler: &EventHandler,
        client: Connecting,
    ) -> Result<Accepted, ConnectRefused> {
        let event = Event {
            kind: EventType::Connect,
            id: 0,
            hub: client.hub,
            connection_id: client.connection_id,
            user_id: client.user_id,
            subprotocol: None,
            content_type: "application/json",
            body: json(&client.data),
            metadata: Metadata::default(),
        };
        let turn = client.session.turn(event.id);
        let session = client.session;
        let judge = |answer: Answer| {
            let accepted = answer::connect(&answer)?;
            keep_state(&session, answer::state(&answer.headers));
            Ok(accepted)
        };
        let result = self.ask(handler, &event, turn, judge).await;
        result.map_err(|failure| match failure {
            Failure::Unusable(Unusable::Status(status))
                if status.is_client_error() || status.is_server_error() =>
            {
                ConnectRefused::ByHandler(status)
            }
            _ => ConnectRefused::HandlerFailed,
        })
    }

    /// Probes the handlers at URLs that have not been probed before, and logs the results.
    pub(crate) fn try_out(&self, origin: &str) {
        for (hub, options) in self.options().iter() {
            for handler in options.event_handlers.iter().filter(|it| it.validated) {
                let Target::Url(template) = &handler.target else {
                    continue;
                };
                let url = template.fill(hub.as_str(), VALIDATE);
                if !self.0.tried_out.lock().insert(url.to_string()) {
                    continue;
                }
                let probe = Probe {
                    target: handler.target.clone(),
                    url,
                    origin: origin.to_owned(),
                };
                let shared = Arc::clone(&self.0);
                self.spawn(async move {
                    probe::try_out(&shared.client, &shared.context.clock, &probe).await;
                });
            }
        }
    }

    /// Waits until events in progress are delivered, for at most 5 s by the machine's time, even where our clock stands still.
    pub(crate) async fn shutdown(&self) {
        self.0.notices.close();
        if tokio::time::timeout(CLOSE_DRAIN, self.0.notices.wait())
            .await
            .is_err()
        {
            let events = self.0.notices.len();
            tracing::warn!(events, "event handlers did not answer in time");
        }
        self.0.abort.cancel();
        self.0.notices.wait().await;
    }

    /// Hands an event that no handler takes to the closure for user events, unless it is to fail on purpose.
    fn call_fallback(
        &self,
        hub: &HubName,
        call: UpstreamCall,
    ) -> BoxFuture<'static, Result<Reply, HandlerFailed>> {
        if !self.0.context.faults.concern(Place::Handler) {
            return self.call_closure(hub, call);
        }
        let (handlers, hub) = (self.clone(), hub.clone());
        async move {
            let context = &handlers.0.context;
            let interception = Interception {
                faults: &context.faults,
                hub: &hub,
                connection_id: &call.raised.connection_id,
                user_id: call.raised.user_id.as_ref(),
                event: call.event.as_str(),
            };
            let deadline = context.clock.mono() + EventHandler::TIMEOUT;
            let answer = handlers.0.client.before(deadline, interception.answer());
            match answer.await {
                Some(None) => handlers.call_closure(&hub, call).await,
                _ => Err(HandlerFailed),
            }
        }
        .boxed()
    }

    /// Hands an event that no handler takes to the closure for user events, if there is one.
    fn call_closure(
        &self,
        hub: &HubName,
        call: UpstreamCall,
    ) -> BoxFuture<'static, Result<Reply, HandlerFailed>> {
        let Context {
            fallback,
            clock,
            traffic,
            ..
        } = &self.0.context;
        let Some(fallback) = fallback else {
            tracing::debug!(%hub, event = %call.event, "no event handler takes this event");
            return std::future::ready(Err(HandlerFailed)).boxed();
        };
        if !traffic.is_read() {
            return fallback.call(hub, call);
        }
        let excerpt = |payload: &Payload| Excerpt::of(&Event::body_of(payload).1);
        let (clock, traffic, hub_name) = (clock.clone(), Arc::clone(traffic), hub.clone());
        let (connection_id, user_id, event_id) = (
            call.raised.connection_id.clone(),
            call.raised.user_id.clone(),
            call.raised.turn.event_id(),
        );
        let (event, request) = (call.event.to_string(), excerpt(&call.payload));
        let began = clock.mono();
        let answer = fallback.call(hub, call);
        async move {
            let reply = answer.await;
            let payload = |payload: &Payload| traffic.excerpt(|| excerpt(payload));
            traffic.note(|| TrafficEvent::HandlerCall {
                hub: hub_name,
                connection_id,
                user_id,
                event,
                event_id,
                request: traffic.excerpt(|| request),
                status: None,
                answer: reply
                    .as_ref()
                    .ok()
                    .and_then(|reply| reply.payload.as_ref().and_then(payload)),
                succeeded: reply.is_ok(),
                failure: match &reply {
                    Ok(_) => None,
                    Err(HandlerFailed) => Some("the closure failed".to_owned()),
                },
                sent: None,
                took: clock.mono().saturating_duration_since(began),
            });
            reply
        }
        .boxed()
    }

    /// Where the events of a hub wait for a place among the requests under way.
    pub(super) fn places(&self, hub: &HubName) -> Arc<Semaphore> {
        let mut places = self.0.places.lock();
        let new = || Arc::new(Semaphore::new(self.0.context.concurrency));
        Arc::clone(places.entry(hub.clone()).or_insert_with(new))
    }

    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let abort = self.0.abort.clone();
        self.0.runtime.spawn(async move {
            abort.run_until_cancelled(task).await;
        });
    }
}

impl Upstream for Handlers {
    fn call(
        &self,
        hub: &HubName,
        call: UpstreamCall,
    ) -> BoxFuture<'static, Result<Reply, HandlerFailed>> {
        let kind = EventType::User(call.event.as_shared().clone());
        let Some(handler) = self.of(hub, &kind) else {
            return self.call_fallback(hub, call);
        };
        let (content_type, body) = Event::body_of(&call.payload);
        let event = Event {
            kind,
            id: call.raised.turn.event_id(),
            hub: hub.clone(),
            connection_id: call.raised.connection_id,
            user_id: call.raised.user_id,
            subprotocol: call.raised.subprotocol,
            content_type,
            body,
            metadata: call.metadata,
        };
        let turn = call.raised.turn;
        let handlers = self.clone();
        async move {
            let session = Arc::clone(turn.session());
            let judge = |answer: Answer| {
                let state = answer::state(&answer.headers);
                let reply = answer::user_event(answer)?;
                keep_state(&session, state);
                Ok(reply)
            };
            let reply = handlers.ask(&handler, &event, turn, judge).await;
            reply.map_err(|_| HandlerFailed)
        }
        .boxed()
    }

    fn notify(&self, hub: &HubName, notice: Notice) {
        let (kind, body) = match notice.kind {
            NoticeKind::Connected => (EventType::Connected, Bytes::from_static(b"{}")),
            NoticeKind::Disconnected(reason) => {
                let data = DisconnectedData {
                    reason: Some(reason.to_string()),
                    mqtt: None,
                };
                (EventType::Disconnected, json(&data))
            }
            NoticeKind::Joined(group) => {
                let group = group.to_string();
                (EventType::GroupJoined, json(&GroupData { group }))
            }
            NoticeKind::Left(group) => {
                let group = group.to_string();
                (EventType::GroupLeft, json(&GroupData { group }))
            }
        };
        let Some(handler) = self.of(hub, &kind) else {
            return;
        };
        let event = Event {
            kind,
            id: notice.raised.turn.event_id(),
            hub: hub.clone(),
            connection_id: notice.raised.connection_id,
            user_id: notice.raised.user_id,
            subprotocol: notice.raised.subprotocol,
            content_type: "application/json",
            body,
            metadata: Metadata::default(),
        };
        let turn = notice.raised.turn;
        let handlers = self.clone();
        let tracked = self.0.notices.token();
        self.spawn(async move {
            let _tracked = tracked;
            let judge = |answer: Answer| match answer.status.is_success() {
                true => Ok(()),
                false => Err(Unusable::Status(answer.status)),
            };
            // A failure is logged, and nobody else wants to know.
            let _ = handlers.ask(&handler, &event, turn, judge).await;
        });
    }
}

fn keep_state(session: &Session, state: Option<HeaderValue>) {
    if let Some(state) = state {
        session.set_state(state);
    }
}

fn json(data: &impl serde::Serialize) -> Bytes {
    Bytes::from(serde_json::to_vec(data).expect("strings and lists always serialise"))
}
