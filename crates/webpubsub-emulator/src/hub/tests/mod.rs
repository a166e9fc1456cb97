//! The hub without sockets: time and connections belong to the test.

mod calls;
mod group_state;
mod groups;
mod lifecycle;
mod limits;
mod messages;
mod notices;
mod recovery;
mod streams;

use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use webpubsub_protocol::access::AccessKey;
use webpubsub_protocol::filter::Filter;
use webpubsub_protocol::frame::{ClientFrame, json};
use webpubsub_protocol::metadata::Metadata;
use webpubsub_protocol::name::{ConnectionId, GroupName, UserId};
use webpubsub_protocol::payload::Payload;
use webpubsub_protocol::permission::Permission;

use super::*;
use crate::clock::Clock;
use crate::ids::Ids;

const ALL_ROLES: [&str; 4] = [
    "webpubsub.joinLeaveGroup",
    "webpubsub.sendToGroup",
    "webpubsub.getGroupState",
    "webpubsub.setGroupState",
];

/// A hub and a clock that stands still.
struct World {
    state: HubState,
    clock: Clock,
    /// What the last changes asked for.
    effects: Effects,
}

/// A connection whose outbox the test reads.
#[derive(Clone)]
struct Client(Attachment);

impl World {
    fn new() -> Self {
        Self::with(
            OutboxLimits {
                frames: 1000,
                bytes: 16 << 20,
            },
            false,
        )
    }

    fn with(limits: OutboxLimits, has_handler: bool) -> Self {
        let settings = HubSettings {
            outbox: limits,
            replay: limits,
            ack_ids: 1000,
            open_streams: 100,
            close_failed_events_normally: false,
            recovery_window: Duration::from_secs(30),
            connected_on_recovery: true,
            access_key: AccessKey::new("a key of the tests"),
            has_handler,
        };
        let state = HubState::new(settings, Ids::new(Some(1), "hub"));
        Self {
            state,
            clock: Clock::manual(),
            effects: Effects::default(),
        }
    }

    fn connect_with(&mut self, request: OpenRequest) -> Client {
        let now = self.clock.now();
        let (ticket, _) = self.state.open(now, request, &mut self.effects);
        let accepted = self
            .state
            .accept(now, ticket, Overrides::default(), &mut self.effects);
        Client::strict(accepted.expect("accepted"))
    }

    /// A JSON client with all permissions whose `connected` frame was read.
    fn connect(&mut self, id: &str, user: Option<&str>, groups: &[&str]) -> Client {
        let client = self.connect_with(request(id, user, groups, WireForm::Json));
        assert!(client.frames(self)[0].contains(r#""event":"connected""#));
        client
    }

    /// As [`connect`](Self::connect), on the reliable subprotocol.
    fn connect_reliable(&mut self, id: &str, groups: &[&str]) -> Client {
        let request = request(id, Some(id), groups, WireForm::Json);
        let client = self.connect_with(OpenRequest {
            reliable: true,
            ..request
        });
        assert!(client.frames(self)[0].contains(r#""reconnectionToken":""#));
        client
    }

    fn lose(&mut self, client: &Client, gone: Gone) {
        let now = self.clock.now();
        self.state
            .socket_gone(now, client.0.key, client.0.epoch, gone, &mut self.effects);
    }

    fn recover(&mut self, id: &str) -> Result<Client, Refusal> {
        let now = self.clock.now();
        let recovered = self.state.recover(now, id, &mut self.effects)?;
        recovered.outbox.let_go();
        Ok(Client::strict(recovered))
    }

    /// Moves time and lets what is due happen.
    fn pass(&mut self, by: Duration) {
        self.clock.advance(by);
        let now = self.clock.now();
        self.state.handle_timeout(now, &mut self.effects);
    }

    fn say(&mut self, client: &Client, frame: &str) {
        let received = json::decode_client(frame.to_owned()).expect("a frame");
        self.receive(client, Received::frame(received, frame.len()));
    }

    fn receive(&mut self, client: &Client, received: Received) {
        let now = self.clock.now();
        self.state.receive(
            now,
            client.0.key,
            client.0.epoch,
            received,
            &mut self.effects,
        );
    }

    fn send(&mut self, target: &Target, selection: &Selection, text: &str) {
        let outgoing = Outgoing {
            payload: Payload::text(text.to_owned()),
            metadata: Metadata::default(),
            ttl_seconds: 0,
        };
        self.state.send(
            self.clock.now(),
            target,
            selection,
            outgoing,
            &mut self.effects,
        );
    }

    fn call(&mut self) -> UpstreamCall {
        assert_eq!(self.effects.calls.len(), 1, "one call at a time");
        self.effects.calls.remove(0)
    }

    fn answer(&mut self, call: &UpstreamCall, result: Result<Reply, HandlerFailed>) {
        self.state
            .upstream_done(self.clock.now(), call.token, result, &mut self.effects);
    }
}

impl Client {
    /// A client that reads when the test likes: its limits are strict.
    fn strict(attachment: Attachment) -> Self {
        let client = Self(attachment);
        client.be_strict();
        client
    }

    fn be_strict(&self) {
        let (outbox, epoch) = (&self.0.outbox, self.0.epoch);
        outbox.set_reads(epoch, false).expect("room");
        outbox.set_unacknowledging(epoch).expect("room");
    }

    /// What waits in the outbox.
    fn drain(&self, world: &World) -> Vec<WireFrame> {
        self.look(world, usize::MAX).1
    }

    fn look(&self, world: &World, frames: usize) -> (Found, Vec<WireFrame>) {
        let bytes = usize::MAX;
        let cx = Context::from_waker(Waker::noop());
        let (now, batch) = (world.clock.mono(), Batch { frames, bytes });
        let mut waiting = Vec::new();
        let found = self
            .0
            .outbox
            .poll(&cx, self.0.epoch, now, batch, |it| waiting.push(it));
        (found, waiting.into_iter().map(WireFrame::from).collect())
    }

    /// What waits in the outbox, as text.
    fn frames(&self, world: &World) -> Vec<String> {
        let text = |frame: WireFrame| match frame.kind() {
            FrameKind::Text => String::from_utf8(frame.payload().into()).expect("text"),
            _ => format!("{:?}", frame.payload()),
        };
        self.drain(world).into_iter().map(text).collect()
    }

    fn is_paused(&self, world: &World) -> bool {
        self.look(world, 0).0.is_paused
    }

    fn close(&self, world: &World) -> Option<(u16, String)> {
        match self.look(world, usize::MAX).0.line {
            Line::Open | Line::NotYet | Line::Superseded => None,
            Line::Closed { .. } => {
                let close = self.0.outbox.closing();
                close.map(|close| (close.code, close.reason))
            }
        }
    }
}

fn request(id: &str, user: Option<&str>, groups: &[&str], form: WireForm) -> OpenRequest {
    OpenRequest {
        id: Some(ConnectionId::new(id.to_owned()).expect("an id")),
        user: user.map(|user| UserId::new(user.to_owned()).expect("a user")),
        token_expires_at: None,
        roles: ALL_ROLES.map(str::to_owned).to_vec(),
        groups: groups.iter().map(|name| group(name)).collect(),
        form,
        reliable: false,
        protocol: (form == WireForm::Json).then(|| "json.webpubsub.azure.v1".into()),
        raw_mode: RawMode::SendEvent,
        timeout: OPEN_TIMEOUT,
        session: Arc::default(),
    }
}

fn group(name: &str) -> GroupName {
    GroupName::new(name.to_owned()).expect("a group")
}

fn server_text(text: &str) -> String {
    format!(r#"{{"type":"message","from":"server","dataType":"text","data":"{text}"}}"#)
}
