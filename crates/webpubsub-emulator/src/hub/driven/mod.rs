//! A hub that is driven by hand: no sockets, no tasks, and the time is an argument.
//!
//! For the simulations of this workspace, behind a private feature. What stands here only passes
//! on: the decoder, the token check and the state are the ones that the emulator runs on.
//!
//! Time is the [`Duration`] since the hub was made. A caller does what the emulator's tasks do:
//! it calls [`DrivenHub::handle_timeout`] when [`DrivenHub::poll_timeout`] says so, drains the
//! sockets of [`DrivenHub::take_woken`], reads a socket only while it
//! [is readable](DrivenHub::is_readable), and answers [calls](DrivenHub::take_calls).

mod types;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::time::{Duration, SystemTime};

use bytestring::ByteString;
use parking_lot::Mutex;
use tokio_tungstenite::tungstenite::Utf8Bytes;
use webpubsub_protocol::access::{AccessKey, verify_reconnection_token};
use webpubsub_protocol::limits::{OPEN_STREAMS, REMEMBERED_ACK_IDS};
use webpubsub_protocol::metadata::Metadata;
use webpubsub_protocol::name::{ConnectionId, GroupName};
use webpubsub_protocol::payload::Payload;
use webpubsub_protocol::permission::Permission;

pub use types::{
    Amount, Call, CallId, ConnectSpec, DrivenSettings, Frame, Held, Line, Loss, Refused, Socket, To,
};

pub use crate::socket::driven::{DrivenSockets, Task};

use super::effect::{CallToken, Effects, HandlerFailed, Reply};
use super::end::End;
use super::lifecycle::{Attachment, Gone, OpenRequest, Overrides};
use super::outbox::{self, Batch, Found, OutboxLimits};
use super::publish::{Selection, Target};
use super::rest::Outgoing;
use super::state::{HubSettings, HubState};
use super::wire::{FrameKind, WireFrame};
use crate::clock::{Clock, Now};
use crate::ids::Ids;
use crate::settings::Settings;
use crate::socket::{Decoder, NOT_RECOVERABLE};

/// A hub without sockets and tasks.
pub struct DrivenHub {
    state: HubState,
    effects: Effects,
    /// Stands still.
    clock: Clock,
    sockets: BTreeMap<Socket, Attachment>,
    woken: Arc<Mutex<BTreeSet<Socket>>>,
    /// Sockets that may still write.
    holding: BTreeSet<Socket>,
    keys: [AccessKey; 1],
    start: Now,
    sockets_made: u64,
}

impl DrivenHub {
    /// A hub whose ids and tokens `seed` repeats.
    #[must_use]
    pub fn new(settings: &DrivenSettings, seed: u64) -> Self {
        let key = AccessKey::new("the key of a driven hub, which guards nothing");
        let settings = HubSettings {
            outbox: OutboxLimits {
                frames: settings.outbox_frames,
                bytes: settings.outbox_bytes,
            },
            replay: OutboxLimits {
                frames: settings.outbox_frames,
                bytes: settings.outbox_bytes,
            },
            recovery_window: settings.recovery_window,
            ack_ids: REMEMBERED_ACK_IDS,
            open_streams: OPEN_STREAMS,
            close_failed_events_normally: false,
            connected_on_recovery: settings.connected_on_recovery,
            access_key: key.clone(),
            has_handler: settings.has_handler,
        };
        let clock = Clock::manual();
        let start = Now {
            mono: clock.mono(),
            // Not the machine's: it shows in tokens and in the times of group states.
            wall: SystemTime::UNIX_EPOCH + EPOCH,
        };
        Self {
            state: HubState::new(settings, Ids::new(Some(seed), "driven")),
            effects: Effects::default(),
            clock,
            sockets: BTreeMap::new(),
            woken: Arc::default(),
            holding: BTreeSet::new(),
            keys: [key],
            start,
            sockets_made: 0,
        }
    }

    /// The moment as the hub sees it.
    fn now(&self, now: Duration) -> Now {
        Now {
            mono: self.start.mono + now,
            wall: self.start.wall + now,
        }
    }

    fn act<R>(
        &mut self,
        now: Duration,
        change: impl FnOnce(&mut HubState, Now, &mut Effects) -> R,
    ) -> R {
        let now = self.now(now);
        let result = change(&mut self.state, now, &mut self.effects);
        std::mem::take(&mut self.effects.wakes).carry_out(&self.clock);
        self.effects.crowded.clear();
        self.effects.ended.clear();
        result
    }

    /// What a socket task does each time: it takes what waits, and has itself woken when there is more.
    fn poll(
        &self,
        now: Duration,
        socket: Socket,
        attachment: &Attachment,
        most: Batch,
        into: &mut Vec<outbox::Waiting>,
    ) -> Found {
        let woken = Arc::clone(&self.woken);
        let waker = Waker::from(Arc::new(WakeSocket { socket, woken }));
        let outbox = &attachment.outbox;
        let cx = Context::from_waker(&waker);
        outbox.poll(&cx, attachment.epoch, self.now(now).mono, most, |it| {
            into.push(it)
        })
    }

    /// How a socket stands, without taking anything.
    fn look(&self, socket: Socket, attachment: &Attachment) -> Found {
        let nothing = Batch {
            frames: 0,
            bytes: 0,
        };
        self.poll(Duration::ZERO, socket, attachment, nothing, &mut Vec::new())
    }

    /// A socket hangs up, whatever the rest of its line still does.
    fn let_go(&mut self, socket: Socket) {
        self.holding.remove(&socket);
        self.woken.lock().insert(socket);
        self.sockets[&socket].outbox.let_go();
    }

    /// Whoever drives a hub by hand reads when it likes, so the limits are strict.
    fn be_strict(attachment: &Attachment) {
        let (outbox, epoch) = (&attachment.outbox, attachment.epoch);
        // What exceeds them now was let in before.
        let _ = outbox.set_reads(epoch, false);
        let _ = outbox.set_unacknowledging(epoch);
    }

    fn attach(&mut self, attachment: Attachment) -> (Socket, ConnectionId) {
        self.sockets_made += 1;
        let socket = Socket(self.sockets_made);
        let id = attachment.connection_id.clone();
        Self::be_strict(&attachment);
        self.sockets.insert(socket, attachment);
        // A task drains when it starts.
        self.woken.lock().insert(socket);
        self.holding.insert(socket);
        (socket, id)
    }

    // Deadlines and effects.

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    pub fn poll_timeout(&mut self) -> Option<Duration> {
        let due = self.state.poll_timeout()?;
        Some(due.saturating_duration_since(self.start.mono))
    }

    /// Acts on what has come due; harmless when nothing has.
    pub fn handle_timeout(&mut self, now: Duration) {
        self.act(now, |state, now, effects| {
            state.handle_timeout(now, effects)
        });
    }

    /// The sockets that have something to drain, since the last call.
    pub fn take_woken(&mut self) -> BTreeSet<Socket> {
        std::mem::take(&mut self.woken.lock())
    }

    /// The events for the handler, since the last call.
    pub fn take_calls(&mut self) -> Vec<Call> {
        let calls = self.effects.calls.drain(..);
        calls
            .map(|call| Call {
                id: CallId(call.token.0),
                event_id: call.raised.turn.event_id(),
                connection_id: call.raised.connection_id,
                event: call.event,
                payload: call.payload,
            })
            .collect()
    }

    /// The calls that nobody waits for any more, since the last call of this function.
    pub fn take_cancelled(&mut self) -> Vec<CallId> {
        let cancelled = self.effects.cancelled.drain(..);
        cancelled.map(|token| CallId(token.0)).collect()
    }

    /// The handler answered: with nothing, with a payload, or not at all.
    pub fn upstream_done(
        &mut self,
        now: Duration,
        call: CallId,
        answer: Result<Option<Payload>, ()>,
    ) {
        let result = answer
            .map(|payload| Reply {
                payload,
                metadata: Metadata::default(),
            })
            .map_err(|()| HandlerFailed);
        self.act(now, |state, now, effects| {
            state.upstream_done(now, CallToken(call.0), result, effects);
        });
    }

    // Sockets.

    /// Opens a connection with its first socket.
    pub fn connect(&mut self, now: Duration, spec: ConnectSpec) -> (Socket, ConnectionId) {
        let request = OpenRequest::from(spec);
        let attachment = self.act(now, |state, now, effects| {
            let (ticket, _) = state.open(now, request, effects);
            state.accept(now, ticket, Overrides::default(), effects)
        });
        self.attach(attachment.expect("a fresh ticket and a fresh id are accepted"))
    }

    /// Gives a connection its next socket, if the token is the one it was given.
    ///
    /// # Errors
    ///
    /// The close that a client gets instead.
    pub fn recover(
        &mut self,
        now: Duration,
        connection_id: &str,
        token: &str,
    ) -> Result<Socket, Refused> {
        let wall = self.now(now).wall;
        let verified = verify_reconnection_token(token, &self.keys, connection_id, wall);
        let refused = Refused {
            code: 1008,
            reason: NOT_RECOVERABLE,
        };
        if verified.is_err() {
            return Err(refused);
        }
        let recovered = self.act(now, |state, now, effects| {
            state.recover(now, connection_id, effects)
        });
        let Ok(attachment) = recovered else {
            return Err(refused);
        };
        // The task of an earlier socket lets go as soon as it is woken.
        let same = |socket: &Socket| self.sockets[socket].key == attachment.key;
        let earlier: Vec<_> = self.holding.iter().copied().filter(same).collect();
        for socket in earlier {
            self.let_go(socket);
        }
        Ok(self.attach(attachment).0)
    }

    /// Whether the service reads what the client sends. It does not while many frames wait for the
    /// handler.
    #[must_use]
    pub fn is_readable(&self, socket: Socket) -> bool {
        self.sockets
            .get(&socket)
            .is_some_and(|a| !self.look(socket, a).is_paused)
    }

    /// The service reads a frame of the client.
    pub fn frame(&mut self, now: Duration, socket: Socket, frame: Frame) {
        let Some(Attachment {
            key, epoch, outbox, ..
        }) = self.sockets.get(&socket).cloned()
        else {
            return;
        };
        let mut decoder = Decoder::new(outbox.form(), &Settings::default());
        let decoded = match frame {
            Frame::Text(text) => {
                let text = Utf8Bytes::try_from(text.into_bytes()).expect("a ByteString is UTF-8");
                decoder.text(text)
            }
            Frame::Binary(bytes) => decoder.binary(bytes),
        };
        self.act(now, |state, now, effects| match decoded {
            Ok(received) => state.receive(now, key, epoch, received, effects),
            Err(end) => state.socket_failed(now, key, epoch, &end, effects),
        });
        Self::be_strict(&self.sockets[&socket]);
    }

    /// Takes at most `most` frames that wait for the client.
    pub fn drain(&mut self, now: Duration, socket: Socket, most: usize) -> (Vec<Frame>, Line) {
        let Some(attachment) = self.sockets.get(&socket) else {
            return (Vec::new(), Line::Superseded);
        };
        let most = Batch {
            frames: most,
            bytes: usize::MAX,
        };
        let mut waiting = Vec::new();
        let found = self.poll(now, socket, attachment, most, &mut waiting);
        let line = match (found.line, attachment.outbox.closing()) {
            (outbox::Line::Superseded, _) => Line::Superseded,
            (outbox::Line::Closed { drained: true, .. }, Some(close)) => {
                Line::Closed(close.code, close.reason)
            }
            _ => Line::Open,
        };
        let frames = waiting.into_iter().map(|it| WireFrame::from(it).into());
        (frames.collect(), line)
    }

    /// When a socket that the service closes is aborted, drained or not.
    #[must_use]
    pub fn abort_at(&self, socket: Socket) -> Option<Duration> {
        let at = self.sockets.get(&socket)?.outbox.closing()?.abort_at;
        Some(at.saturating_duration_since(self.start.mono))
    }

    /// Frames that wait for the client of a socket.
    #[must_use]
    pub fn waiting(&self, socket: Socket) -> usize {
        self.sockets
            .get(&socket)
            .map_or(0, |a| a.outbox.held().queue.frames)
    }

    /// The socket is gone; it is not known afterwards.
    pub fn socket_gone(&mut self, now: Duration, socket: Socket, loss: Loss) {
        let Some(Attachment {
            key, epoch, outbox, ..
        }) = self.sockets.remove(&socket)
        else {
            return;
        };
        self.woken.lock().remove(&socket);
        self.holding.remove(&socket).then(|| outbox.let_go());
        let gone = match loss {
            Loss::ClosedForGood => Gone::ClosedForGood(ByteString::new()),
            Loss::Lost => Gone::Lost,
        };
        self.act(now, |state, now, effects| {
            state.socket_gone(now, key, epoch, gone, effects)
        });
    }

    // REST.

    /// Sends a message; 0 seconds to live is for ever.
    pub fn send(
        &mut self,
        now: Duration,
        to: To,
        excluded: &[ConnectionId],
        payload: Payload,
        ttl_seconds: u32,
    ) {
        let selection = Selection {
            excluded: excluded.iter().map(|id| id.as_str().to_owned()).collect(),
            filter: None,
        };
        let outgoing = Outgoing {
            payload,
            metadata: Metadata::default(),
            ttl_seconds,
        };
        let target = Target::from(to);
        self.act(now, |state, now, fx| {
            state.send(now, &target, &selection, outgoing, fx)
        });
    }

    /// Closes connections.
    pub fn close(&mut self, now: Duration, to: To, reason: Option<&str>) {
        let (target, end) = (Target::from(to), End::by_server(reason));
        self.act(now, |state, now, fx| {
            state.close(now, &target, &[], &end, fx)
        });
    }

    /// Adds a connection to a group; whether there is one.
    pub fn join(&mut self, now: Duration, id: &str, group: &GroupName) -> bool {
        self.act(now, |state, now, fx| {
            state.add_connection_to_group(now, id, group, fx)
        })
        .is_ok()
    }

    /// Takes a connection out of a group, or of all.
    pub fn leave(&mut self, now: Duration, id: &str, group: Option<&GroupName>) {
        self.act(now, |state, now, fx| {
            state.remove_connection_from_groups(now, id, group, fx)
        });
    }

    /// Adds the connections of a user to a group; whether there is one.
    pub fn join_user(&mut self, now: Duration, user: &str, group: &GroupName) -> bool {
        self.act(now, |state, now, fx| {
            state.add_user_to_group(now, user, group, fx)
        })
    }

    /// Takes the connections of a user out of a group, or of all.
    pub fn leave_user(&mut self, now: Duration, user: &str, group: Option<&GroupName>) {
        self.act(now, |state, now, fx| {
            state.remove_user_from_groups(now, user, group, fx)
        });
    }

    /// Grants a permission for a group; whether there is such a connection.
    pub fn grant(
        &mut self,
        now: Duration,
        id: &str,
        permission: Permission,
        group: &GroupName,
    ) -> bool {
        self.act(now, |state, _, _| state.grant(id, permission, group))
            .is_ok()
    }

    /// Revokes a permission for a group; whether there is such a connection.
    pub fn revoke(
        &mut self,
        now: Duration,
        id: &str,
        permission: Permission,
        group: &GroupName,
    ) -> bool {
        self.act(now, |state, now, fx| {
            state.revoke(now, id, permission, group, fx)
        })
        .is_ok()
    }

    // What is there.

    /// Whether a connection exists, with or without a socket.
    #[must_use]
    pub fn connection_exists(&self, id: &str) -> bool {
        self.state.key_of(id).is_some()
    }

    /// Whether a user has a connection.
    #[must_use]
    pub fn user_exists(&self, user: &str) -> bool {
        self.state.user_exists(user)
    }

    /// The members of a group, in order of their ids.
    #[must_use]
    pub fn members(&self, group: &str) -> Vec<ConnectionId> {
        let (members, _) = self.state.members(group, None, usize::MAX);
        members
            .into_iter()
            .map(|member| member.connection_id)
            .collect()
    }

    /// Whether the connection holds a permission; `None` when there is no such connection.
    #[must_use]
    pub fn check(&self, id: &str, permission: Permission, group: &GroupName) -> Option<bool> {
        self.state.check(id, permission, group)
    }
}

/// What the wall clock of a driven hub shows at its beginning, since 1970.
pub const EPOCH: Duration = Duration::from_secs(1_800_000_000);

impl std::fmt::Debug for DrivenHub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DrivenHub")
            .field("sockets", &self.sockets.len())
            .finish_non_exhaustive()
    }
}

/// Notes that a socket was woken.
struct WakeSocket {
    socket: Socket,
    woken: Arc<Mutex<BTreeSet<Socket>>>,
}

impl Wake for WakeSocket {
    fn wake(self: Arc<Self>) {
        self.woken.lock().insert(self.socket);
    }
}

impl From<WireFrame> for Frame {
    fn from(frame: WireFrame) -> Self {
        let payload = frame.payload();
        match frame.kind() {
            FrameKind::Text => Self::Text(payload.try_into().expect("text is UTF-8")),
            _ => Self::Binary(payload),
        }
    }
}
