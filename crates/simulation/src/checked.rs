//! The hub and the reference side by side: both are told the same, and what they do is compared at
//! once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use webpubsub_emulator::driven::{
    CallId, ConnectSpec, DrivenHub, DrivenSettings, Frame, Line, Loss, Socket, To,
};
use webpubsub_protocol::name::{ConnectionId, GroupName, UserId};
use webpubsub_protocol::payload::Payload;
use webpubsub_protocol::permission::Permission;

use crate::coverage::{Coverage, Happening};
use crate::failure::{Check, Finding};
use crate::reference::{CallNumber, Entry, Fate, Queued, Received, Reference, Says};
use crate::wire::{self, Seen};

/// The service under test, and what it should do.
#[derive(Debug)]
pub(crate) struct Checked {
    hub: DrivenHub,
    pub(crate) reference: Reference,
    numbers: BTreeMap<CallId, CallNumber>,
    new_calls: Vec<CallId>,
    /// What happened, in this service and those that it replaced.
    pub(crate) coverage: Coverage,
    known: BTreeSet<ConnectionId>,
    groups: Vec<GroupName>,
    users: Vec<UserId>,
}

impl Checked {
    pub(crate) fn new(
        settings: &DrivenSettings,
        seed: u64,
        groups: &[GroupName],
        users: &[UserId],
    ) -> Self {
        Self {
            hub: DrivenHub::new(settings, seed),
            reference: Reference::new(settings.clone()),
            numbers: BTreeMap::new(),
            new_calls: Vec::new(),
            coverage: Coverage::default(),
            known: BTreeSet::new(),
            groups: groups.to_vec(),
            users: users.to_vec(),
        }
    }

    // Time.

    /// When the hub or the reference has something to do.
    pub(crate) fn poll_timeout(&mut self) -> Option<Duration> {
        let hub = self.hub.poll_timeout();
        hub.into_iter().chain(self.reference.poll_timeout()).min()
    }

    pub(crate) fn handle_timeout(&mut self, now: Duration) -> Check {
        let before = self.reference.connections.len();
        self.reference.step(now);
        self.hub.handle_timeout(now);
        self.reference.handle_timeout();
        if self.reference.connections.len() < before {
            self.coverage.saw(Happening::WindowOver);
        }
        self.settle()?;
        self.check_existence()
    }

    /// The sockets that have something to drain.
    pub(crate) fn take_woken(&mut self) -> BTreeSet<Socket> {
        self.hub.take_woken()
    }

    /// The calls that came since the last time.
    pub(crate) fn take_calls(&mut self) -> Vec<CallId> {
        std::mem::take(&mut self.new_calls)
    }

    pub(crate) fn answer(
        &mut self,
        now: Duration,
        call: CallId,
        answer: Result<Option<Payload>, ()>,
    ) -> Check {
        self.reference.step(now);
        self.hub.upstream_done(now, call, answer.clone());
        if let Some(number) = self.numbers.get(&call) {
            self.reference.answered(*number, answer);
        }
        self.settle()
    }

    // Sockets.

    pub(crate) fn connect(
        &mut self,
        now: Duration,
        spec: &ConnectSpec,
    ) -> Result<(Socket, ConnectionId), Finding> {
        self.reference.step(now);
        let (socket, id) = self.hub.connect(now, spec.clone());
        self.reference.connect(&id, socket, spec.clone());
        let is_new = self.known.insert(id.clone());
        Finding::unless_same("connection ids are never used twice", &true, &is_new)?;
        self.settle()?;
        Ok((socket, id))
    }

    /// Recovers with a token that was given to this connection, or with a wrong one.
    pub(crate) fn recover(
        &mut self,
        now: Duration,
        id: &ConnectionId,
        token: &str,
        is_its_own: bool,
    ) -> Result<Option<Socket>, Finding> {
        self.reference.step(now);
        let expected = is_its_own && self.reference.is_recoverable(id);
        let recovered = self.hub.recover(now, id.as_str(), token);
        Finding::unless_same(
            "a connection is recovered within its window, by its token only",
            &expected,
            &recovered.is_ok(),
        )?;
        let socket = match recovered {
            Ok(socket) => {
                self.reference.recover(id, socket);
                Some(socket)
            }
            Err(refused) => {
                let seen = (refused.code, refused.reason);
                let expected = (1008, "The connection could not be recovered.");
                Finding::unless_same(
                    "a refused recovery closes with its code and reason",
                    &expected,
                    &seen,
                )?;
                None
            }
        };
        self.settle()?;
        Ok(socket)
    }

    pub(crate) fn is_readable(&self, socket: Socket) -> Result<bool, Finding> {
        let (expected, seen) = (
            self.reference.is_readable(socket),
            self.hub.is_readable(socket),
        );
        Finding::unless_same(
            "a client is read unless much waits for the handler",
            &expected,
            &seen,
        )?;
        Ok(seen)
    }

    /// A frame arrives, and what it means.
    pub(crate) fn frame(
        &mut self,
        now: Duration,
        socket: Socket,
        frame: Frame,
        received: Received,
    ) -> Check {
        self.reference.step(now);
        self.hub.frame(now, socket, frame);
        self.reference.receive(socket, received);
        self.settle()
    }

    pub(crate) fn socket_gone(&mut self, now: Duration, socket: Socket, loss: Loss) -> Check {
        self.reference.step(now);
        self.hub.socket_gone(now, socket, loss);
        self.reference.socket_gone(socket, loss);
        self.settle()
    }

    /// When the service aborts a socket that it closes.
    pub(crate) fn abort_at(&self, socket: Socket) -> Result<Option<Duration>, Finding> {
        let expected = match self.reference.lines.get(&socket).map(|line| &line.fate) {
            Some(Fate::Closing { abort_at, .. }) => Some(*abort_at),
            Some(Fate::Open | Fate::Superseded) | None => None,
        };
        Finding::unless_same(
            "a close waits so long for its client",
            &expected,
            &self.hub.abort_at(socket),
        )?;
        Ok(expected)
    }

    /// The service writes at most `most` frames to a socket.
    pub(crate) fn drain(
        &mut self,
        now: Duration,
        socket: Socket,
        most: usize,
    ) -> Result<(Vec<Seen>, Line), Finding> {
        let (frames, fate) = self.hub.drain(now, socket, most);
        let line = &self.reference.lines[&socket];
        let (id, protocol) = (line.connection.clone(), line.protocol);
        let mut seen = Vec::with_capacity(frames.len());
        for frame in frames {
            let frame = wire::decode(protocol, frame)?;
            self.skip_unsaid(now, socket);
            self.expect(&id, socket, &frame)?;
            seen.push(frame);
        }
        if seen.len() < most {
            self.skip_unsaid(now, socket);
        }
        let rest = &self.reference.lines[&socket];
        if seen.len() < most
            && let Some(missing) = rest.queue.front()
        {
            let missing = self.reference.entry(&id, missing);
            return Err(Finding::new(
                "nothing is lost on the way to a socket",
                format!("{missing:?}"),
                "nothing",
            ));
        }
        let expected = match &rest.fate {
            Fate::Closing { code, reason, .. } if rest.queue.is_empty() => {
                Line::Closed(*code, (*reason).to_owned())
            }
            Fate::Open | Fate::Closing { .. } => Line::Open,
            Fate::Superseded => Line::Superseded,
        };
        Finding::unless_same("a socket ends with its code and reason", &expected, &fate)?;
        Ok((seen, fate))
    }

    /// Takes away what is not said since it ran out of time.
    fn skip_unsaid(&mut self, now: Duration, socket: Socket) {
        while let Some(line) = self.reference.lines.get(&socket)
            && let Some(first) = line.queue.front()
        {
            let entry = self.reference.entry(&line.connection, first);
            if !entry.is_over(now) {
                return;
            }
            self.coverage.saw(Happening::ExpiredWaiting);
            if let Some(line) = self.reference.lines.get_mut(&socket) {
                line.queue.pop_front();
            }
        }
    }

    /// The next frame must be this one.
    fn expect(&mut self, id: &ConnectionId, socket: Socket, seen: &Seen) -> Check {
        let line = &self.reference.lines[&socket];
        let is_this = |queued: &Queued| matches(self.reference.entry(id, queued), seen);
        let Some(first) = line.queue.front().cloned() else {
            return Err(Finding::new(
                "a socket gets nothing that was not sent",
                "nothing",
                format!("{seen:?}"),
            ));
        };
        let at = if is_this(&first) {
            0
        } else {
            let step = self.reference.entry(id, &first).any_order;
            let neighbours = line.queue.iter().take_while(|queued| {
                step.is_some() && self.reference.entry(id, queued).any_order == step
            });
            match neighbours.enumerate().find(|(_, queued)| is_this(queued)) {
                Some((at, _)) => at,
                None => {
                    let expected = self.reference.entry(id, &first);
                    return Err(Finding::new(
                        "a socket gets what was sent, once and in order",
                        format!("{:?}", expected.says),
                        format!("{seen:?}"),
                    ));
                }
            }
        };
        let line = self
            .reference
            .lines
            .get_mut(&socket)
            .expect("looked up above");
        let taken = match (&first, &line.queue[at]) {
            // Their numbers stand in order, whatever they number.
            (Queued::Numbered(a), Queued::Numbered(b)) => {
                let (a, b) = (*a, *b);
                let ledger = self.reference.ledgers.get_mut(id).expect("it has a number");
                ledger.swap(a - 1, b - 1);
                line.queue.pop_front()
            }
            _ => line.queue.remove(at),
        };
        let expected = match taken {
            Some(Queued::Numbered(sequence)) => Some(sequence as u64),
            Some(Queued::Entry(_)) | None => None,
        };
        let sequence = match seen {
            Seen::Frame { sequence, .. } => *sequence,
            Seen::Raw(_) => None,
        };
        Finding::unless_same(
            "sequence ids count from 1, across recoveries",
            &expected,
            &sequence,
        )
    }

    // REST.

    pub(crate) fn send(
        &mut self,
        now: Duration,
        to: &To,
        excluded: &[ConnectionId],
        payload: Payload,
        ttl_seconds: u32,
    ) -> Check {
        self.reference.step(now);
        self.hub
            .send(now, to.clone(), excluded, payload.clone(), ttl_seconds);
        self.reference.send(to, excluded, payload, ttl_seconds);
        self.settle()
    }

    pub(crate) fn close(&mut self, now: Duration, to: &To, reason: Option<&str>) -> Check {
        self.reference.step(now);
        self.hub.close(now, to.clone(), reason);
        self.reference.close(to, reason);
        self.settle()
    }

    pub(crate) fn join(&mut self, now: Duration, id: &ConnectionId, group: &GroupName) -> Check {
        self.reference.step(now);
        let seen = self.hub.join(now, id.as_str(), group);
        Finding::unless_same(EXISTS, &self.reference.rest_join(id, group), &seen)?;
        self.settle()
    }

    pub(crate) fn leave(
        &mut self,
        now: Duration,
        id: &ConnectionId,
        group: Option<&GroupName>,
    ) -> Check {
        self.reference.step(now);
        self.hub.leave(now, id.as_str(), group);
        self.reference.rest_leave(id, group);
        self.settle()
    }

    pub(crate) fn join_user(&mut self, now: Duration, user: &UserId, group: &GroupName) -> Check {
        self.reference.step(now);
        let seen = self.hub.join_user(now, user.as_str(), group);
        Finding::unless_same(EXISTS, &self.reference.join_user(user, group), &seen)?;
        self.settle()
    }

    pub(crate) fn leave_user(
        &mut self,
        now: Duration,
        user: &UserId,
        group: Option<&GroupName>,
    ) -> Check {
        self.reference.step(now);
        self.hub.leave_user(now, user.as_str(), group);
        self.reference.leave_user(user, group);
        self.settle()
    }

    pub(crate) fn permit(
        &mut self,
        now: Duration,
        id: &ConnectionId,
        permission: Permission,
        group: &GroupName,
        grant: bool,
    ) -> Check {
        self.reference.step(now);
        let seen = if grant {
            self.hub.grant(now, id.as_str(), permission, group)
        } else {
            self.hub.revoke(now, id.as_str(), permission, group)
        };
        let expected = self.reference.permit(id, permission, group, grant);
        Finding::unless_same(EXISTS, &expected, &seen)?;
        self.settle()
    }

    // What is there.

    /// Compares everything that REST can ask for.
    pub(crate) fn audit(&self) -> Check {
        self.check_existence()?;
        for group in &self.groups {
            let expected: Vec<_> = self.reference.members(group).cloned().collect();
            Finding::unless_same(
                "groups have these members",
                &expected,
                &self.hub.members(group.as_str()),
            )?;
            for (id, connection) in &self.reference.connections {
                for permission in Permission::ALL {
                    let expected = connection.permissions.allows(permission, group.as_str());
                    let seen = self.hub.check(id.as_str(), permission, group);
                    Finding::unless_same(
                        "connections hold these permissions",
                        &Some(expected),
                        &seen,
                    )?;
                }
            }
        }
        for user in &self.users {
            let expected = self.reference.of_user(user).next().is_some();
            Finding::unless_same(
                "users have connections",
                &expected,
                &self.hub.user_exists(user.as_str()),
            )?;
        }
        Ok(())
    }

    fn check_existence(&self) -> Check {
        for id in &self.known {
            let expected = self.reference.connections.contains_key(id);
            let seen = self.hub.connection_exists(id.as_str());
            Finding::unless_same(EXISTS, &expected, &seen)?;
        }
        Ok(())
    }

    /// After each step: the handler was called as it should be, timers run where something may fall
    /// due and nowhere else, and nothing grows beyond its limit.
    fn settle(&mut self) -> Check {
        let calls = self.hub.take_calls();
        let expected = std::mem::take(&mut self.reference.calls);
        for (expected, seen) in expected.iter().zip(&calls) {
            let seen = (
                &seen.connection_id,
                seen.event_id,
                &seen.event,
                &seen.payload,
            );
            let expected = (
                &expected.connection,
                expected.event_id,
                &expected.event,
                &expected.payload,
            );
            Finding::unless_same(CALLS, &expected, &seen)?;
        }
        Finding::unless_same(CALLS, &expected.len(), &calls.len())?;
        for (expected, seen) in expected.iter().zip(&calls) {
            self.numbers.insert(seen.id, expected.number);
            self.new_calls.push(seen.id);
        }
        let cancelled = self.hub.take_cancelled();
        let mut cancelled: Vec<_> = cancelled
            .iter()
            .map(|id| self.numbers.get(id).copied())
            .collect();
        cancelled.sort_unstable();
        let mut expected: Vec<_> = std::mem::take(&mut self.reference.cancelled);
        expected.sort_unstable();
        for _ in &expected {
            self.coverage.saw(Happening::CallCancelled);
        }
        let expected: Vec<_> = expected.into_iter().map(Some).collect();
        Finding::unless_same(
            "calls are cancelled when nobody waits for them",
            &expected,
            &cancelled,
        )?;

        let (expected, seen) = (self.reference.poll_timeout(), self.hub.poll_timeout());
        Finding::unless_same(
            "a timer runs while something may fall due",
            &expected.is_some(),
            &seen.is_some(),
        )?;
        if seen > expected {
            return Err(Finding::new(
                "no timer is late",
                format!("{expected:?}"),
                format!("{seen:?}"),
            ));
        }
        // The `disconnected` message before a close comes on top.
        let most = self.reference.settings.outbox_frames + 33;
        for socket in self.reference.lines.keys() {
            let waiting = self.hub.waiting(*socket);
            if waiting > most {
                return Err(Finding::new(
                    "no outbox grows beyond its limit",
                    most,
                    waiting,
                ));
            }
        }
        Ok(())
    }
}

const EXISTS: &str = "connections exist from their opening to their end";
const CALLS: &str = "the handler is called once per event, in order";

/// Whether this is what was said.
fn matches(entry: &Entry, seen: &Seen) -> bool {
    match (&entry.says, seen) {
        (Says::Frame(expected), Seen::Frame { frame, .. }) => expected == frame,
        (Says::Raw(payload), Seen::Raw(frame)) => wire::raw(payload) == *frame,
        _ => false,
    }
}
