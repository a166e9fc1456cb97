//! What waits for whom, and who takes too little of it.

use std::rc::Rc;
use std::time::Duration;

use webpubsub_protocol::frame::{Message, Sender, ServerFrame};
use webpubsub_protocol::name::{ConnectionId, GroupName, UserId};
use webpubsub_protocol::payload::Payload;
use webpubsub_protocol::subprotocol::Subprotocol;

use super::{Entry, Fate, Queued, Reference, Says};

pub(crate) const QUEUE_FULL: &str = "The outbound message queue is full.";
pub(crate) const REPLAY_FULL: &str = "The reliable message buffer is full.";

/// Control frames of reliable clients have this much room of their own.
const CONTROL_FRAMES: usize = 32;

/// The drain of a client that does not read.
const SLOW_DRAIN: Duration = Duration::from_secs(1);

impl Reference {
    /// Tells everyone the same; those who have no room left end afterwards.
    pub(super) fn deliver(
        &mut self,
        to: &[ConnectionId],
        frame: ServerFrame,
        expires: Option<Duration>,
        any_order: bool,
    ) {
        let frame = Rc::new(frame);
        for id in to {
            if self.ending.contains(id) {
                continue;
            }
            if let Err(reason) = self.publish(id, &frame, expires, any_order) {
                self.slow.entry(id.clone()).or_insert(reason);
            }
        }
        self.end_slow();
    }

    fn publish(
        &mut self,
        id: &ConnectionId,
        frame: &Rc<ServerFrame>,
        expires: Option<Duration>,
        any_order: bool,
    ) -> Result<(), &'static str> {
        let Some(connection) = self.connections.get_mut(id) else {
            return Ok(());
        };
        let says = match (connection.protocol, &**frame) {
            (Some(protocol), _) => Says::Frame(as_told(protocol, frame)),
            // Simple clients see no end of a stream, and no states.
            (None, ServerFrame::Message(message)) => match &message.stream {
                Some(stream) if stream.end_of_stream => return Ok(()),
                _ => Says::Raw(message.payload.clone()),
            },
            (None, _) => return Ok(()),
        };
        let entry = Entry {
            says,
            expires,
            any_order: any_order.then_some(self.step),
        };
        if !connection.is_reliable() {
            return self.queue(id, Queued::Entry(entry));
        }
        let ledger = self.ledgers.entry(id.clone()).or_default();
        let now = self.now;
        connection
            .kept
            .retain(|sequence| !ledger[sequence - 1].is_over(now));
        if connection.kept.len() >= self.settings.outbox_frames {
            return Err(REPLAY_FULL);
        }
        ledger.push(entry);
        let sequence = ledger.len();
        connection.kept.push_back(sequence);
        self.queue(id, Queued::Numbered(sequence))
    }

    /// Tells one client something that is lost with its socket.
    pub(super) fn control(&mut self, id: &ConnectionId, frame: ServerFrame) {
        self.control_in(id, frame, false);
    }

    pub(super) fn control_in(&mut self, id: &ConnectionId, frame: ServerFrame, any_order: bool) {
        let is_simple = |c: &super::Connection| c.protocol.is_none();
        if self.connections.get(id).is_none_or(is_simple) {
            return;
        }
        let entry = Entry {
            says: Says::Frame(Rc::new(frame)),
            expires: None,
            any_order: any_order.then_some(self.step),
        };
        if let Err(reason) = self.queue(id, Queued::Entry(entry)) {
            self.slow.entry(id.clone()).or_insert(reason);
            self.end_slow();
        }
    }

    fn queue(&mut self, id: &ConnectionId, queued: Queued) -> Result<(), &'static str> {
        let Some(connection) = self.connections.get(id) else {
            return Ok(());
        };
        let most = self.settings.outbox_frames
            + if connection.is_reliable() {
                CONTROL_FRAMES
            } else {
                0
            };
        let line = connection
            .socket
            .and_then(|socket| self.lines.get_mut(&socket));
        if let Some(line) = line {
            if line.queue.len() >= most {
                return Err(QUEUE_FULL);
            }
            line.queue.push_back(queued);
        }
        Ok(())
    }

    /// Ends those who have no room left. Others hear of it, but not those who end at the same time; those who have no
    /// room for that end next.
    fn end_slow(&mut self) {
        if !self.ending.is_empty() {
            return;
        }
        while !self.slow.is_empty() {
            let slow = std::mem::take(&mut self.slow);
            self.ending = slow.keys().cloned().collect();
            for (id, reason) in slow {
                let connection = self.connections.get(&id);
                self.overflows_away += u64::from(connection.is_some_and(|c| c.socket.is_none()));
                self.end(&id, 1008, reason, Some(reason.to_owned()), SLOW_DRAIN);
            }
            self.ending.clear();
        }
    }

    /// Ends a connection: its socket still gets what waits, then the `disconnected` message and the close.
    pub(super) fn end(
        &mut self,
        id: &ConnectionId,
        code: u16,
        reason: &'static str,
        disconnected: Option<String>,
        drain: Duration,
    ) {
        let Some(connection) = self.remove(id) else {
            return;
        };
        let line = connection
            .socket
            .and_then(|socket| self.lines.get_mut(&socket));
        let Some(line) = line else {
            return;
        };
        if let Some(message) = disconnected
            && connection.protocol.is_some()
        {
            line.queue.push_back(Queued::Entry(Entry {
                says: Says::Frame(Rc::new(ServerFrame::Disconnected { message })),
                expires: None,
                any_order: None,
            }));
        }
        line.fate = Fate::Closing {
            code,
            reason,
            abort_at: self.now + drain,
        };
    }
}

/// Clients of the protobuf subprotocols are not told whose message it is.
fn as_told(protocol: Subprotocol, frame: &Rc<ServerFrame>) -> Rc<ServerFrame> {
    let is_protobuf = matches!(
        protocol,
        Subprotocol::Protobuf | Subprotocol::ReliableProtobuf
    );
    let mut told = Rc::clone(frame);
    if is_protobuf
        && let ServerFrame::Message(message) = &**frame
        && matches!(
            &message.from,
            Sender::Group {
                from_user_id: Some(_),
                ..
            }
        )
        && let ServerFrame::Message(message) = Rc::make_mut(&mut told)
        && let Sender::Group { from_user_id, .. } = &mut message.from
    {
        *from_user_id = None;
    }
    told
}

/// A message as receivers see it.
pub(super) fn message(from: Sender, payload: Payload) -> ServerFrame {
    ServerFrame::Message(Message {
        sequence_id: None,
        from,
        payload,
        metadata: webpubsub_protocol::metadata::Metadata::default(),
        stream: None,
    })
}

/// From a client, or from REST, to a group.
pub(super) fn from_group(group: &GroupName, user: Option<&UserId>) -> Sender {
    Sender::Group {
        group: group.clone(),
        from_user_id: user.map(|user| user.as_shared().clone()),
    }
}

/// 0 is for ever.
pub(super) fn expiry(now: Duration, ttl_seconds: u32) -> Option<Duration> {
    (ttl_seconds > 0).then(|| now + Duration::from_secs(ttl_seconds.into()))
}
