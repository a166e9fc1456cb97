//! The hub without sockets: time and connections belong to the test.

use std::sync::Arc;
use std::time::Duration;

use webpubsub_protocol::filter::Filter;
use webpubsub_protocol::frame::{ClientFrame, json};
use webpubsub_protocol::metadata::Metadata;
use webpubsub_protocol::name::{ConnectionId, GroupName, UserId};
use webpubsub_protocol::payload::Payload;
use webpubsub_protocol::permission::Permission;

use super::*;
use crate::clock::Clock;
use crate::ids::Ids;

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
        let state = HubState::new(limits, Ids::new(Some(1), "hub"), has_handler);
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
        Client(accepted.expect("accepted"))
    }

    /// A JSON client with all permissions whose `connected` frame was read.
    fn connect(&mut self, id: &str, user: Option<&str>, groups: &[&str]) -> Client {
        let client = self.connect_with(request(id, user, groups, WireForm::Json));
        assert!(client.frames(self)[0].contains(r#""event":"connected""#));
        client
    }

    fn say(&mut self, client: &Client, frame: &str) {
        let frame = json::decode_client(frame.to_owned()).expect("a frame");
        self.receive(client, Received::Frame(frame));
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
    /// What waits in the outbox, as text.
    fn frames(&self, world: &World) -> Vec<String> {
        let mut frames = Vec::new();
        self.0
            .outbox
            .drain(world.clock.now().mono, usize::MAX, &mut frames);
        let text = |frame| match frame {
            Frame::Text(text) => text.to_string(),
            Frame::Binary(bytes) => format!("{bytes:?}"),
        };
        frames.into_iter().map(text).collect()
    }

    fn close(&self, world: &World) -> Option<(u16, String)> {
        match self
            .0
            .outbox
            .drain(world.clock.now().mono, usize::MAX, &mut Vec::new())
        {
            Drained::Open => None,
            Drained::Closed(close) => Some((close.code, close.reason)),
        }
    }
}

fn request(id: &str, user: Option<&str>, groups: &[&str], form: WireForm) -> OpenRequest {
    OpenRequest {
        id: Some(ConnectionId::new(id.to_owned()).expect("an id")),
        user: user.map(|user| UserId::new(user.to_owned()).expect("a user")),
        roles: vec![
            "webpubsub.joinLeaveGroup".into(),
            "webpubsub.sendToGroup".into(),
        ],
        groups: groups.iter().map(|name| group(name)).collect(),
        form,
        protocol: (form == WireForm::Json).then(|| "json.webpubsub.azure.v1".into()),
        raw_mode: RawMode::SendEvent,
    }
}

fn group(name: &str) -> GroupName {
    GroupName::new(name.to_owned()).expect("a group")
}

fn server_text(text: &str) -> String {
    format!(r#"{{"type":"message","from":"server","dataType":"text","data":"{text}"}}"#)
}

#[test]
fn connected_comes_first_and_token_groups_are_joined() {
    // req: S-2-8
    let mut world = World::new();
    let client = world.connect_with(request("c1", Some("ana"), &["g"], WireForm::Json));
    world.send(&Target::Group(group("g")), &Selection::default(), "hi");
    assert_eq!(
        client.frames(&world),
        [
            r#"{"type":"system","event":"connected","userId":"ana","connectionId":"c1"}"#,
            r#"{"type":"message","from":"group","fromUserId":null,"group":"g","dataType":"text","data":"hi"}"#,
        ]
    );
}

#[test]
fn a_ticket_is_good_once_and_for_a_while() {
    let mut world = World::new();
    let fresh = |world: &mut World| {
        let request = request("c1", None, &[], WireForm::Json);
        world
            .state
            .open(world.clock.now(), request, &mut world.effects)
            .0
    };
    let accept = |world: &mut World, ticket| {
        let now = world.clock.now();
        world
            .state
            .accept(now, ticket, Overrides::default(), &mut world.effects)
            .is_some()
    };

    let rejected = fresh(&mut world);
    world.state.reject(rejected);
    assert!(!accept(&mut world, rejected));

    let late = fresh(&mut world);
    assert!(world.effects.deadline_moved);
    let due = world.state.poll_timeout().expect("a deadline");
    assert_eq!(due, world.clock.now().mono + Duration::from_secs(100));
    world.clock.advance(Duration::from_secs(100));
    world.state.handle_timeout(world.clock.now());
    assert!(!accept(&mut world, late), "its time was over");

    let first = fresh(&mut world);
    let second = fresh(&mut world);
    assert!(accept(&mut world, first));
    assert!(!accept(&mut world, first));
    assert!(!accept(&mut world, second), "the id is taken");
    assert_eq!(world.state.snapshot().connections.len(), 1);
}

#[test]
fn the_connect_answer_replaces_what_the_token_said() {
    let mut world = World::new();
    let now = world.clock.now();
    let request = request("c1", Some("ana"), &["token"], WireForm::Json);
    let (ticket, _) = world.state.open(now, request, &mut world.effects);
    let overrides = Overrides {
        user: Some(Some(UserId::new("bob").expect("a user"))),
        roles: Some(Vec::new()),
        groups: Some(vec![group("answer")]),
    };
    let client = Client(
        world
            .state
            .accept(now, ticket, overrides, &mut world.effects)
            .expect("accepted"),
    );
    assert!(world.state.user_exists("bob") && !world.state.user_exists("ana"));
    assert!(world.state.group_exists("answer") && !world.state.group_exists("token"));
    client.frames(&world);
    world.say(&client, r#"{"type":"joinGroup","group":"x","ackId":1}"#);
    assert!(client.frames(&world)[0].contains("Forbidden"));
}

#[test]
fn targets_exclusions_and_filters_select() {
    let mut world = World::new();
    let a = world.connect("a", Some("user1"), &["g1", "g2"]);
    let b = world.connect("b", Some("user2"), &["g1"]);
    let c = world.connect("c", None, &[]);
    let mut reached = |target: Target, excluded: &[&str], filter: Option<&str>| -> String {
        let selection = Selection {
            excluded: excluded.iter().map(|&id| id.to_owned()).collect(),
            filter: filter.map(|text| Filter::parse(text).expect("a filter")),
        };
        world.send(&target, &selection, "x");
        [(&a, 'a'), (&b, 'b'), (&c, 'c')]
            .into_iter()
            .filter(|(client, _)| !client.frames(&world).is_empty())
            .map(|(_, name)| name)
            .collect()
    };
    let user = |name| Target::User(UserId::new(name).expect("a user"));
    let id = |name| Target::Connection(ConnectionId::new(name).expect("an id"));

    assert_eq!(reached(Target::All, &[], None), "abc");
    assert_eq!(reached(Target::All, &["a", "nobody"], None), "bc");
    assert_eq!(
        reached(Target::All, &["a,b"], None),
        "abc",
        "no comma lists"
    );
    assert_eq!(reached(Target::All, &[], Some("userId eq null")), "c");
    assert_eq!(reached(Target::All, &["b"], Some("'g1' in groups")), "a");
    assert_eq!(reached(Target::Group(group("g1")), &[], None), "ab");
    assert_eq!(reached(Target::Group(group("G1")), &[], None), "");
    assert_eq!(reached(Target::Group(group("g1")), &["b"], None), "a");
    assert_eq!(reached(user("user1"), &[], None), "a");
    assert_eq!(reached(user("USER1"), &[], None), "");
    assert_eq!(reached(user("user1"), &[], Some("'g3' in groups")), "");
    assert_eq!(reached(id("c"), &[], None), "c");
    assert_eq!(reached(id("C"), &[], None), "");
}

#[test]
fn group_messages_carry_their_sender_and_echo_before_the_ack() {
    let mut world = World::new();
    let ana = world.connect("a", Some("ana"), &["g"]);
    let bob = world.connect("b", None, &["g"]);
    world.say(
        &ana,
        r#"{"type":"sendToGroup","group":"g","ackId":1,"dataType":"text","data":"hi"}"#,
    );
    let message = r#"{"type":"message","from":"group","fromUserId":"ana","group":"g","dataType":"text","data":"hi"}"#;
    assert_eq!(
        ana.frames(&world),
        [message, r#"{"type":"ack","ackId":1,"success":true}"#]
    );
    assert_eq!(bob.frames(&world), [message]);

    let quiet = r#"{"type":"sendToGroup","group":"g","ackId":2,"noEcho":true,"dataType":"text","data":"hi"}"#;
    world.say(&bob, quiet);
    assert_eq!(
        bob.frames(&world),
        [r#"{"type":"ack","ackId":2,"success":true}"#]
    );
    assert!(ana.frames(&world)[0].contains(r#""fromUserId":null"#));
}

#[test]
fn repeated_ack_ids_are_not_executed_again() {
    // req: S-6-2, S-6-3, S-6-4, S-6-6
    let mut world = World::new();
    let client = world.connect("a", None, &[]);
    world.say(&client, r#"{"type":"joinGroup","group":"g","ackId":0}"#);
    world.say(&client, r#"{"type":"leaveGroup","group":"g","ackId":0}"#);
    assert_eq!(
        client.frames(&world),
        [
            r#"{"type":"ack","ackId":0,"success":true}"#,
            r#"{"type":"ack","ackId":0,"success":false,"error":{"name":"Duplicate","message":"Message with ack-id: 0 has been processed"}}"#,
        ]
    );
    assert!(
        world.state.group_exists("g"),
        "the second frame was not executed"
    );

    // A failed request does not use up its id.
    let id = client.0.connection_id.as_str().to_owned();
    world
        .state
        .revoke(&id, Permission::JoinLeaveGroup, &group("h"))
        .expect("connected");
    world.say(&client, r#"{"type":"joinGroup","group":"h","ackId":1}"#);
    world
        .state
        .grant(&id, Permission::JoinLeaveGroup, &group("h"))
        .expect("connected");
    world.say(&client, r#"{"type":"joinGroup","group":"h","ackId":1}"#);
    assert_eq!(
        client.frames(&world),
        [
            r#"{"type":"ack","ackId":1,"success":false,"error":{"name":"Forbidden","message":"The client does not have permission to join group 'h'."}}"#,
            r#"{"type":"ack","ackId":1,"success":true}"#,
        ]
    );
}

#[test]
fn every_verb_names_itself_when_forbidden() {
    // req: S-6-7, S-6-11, S-4-6
    let mut world = World::new();
    let mut request = request("a", None, &[], WireForm::Json);
    request.roles.clear();
    let client = world.connect_with(request);
    client.frames(&world);
    world.say(&client, r#"{"type":"leaveGroup","group":"g","ackId":1}"#);
    world.say(
        &client,
        r#"{"type":"sendToGroup","group":"g","ackId":2,"data":1}"#,
    );
    world.say(&client, r#"{"type":"sendToGroup","group":"g","data":1}"#);
    let frames = client.frames(&world);
    assert!(frames[0].contains("permission to leave group 'g'."));
    assert!(frames[1].contains("permission to send to group 'g'."));
    assert_eq!(frames.len(), 2, "without an ack id nothing is said");
    assert_eq!(client.close(&world), None);
}

#[test]
fn events_without_a_handler_fail_but_keep_the_connection() {
    // req: S-4-12, S-6-8
    let mut world = World::new();
    let client = world.connect("a", None, &[]);
    world.say(
        &client,
        r#"{"type":"event","event":"e","ackId":1,"data":1}"#,
    );
    world.say(&client, r#"{"type":"event","event":"e","data":1}"#);
    assert_eq!(
        client.frames(&world),
        [
            r#"{"type":"ack","ackId":1,"success":false,"error":{"name":"InternalServerError","message":"Internal server error"}}"#
        ]
    );
    assert_eq!(client.close(&world), None);

    let raw = world.connect_with(request("r", None, &[], WireForm::Raw));
    world.receive(&raw, Received::Raw(Payload::text("x")));
    assert_eq!(
        raw.close(&world),
        Some((1011, "Internal server error".into()))
    );
    assert!(world.state.key_of("r").is_none());
}

#[test]
fn a_handler_call_holds_later_frames_back_but_not_pings() {
    // req: S-6-9, S-6-12, S-6-13, S-4-15
    let mut world = World::with(
        OutboxLimits {
            frames: 1000,
            bytes: 1 << 20,
        },
        true,
    );
    let client = world.connect("a", Some("ana"), &[]);
    world.say(
        &client,
        r#"{"type":"event","event":"e","ackId":1,"dataType":"text","data":"q"}"#,
    );
    world.say(&client, r#"{"type":"joinGroup","group":"g","ackId":2}"#);
    world.say(&client, r#"{"type":"ping"}"#);
    assert_eq!(client.frames(&world), [r#"{"type":"pong"}"#]);
    assert!(!world.state.group_exists("g"));

    let call = world.call();
    assert_eq!((call.event_id, call.event.as_str()), (1, "e"));
    assert_eq!(call.payload, Payload::text("q"));
    world.answer(
        &call,
        Ok(Reply {
            payload: Some(Payload::text("r")),
            metadata: Metadata::default(),
        }),
    );
    assert_eq!(
        client.frames(&world),
        [
            server_text("r"),
            r#"{"type":"ack","ackId":1,"success":true}"#.into(),
            r#"{"type":"ack","ackId":2,"success":true}"#.into(),
        ]
    );
    world.answer(&call, Ok(Reply::default()));
    assert!(
        client.frames(&world).is_empty(),
        "a second answer changes nothing"
    );

    // A failure does not use up the id; the retry is the next event.
    world.say(
        &client,
        r#"{"type":"event","event":"e","ackId":3,"data":1}"#,
    );
    let call = world.call();
    world.answer(&call, Err(HandlerFailed));
    assert!(client.frames(&world)[0].contains("InternalServerError"));
    world.say(
        &client,
        r#"{"type":"event","event":"e","ackId":3,"data":1}"#,
    );
    assert_eq!(world.call().event_id, 3);
}

#[test]
fn a_client_that_floods_a_busy_handler_is_not_read() {
    let mut world = World::with(
        OutboxLimits {
            frames: 1000,
            bytes: 1 << 20,
        },
        true,
    );
    let client = world.connect("a", None, &[]);
    let event = r#"{"type":"event","event":"e","data":1}"#;
    for _ in 0..64 {
        world.say(&client, event);
    }
    assert!(!client.0.outbox.is_paused(), "63 wait");
    world.say(&client, event);
    assert!(client.0.outbox.is_paused());
    let call = world.call();
    world.answer(&call, Ok(Reply::default()));
    assert!(!client.0.outbox.is_paused());
    assert_eq!(world.call().event_id, 2, "the next one is under way");
}

#[test]
fn the_end_of_a_connection_cancels_its_call() {
    // req: S-6-14, S-2-10
    let mut world = World::with(
        OutboxLimits {
            frames: 1000,
            bytes: 1 << 20,
        },
        true,
    );
    let client = world.connect("a", None, &["g"]);
    world.say(
        &client,
        r#"{"type":"event","event":"e","ackId":1,"data":1}"#,
    );
    let call = world.call();
    world
        .state
        .socket_gone(client.0.key, client.0.epoch, &mut world.effects);
    assert_eq!(world.effects.cancelled, [call.token]);
    assert!(world.state.calls.is_empty());
    assert!(!world.state.group_exists("g"));
    world.answer(&call, Ok(Reply::default()));
    assert!(client.frames(&world).is_empty());
}

#[test]
fn a_rest_close_says_why_in_the_last_frame_only() {
    let mut world = World::new();
    let json = world.connect("a", Some("u"), &["g"]);
    let raw = world.connect_with(request("r", Some("u"), &["g"], WireForm::Raw));
    let spared = world.connect("s", Some("u"), &["g"]);
    let now = world.clock.now();
    let target = Target::Group(group("g"));
    let excluded = ["s".to_owned()];
    let end = End::by_server(Some("bye"));
    world
        .state
        .close(now, &target, &excluded, &end, &mut world.effects);
    assert_eq!(
        json.frames(&world),
        [
            r#"{"type":"system","event":"disconnected","message":"Application server closed the connection. Reason: bye"}"#
        ]
    );
    assert_eq!(json.close(&world), Some((1000, String::new())));
    assert!(raw.frames(&world).is_empty());
    assert_eq!(raw.close(&world), Some((1000, String::new())));
    assert_eq!(spared.close(&world), None);
    assert!(world.state.key_of("a").is_none(), "gone at once");

    world.state.close(
        now,
        &Target::All,
        &[],
        &End::by_server(None),
        &mut world.effects,
    );
    assert!(spared.frames(&world)[0].ends_with(r#""Application server closed the connection."}"#));
    assert!(!world.state.user_exists("u") && !world.state.group_exists("g"));
}

#[test]
fn a_slow_client_is_closed_and_nobody_else_notices() {
    let mut world = World::with(
        OutboxLimits {
            frames: 2,
            bytes: 1 << 20,
        },
        false,
    );
    let slow = world.connect("slow", None, &["g"]);
    let quick = world.connect("quick", None, &["g"]);
    for text in ["1", "2", "3"] {
        world.send(&Target::Group(group("g")), &Selection::default(), text);
        assert_eq!(quick.frames(&world).len(), 1);
    }
    let frames = slow.frames(&world);
    assert_eq!(frames.len(), 3);
    assert!(frames[2].contains("The outbound message queue is full."));
    assert_eq!(
        slow.close(&world),
        Some((1008, "The outbound message queue is full.".into()))
    );
    assert!(world.state.key_of("slow").is_none());
}

#[test]
fn late_news_of_an_earlier_socket_changes_nothing() {
    let mut world = World::new();
    let client = world.connect("a", None, &[]);
    let earlier = Epoch(client.0.epoch.0 + 1);
    let frame = Received::Frame(ClientFrame::Ping);
    world.state.receive(
        world.clock.now(),
        client.0.key,
        earlier,
        frame,
        &mut world.effects,
    );
    world
        .state
        .socket_gone(client.0.key, earlier, &mut world.effects);
    assert!(client.frames(&world).is_empty());
    assert!(world.state.key_of("a").is_some());

    world
        .state
        .socket_gone(client.0.key, client.0.epoch, &mut world.effects);
    let again = world.connect("a", None, &[]);
    world.say(&client, r#"{"type":"ping"}"#);
    assert!(again.frames(&world).is_empty(), "keys are never used twice");
}

#[test]
fn undelivered_messages_expire() {
    let mut world = World::new();
    let client = world.connect("a", None, &["g"]);
    world.say(
        &client,
        r#"{"type":"sendToGroup","group":"g","ttlSeconds":10,"dataType":"text","data":"old"}"#,
    );
    world.say(
        &client,
        r#"{"type":"sendToGroup","group":"g","dataType":"text","data":"kept"}"#,
    );
    world.clock.advance(Duration::from_secs(10));
    let frames = client.frames(&world);
    assert_eq!(frames.len(), 1);
    assert!(frames[0].contains("kept"));
}

#[test]
fn recipients_share_one_encoding() {
    let mut world = World::new();
    let clients = [
        world.connect("a", None, &["g"]),
        world.connect("b", None, &["g"]),
    ];
    world.send(&Target::All, &Selection::default(), "x");
    let pointers = clients.map(|client| {
        let mut frames = Vec::new();
        client
            .0
            .outbox
            .drain(world.clock.now().mono, 1, &mut frames);
        let Frame::Text(text) = &frames[0] else {
            panic!("not text")
        };
        text.as_ptr()
    });
    assert_eq!(pointers[0], pointers[1]);
}

#[test]
fn raw_send_to_group_mode_needs_the_permission() {
    let mut world = World::new();
    let member = world.connect("m", None, &["g"]);
    let raw = |world: &mut World, id: &str, no_echo, roles: Vec<String>| {
        let raw_mode = RawMode::SendToGroup {
            group: group("g"),
            no_echo,
        };
        let request = OpenRequest {
            raw_mode,
            roles,
            ..request(id, Some("u"), &["g"], WireForm::Raw)
        };
        world.connect_with(request)
    };
    let allowed = vec!["webpubsub.sendToGroup.g".to_owned()];
    let echoing = raw(&mut world, "r1", false, allowed.clone());
    world.receive(&echoing, Received::Raw(Payload::text("hi")));
    assert!(
        member.frames(&world)[0]
            .contains(r#""fromUserId":"u","group":"g","dataType":"text","data":"hi""#)
    );
    assert_eq!(echoing.frames(&world), ["hi"]);

    let quiet = raw(&mut world, "r2", true, allowed);
    world.receive(&quiet, Received::Raw(Payload::binary(&b"\x01"[..])));
    assert!(quiet.frames(&world).is_empty());
    assert!(member.frames(&world)[0].contains(r#""dataType":"binary","data":"AQ==""#));

    let forbidden = raw(&mut world, "r3", false, Vec::new());
    world.receive(&forbidden, Received::Raw(Payload::text("hi")));
    assert_eq!(
        forbidden.close(&world),
        Some((
            1008,
            "The connection is not authorized for raw sendToGroup mode.".into()
        ))
    );
}

#[test]
fn members_are_listed_in_order_from_any_place() {
    let mut world = World::new();
    for id in ["d", "b", "a", "c"] {
        world.connect(id, Some(id), &["g"]);
    }
    let page = |after, limit| {
        let (members, more) = world.state.members("g", after, limit);
        let ids: String = members
            .iter()
            .map(|member| member.connection_id.to_string())
            .collect();
        (ids, more)
    };
    assert_eq!(page(None, 2), ("ab".into(), true));
    assert_eq!(page(Some("b"), 2), ("cd".into(), false));
    assert_eq!(page(Some("bb"), 1), ("c".into(), true));
    assert_eq!(page(Some("d"), 2), (String::new(), false));
    assert_eq!(world.state.members("none", None, 2), (Vec::new(), false));
}

#[test]
fn bulk_changes_select_before_they_change() {
    let mut world = World::new();
    world.connect("a", None, &["g1"]);
    world.connect("b", None, &[]);
    let filter = Filter::parse("'g1' in groups").expect("a filter");
    let groups = [group("g2"), group("g1")];
    world
        .state
        .change_groups(Some(&filter), &groups, Change::Join, &mut world.effects);
    assert_eq!(world.state.members("g2", None, 9).0.len(), 1);
    world
        .state
        .change_groups(Some(&filter), &groups, Change::Leave, &mut world.effects);
    assert!(!world.state.group_exists("g1") && !world.state.group_exists("g2"));
}

#[test]
fn permissions_change_at_once_and_do_not_evict() {
    let mut world = World::new();
    let client = world.connect("a", None, &["g"]);
    let g = group("g");
    assert_eq!(
        world.state.check("a", Permission::SendToGroup, &g),
        Some(true)
    );
    world
        .state
        .revoke("a", Permission::SendToGroup, &g)
        .expect("connected");
    assert_eq!(
        world.state.check("a", Permission::SendToGroup, &g),
        Some(false)
    );
    assert!(world.state.group_exists("g"));
    world.say(
        &client,
        r#"{"type":"sendToGroup","group":"g","ackId":1,"data":1}"#,
    );
    assert!(client.frames(&world)[0].contains("Forbidden"));

    assert_eq!(world.state.check("x", Permission::SendToGroup, &g), None);
    assert_eq!(
        world.state.grant("x", Permission::SendToGroup, &g),
        Err(GrantError::NoSuchConnection)
    );
    assert_eq!(
        world.state.revoke("x", Permission::SendToGroup, &g),
        Err(GrantError::NoSuchConnection)
    );
}

#[test]
fn users_join_with_all_their_connections() {
    let mut world = World::new();
    world.connect("a", Some("u"), &[]);
    world.connect("b", Some("u"), &[]);
    assert!(
        !world
            .state
            .add_user_to_group("nobody", &group("g"), &mut world.effects)
    );
    assert!(
        world
            .state
            .add_user_to_group("u", &group("g"), &mut world.effects)
    );
    assert_eq!(world.state.members("g", None, 9).0.len(), 2);
    world
        .state
        .remove_user_from_groups("u", None, &mut world.effects);
    assert!(!world.state.group_exists("g"));
    assert!(world.state.user_exists("u"));
}

#[test]
fn effects_wake_each_socket_after_the_push() {
    let mut world = World::new();
    let client = world.connect("a", None, &[]);
    world.effects = Effects::default();
    world.send(&Target::All, &Selection::default(), "x");
    assert_eq!(world.effects.wakes.len(), 1);
    assert!(Arc::ptr_eq(&world.effects.wakes[0], &client.0.outbox));
    assert!(!world.effects.changed, "a message changes no membership");
}
