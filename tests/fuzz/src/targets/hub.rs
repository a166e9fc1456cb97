//! The hub: whatever clients and REST calls do, what it says can be read, and its books agree.

mod inputs;
mod member;

use std::collections::BTreeMap;
use std::time::Duration;

use arbitrary::{Arbitrary as _, Unstructured};
use inputs::{Answer, GROUPS, Step, USERS};
use member::Member;
use webpubsub_emulator::driven::{Call, CallId, DrivenHub, DrivenSettings, Frame, Line, Loss, To};
use webpubsub_protocol::name::{ConnectionId, GroupName};
use webpubsub_protocol::payload::Payload;
use webpubsub_protocol::permission::Permission;

/// Steps of one run, so that long inputs do not only make runs slow.
const STEPS: usize = 150;

const OUTBOX_FRAMES: usize = 12;

/// Beyond the outbox: what ends a connection still has to be said.
const LAST_WORDS: usize = 8;

pub(super) fn run(input: &[u8]) {
    let mut bytes = Unstructured::new(input);
    let Ok(has_handler) = bool::arbitrary(&mut bytes) else {
        return;
    };
    let mut world = World::new(has_handler);
    for _ in 0..STEPS {
        if bytes.is_empty() {
            break;
        }
        let Ok(step) = Step::arbitrary(&mut bytes) else {
            break;
        };
        world.take(step);
        world.agree();
    }
    world.end();
}

struct World {
    hub: DrivenHub,
    now: Duration,
    members: Vec<Member>,
    calls: Vec<CallId>,
    /// The latest event of each connection.
    events: BTreeMap<ConnectionId, u64>,
}

impl World {
    fn new(has_handler: bool) -> Self {
        let settings = DrivenSettings {
            outbox_frames: OUTBOX_FRAMES,
            outbox_bytes: 8192,
            recovery_window: Duration::from_secs(30),
            connected_on_recovery: true,
            has_handler,
        };
        Self {
            hub: DrivenHub::new(&settings, 7),
            now: Duration::ZERO,
            members: Vec::new(),
            calls: Vec::new(),
            events: BTreeMap::new(),
        }
    }

    fn take(&mut self, step: Step<'_>) {
        let now = self.now;
        match step {
            Step::Connect(entrance) => {
                let spec = entrance.spec();
                let (user, subprotocol) = (spec.user.clone(), spec.subprotocol);
                let (socket, id) = self.hub.connect(now, spec);
                self.members
                    .push(Member::new(socket, id, user, subprotocol));
            }
            Step::Recover { who, honestly } => self.recover(who, honestly),
            Step::Frame { who, said } => {
                if let Some(at) = self.who(who) {
                    let member = &mut self.members[at];
                    let frame = said.frame(member.subprotocol);
                    member.says(&frame);
                    self.hear(at, frame);
                }
            }
            Step::Text { who, text } => {
                if let Some(at) = self.who(who) {
                    self.hear(at, Frame::Text(text.into()));
                }
            }
            Step::Bytes { who, bytes } => {
                if let Some(at) = self.who(who) {
                    self.hear(at, Frame::Binary(bytes.to_vec().into()));
                }
            }
            Step::Drain { who, most } => {
                if let Some(at) = self.who(who) {
                    self.drain(at, usize::from(most % 16));
                }
            }
            Step::Gone { who, for_good } => {
                if let Some(at) = self.who(who) {
                    let loss = if for_good {
                        Loss::ClosedForGood
                    } else {
                        Loss::Lost
                    };
                    self.hub.socket_gone(now, self.members[at].socket, loss);
                    self.members[at].has_socket = false;
                }
            }
            Step::Advance(ms) => self.advance(Duration::from_millis(u64::from(ms) * 10)),
            Step::Answer { nth, answer } => {
                if let Some(call) = pick(&self.calls, nth).copied() {
                    self.hub.upstream_done(
                        now,
                        call,
                        match answer {
                            Answer::Nothing => Ok(None),
                            Answer::Text => Ok(Some(Payload::text("answer"))),
                            Answer::Failure => Err(()),
                        },
                    );
                }
            }
            Step::Send {
                to,
                not_to,
                bytes,
                ttl,
            } => {
                let to = self.to(to);
                let excluded: Vec<_> = self
                    .who(not_to)
                    .map(|at| self.members[at].id.clone())
                    .into_iter()
                    .collect();
                let payload = Payload::text("x".repeat(usize::from(bytes) * 4));
                self.hub
                    .send(now, to, &excluded, payload, u32::from(ttl % 4));
            }
            Step::Close { to, reason } => {
                let to = self.to(to);
                self.hub.close(now, to, reason.then_some("because"));
            }
            Step::Group { who, group, change } => {
                let group = inputs::group(group);
                if let Some(at) = self.any(who) {
                    self.change(at, &group, change);
                }
            }
        }
        self.calls();
    }

    fn change(&mut self, at: usize, group: &GroupName, change: inputs::Change) {
        use inputs::Change;

        let (now, id) = (self.now, self.members[at].id.clone());
        let (id, user) = (id.as_str(), self.members[at].user.clone());
        let user = user.as_ref().map(|user| user.as_str());
        let exists = self.hub.connection_exists(id);
        match (change, user) {
            (Change::Join, _) => {
                assert_eq!(self.hub.join(now, id, group), exists);
                assert!(!exists || self.is_member(id, group));
            }
            (Change::Leave(all), _) => {
                self.hub.leave(now, id, (!all).then_some(group));
                assert!(!self.is_member(id, group));
            }
            (Change::JoinUser, Some(user)) => {
                assert_eq!(
                    self.hub.join_user(now, user, group),
                    self.hub.user_exists(user)
                );
                assert!(!exists || self.is_member(id, group));
            }
            (Change::LeaveUser(all), Some(user)) => {
                self.hub.leave_user(now, user, (!all).then_some(group));
                assert!(!self.is_member(id, group));
            }
            (Change::Grant(sends), _) => {
                assert_eq!(self.hub.grant(now, id, permission(sends), group), exists);
                let held = self.hub.check(id, permission(sends), group);
                assert_eq!(held, exists.then_some(true));
            }
            (Change::Revoke(sends), _) => {
                assert_eq!(self.hub.revoke(now, id, permission(sends), group), exists);
                let held = self.hub.check(id, permission(sends), group);
                assert_eq!(held, exists.then_some(false));
            }
            (Change::JoinUser | Change::LeaveUser(_), None) => {}
        }
    }

    fn is_member(&self, id: &str, group: &GroupName) -> bool {
        self.hub
            .members(group.as_str())
            .iter()
            .any(|member| member.as_str() == id)
    }

    fn hear(&mut self, at: usize, frame: Frame) {
        let socket = self.members[at].socket;
        if self.hub.is_readable(socket) {
            self.hub.frame(self.now, socket, frame);
        }
    }

    fn drain(&mut self, at: usize, most: usize) {
        let member = &mut self.members[at];
        let (frames, line) = self.hub.drain(self.now, member.socket, most);
        assert!(frames.len() <= most);
        for frame in frames {
            member.hears(frame);
        }
        match line {
            Line::Open => {}
            Line::Closed(code, reason) => {
                assert!((1000..5000).contains(&code) && reason.len() <= 123);
                let more = self.hub.drain(self.now, member.socket, 1).0;
                assert_eq!(more, [], "nothing comes after a close");
            }
            Line::Superseded => {
                let more = self.hub.drain(self.now, member.socket, 1).0;
                assert_eq!(more, [], "another socket reads on");
            }
        }
    }

    fn recover(&mut self, who: u8, honestly: bool) {
        let Some(at) = self.any(who) else {
            return;
        };
        let member = &self.members[at];
        let token = match honestly {
            true => member.token.clone().unwrap_or_default(),
            false => "eyJhbGciOiJIUzI1NiJ9.e30.AAAA".to_owned(),
        };
        let (id, exists) = (
            member.id.clone(),
            self.hub.connection_exists(member.id.as_str()),
        );
        match self.hub.recover(self.now, id.as_str(), &token) {
            Ok(socket) => {
                assert!(exists && honestly && member.is_reliable());
                self.members[at].recovered(socket);
            }
            Err(refused) => assert_eq!(refused.code, 1008),
        }
    }

    /// Acts on each deadline when it comes; none stays due.
    fn advance(&mut self, time: Duration) {
        let until = self.now + time;
        let mut rounds = 0;
        while let Some(due) = self.hub.poll_timeout().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.hub.handle_timeout(self.now);
            self.calls();
            let next = self.hub.poll_timeout();
            assert!(next.is_none_or(|next| next > self.now), "it is still due");
            rounds += 1;
            assert!(rounds < 10_000, "deadlines without end");
        }
        self.now = until;
    }

    /// The events of a connection are numbered without gaps.
    fn calls(&mut self) {
        for Call {
            id,
            connection_id,
            event_id,
            ..
        } in self.hub.take_calls()
        {
            assert!(!self.calls.contains(&id), "each call has an id of its own");
            let last = self.events.entry(connection_id).or_default();
            *last += 1;
            assert_eq!(event_id, *last);
            self.calls.push(id);
        }
        self.hub.take_cancelled();
        self.hub.take_woken();
    }

    /// What the hub says about its connections fits together.
    fn agree(&self) {
        let (hub, members) = (&self.hub, &self.members);
        for group in GROUPS {
            let listed = hub.members(group);
            assert!(listed.is_sorted() && listed.windows(2).all(|pair| pair[0] != pair[1]));
            assert!(listed.iter().all(|id| hub.connection_exists(id.as_str())));
        }
        for user in USERS {
            let connects = |member: &&Member| {
                member
                    .user
                    .as_ref()
                    .is_some_and(|name| name.as_str() == user)
                    && hub.connection_exists(member.id.as_str())
            };
            assert_eq!(
                hub.user_exists(user),
                members.iter().any(|member| connects(&member))
            );
        }
        for member in members {
            let group = inputs::group(0);
            let held = hub.check(member.id.as_str(), Permission::SendToGroup, &group);
            assert_eq!(held.is_some(), hub.connection_exists(member.id.as_str()));
            if member.has_socket {
                assert!(hub.waiting(member.socket) <= OUTBOX_FRAMES + LAST_WORDS);
            }
        }
    }

    /// Everybody leaves, and nothing is left.
    fn end(&mut self) {
        for member in &mut self.members {
            if std::mem::take(&mut member.has_socket) {
                self.hub
                    .socket_gone(self.now, member.socket, Loss::ClosedForGood);
            }
        }
        self.advance(Duration::from_secs(3600));
        for member in &self.members {
            assert!(!self.hub.connection_exists(member.id.as_str()));
        }
        self.agree();
        assert_eq!(
            self.hub.poll_timeout(),
            None,
            "an empty hub waits for nothing"
        );
    }

    fn to(&self, to: inputs::To) -> To {
        match to {
            inputs::To::All => To::All,
            inputs::To::User(nth) => To::User(inputs::user(nth)),
            inputs::To::Group(nth) => To::Group(inputs::group(nth)),
            inputs::To::Connection(nth) => match self.any(nth) {
                Some(at) => To::Connection(self.members[at].id.clone()),
                None => To::All,
            },
        }
    }

    /// One that has a socket.
    fn who(&self, nth: u8) -> Option<usize> {
        let at = self.any(nth)?;
        self.members[at].has_socket.then_some(at)
    }

    fn any(&self, nth: u8) -> Option<usize> {
        usize::from(nth).checked_rem(self.members.len())
    }
}

fn pick<T>(from: &[T], nth: u8) -> Option<&T> {
    from.get(usize::from(nth).checked_rem(from.len())?)
}

fn permission(sends: bool) -> Permission {
    match sends {
        true => Permission::SendToGroup,
        false => Permission::JoinLeaveGroup,
    }
}
