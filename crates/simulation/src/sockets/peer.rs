//! A client at the far end of a line: what it sends, how it reads, and what it finds wrong.

use std::collections::{BTreeMap, VecDeque};
use std::io::Cursor;
use std::time::Duration;

use bytes::Bytes;
use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, Data, OpCode};
use webpubsub_emulator::driven::{Frame, Task};
use webpubsub_protocol::frame::{AckId, ClientFrame, SequenceId, ServerFrame};
use webpubsub_protocol::name::{EventName, GroupName};
use webpubsub_protocol::payload::Payload;
use webpubsub_protocol::subprotocol::Subprotocol;

use super::pipe::Far;
use crate::failure::{Check, Finding};
use crate::wire::{self, Seen};

/// A reliable client sends no more while so many of its messages are unanswered.
const IN_FLIGHT: usize = 4;

/// So that a client whose messages are all answered is not taken as lost.
const SPEAKS_EVERY: Duration = Duration::from_secs(10);

/// How a client reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Whatever comes.
    Full,
    /// So many bytes each time.
    Slow {
        every: Duration,
        most: usize,
        next: Duration,
    },
    /// Nothing until then.
    Stalled { until: Duration },
}

/// How a socket ended, as its client sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ended {
    Closed(u16, String),
    HungUp,
}

/// One socket's end of a client.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) task: Task,
    pub(crate) far: Far,
    /// What has no room on the line yet.
    pub(crate) outgoing: VecDeque<u8>,
    /// What is no complete frame yet.
    incoming: Vec<u8>,
    took_at: Duration,
    acknowledged_at: Duration,
    /// How long it took nothing although something was there, at most; a reliable client, how long it acknowledged nothing
    /// meanwhile.
    pub(crate) longest_pause: Duration,
    /// Its client or a server closes it.
    pub(crate) is_ending: bool,
    spoke_at: Duration,
    pub(crate) ended: Option<Ended>,
}

/// A client.
#[derive(Debug)]
pub(crate) struct Peer {
    /// In its messages. Another one for each connection.
    pub(crate) number: u64,
    pub(crate) subprotocol: Option<Subprotocol>,
    pub(crate) pace: Pace,
    pub(crate) socket: Option<Socket>,
    pub(crate) id: String,
    pub(crate) token: Option<String>,
    /// When it dials.
    pub(crate) dials_at: Duration,
    /// Messages that it sent, and those that it would like to send.
    pub(crate) sent: u64,
    pub(crate) wishes: u64,
    /// Events that it would like to send.
    pub(crate) event_wishes: u64,
    ack_ids: u64,
    pub(crate) unanswered: BTreeMap<u64, Frame>,
    sequence: u64,
    /// The last message of each sender.
    pub(crate) seen: BTreeMap<u64, u64>,
    pub(crate) received: u64,
}

impl Socket {
    pub(crate) fn new(task: Task, far: Far, now: Duration) -> Self {
        Self {
            task,
            far,
            outgoing: VecDeque::new(),
            incoming: Vec::new(),
            took_at: now,
            acknowledged_at: now,
            longest_pause: Duration::ZERO,
            is_ending: false,
            spoke_at: now,
            ended: None,
        }
    }

    /// Puts a frame behind what it sends, with a mask that changes nothing.
    pub(crate) fn say(&mut self, opcode: OpCode, payload: &[u8]) {
        let header = FrameHeader {
            opcode,
            mask: Some([0; 4]),
            ..FrameHeader::default()
        };
        let mut head = Vec::new();
        let written = header.format(payload.len() as u64, &mut head);
        written.expect("a Vec grows");
        self.outgoing.extend(head);
        self.outgoing.extend(payload);
    }

    fn say_frame(&mut self, frame: &Frame) {
        match frame {
            Frame::Text(text) => self.say(OpCode::Data(Data::Text), text.as_bytes()),
            Frame::Binary(bytes) => self.say(OpCode::Data(Data::Binary), bytes),
        }
    }

    /// The next complete frame.
    fn next(&mut self) -> Option<(OpCode, Vec<u8>)> {
        let mut cursor = Cursor::new(&self.incoming);
        let parsed = FrameHeader::parse(&mut cursor).expect("the service writes whole heads");
        let (header, len) = parsed?;
        let start = usize::try_from(cursor.position()).expect("a short head");
        let end = start + usize::try_from(len).expect("it fits into memory");
        if self.incoming.len() < end {
            return None;
        }
        let payload = self.incoming[start..end].to_vec();
        self.incoming.drain(..end);
        Some((header.opcode, payload))
    }
}

impl Peer {
    pub(crate) fn new(number: u64, subprotocol: Option<Subprotocol>, dials_at: Duration) -> Self {
        Self {
            number,
            subprotocol,
            pace: Pace::Full,
            socket: None,
            id: String::new(),
            token: None,
            dials_at,
            sent: 0,
            wishes: 0,
            event_wishes: 0,
            ack_ids: 0,
            unanswered: BTreeMap::new(),
            sequence: 0,
            seen: BTreeMap::new(),
            received: 0,
        }
    }

    pub(crate) fn is_reliable(&self) -> bool {
        self.subprotocol.is_some_and(Subprotocol::is_reliable)
    }

    /// Whether its connection can be given another socket.
    pub(crate) fn can_recover(&self) -> bool {
        self.is_reliable() && self.token.is_some()
    }

    /// It becomes another client, which knows nothing.
    pub(crate) fn begin_anew(&mut self, number: u64) {
        *self = Self {
            wishes: self.wishes,
            event_wishes: self.event_wishes,
            pace: self.pace,
            ..Self::new(number, self.subprotocol, self.dials_at)
        };
    }

    /// Its connection has a socket: what has no answer goes out first.
    pub(crate) fn attach(&mut self, socket: Socket) {
        let socket = self.socket.insert(socket);
        for frame in self.unanswered.values() {
            socket.say_frame(frame);
        }
    }

    /// It reads and writes as its pace has it. Whether something passed.
    pub(crate) fn turn(
        &mut self,
        now: Duration,
        group: &GroupName,
        len: usize,
    ) -> Result<bool, Finding> {
        let most = match &mut self.pace {
            Pace::Full => usize::MAX,
            Pace::Slow { next, .. } if *next > now => 0,
            Pace::Slow { every, most, next } => {
                *next = now + *every;
                *most
            }
            Pace::Stalled { until } if *until > now => 0,
            Pace::Stalled { .. } => {
                self.pace = Pace::Full;
                usize::MAX
            }
        };
        let Some(socket) = &mut self.socket else {
            return Ok(false);
        };
        let taken = socket.far.read(most, &mut socket.incoming);
        socket.longest_pause = socket.longest_pause.max(now - socket.took_at);
        let has_all = !socket.far.has_more();
        if taken > 0 || has_all {
            socket.took_at = now;
        }
        let before = self.sequence;
        while let Some((opcode, payload)) = self.socket.as_mut().and_then(Socket::next) {
            self.take(opcode, payload)?;
        }
        if self.sequence > before {
            let sequence_id = SequenceId(self.sequence);
            self.say(&ClientFrame::SequenceAck { sequence_id });
        }
        let (is_reliable, has_acknowledged) = (self.is_reliable(), self.sequence > before);
        if let Some(socket) = self.socket.as_mut().filter(|_| is_reliable) {
            let pause = now - socket.acknowledged_at;
            socket.longest_pause = socket.longest_pause.max(pause);
            if has_acknowledged || has_all && socket.incoming.is_empty() {
                socket.acknowledged_at = now;
            }
        }
        self.send(group, len);
        let Some(socket) = &mut self.socket else {
            return Ok(false);
        };
        if now >= socket.spoke_at + SPEAKS_EVERY {
            socket.spoke_at = now;
            socket.say(OpCode::Control(Control::Pong), b"");
        }
        let has_written = socket.far.write(&mut socket.outgoing) > 0;
        if socket.ended.is_none() && socket.far.has_ended() {
            socket.ended = Some(Ended::HungUp);
        }
        Ok(taken > 0 || has_written)
    }

    /// Sends what it would like to send. Only a reliable client waits for answers.
    fn send(&mut self, group: &GroupName, len: usize) {
        let waits = self.is_reliable();
        while !(waits && self.unanswered.len() >= IN_FLIGHT)
            && self.socket.as_ref().is_some_and(|socket| !socket.is_ending)
        {
            if self.event_wishes > 0 {
                self.event_wishes -= 1;
                self.raise(len);
            } else if self.wishes > 0 {
                self.wishes -= 1;
                self.sent += 1;
                self.publish(group, mark(self.number, self.sent, len));
            } else {
                return;
            }
        }
    }

    fn publish(&mut self, group: &GroupName, payload: Payload) {
        if self.subprotocol.is_some() {
            let ack_id = Some(self.next_ack_id());
            self.ask(ClientFrame::SendToGroup {
                group: group.clone(),
                ack_id,
                no_echo: false,
                ttl_seconds: 0,
                metadata: Default::default(),
                payload,
            });
        } else if let Some(socket) = &mut self.socket {
            socket.say_frame(&wire::raw(&payload));
        }
    }

    fn raise(&mut self, len: usize) {
        let ack_id = Some(self.next_ack_id());
        self.ask(ClientFrame::Event {
            event: EventName::new("e").expect("a name"),
            ack_id,
            metadata: Default::default(),
            payload: Payload::text("x".repeat(len)),
        });
    }

    fn next_ack_id(&mut self) -> AckId {
        self.ack_ids += 1;
        AckId(self.ack_ids)
    }

    /// Says something that is answered by an ack.
    fn ask(&mut self, frame: ClientFrame) {
        if let (Some(subprotocol), Some(socket)) = (self.subprotocol, &mut self.socket)
            && let Some(ack_id) = frame.ack_id()
        {
            let frame = wire::encode(subprotocol, &frame);
            socket.say_frame(&frame);
            self.unanswered.insert(ack_id.0, frame);
        }
    }

    fn say(&mut self, frame: &ClientFrame) {
        if let (Some(subprotocol), Some(socket)) = (self.subprotocol, &mut self.socket) {
            socket.say_frame(&wire::encode(subprotocol, frame));
        }
    }

    fn take(&mut self, opcode: OpCode, payload: Vec<u8>) -> Check {
        let Some(socket) = &mut self.socket else {
            return Ok(());
        };
        let frame = match opcode {
            OpCode::Control(Control::Ping) => {
                socket.say(OpCode::Control(Control::Pong), &payload);
                return Ok(());
            }
            OpCode::Control(Control::Close) => {
                let code = payload
                    .get(..2)
                    .map_or(1005, |code| u16::from_be_bytes([code[0], code[1]]));
                let reason = payload.get(2..).unwrap_or_default();
                let reason = String::from_utf8_lossy(reason).into_owned();
                socket.ended.get_or_insert(Ended::Closed(code, reason));
                socket.say(OpCode::Control(Control::Close), &payload);
                return Ok(());
            }
            OpCode::Control(_) => return Ok(()),
            OpCode::Data(Data::Text) => {
                let text = String::from_utf8(payload).map_err(|error| {
                    Finding::new("clients understand every frame", "UTF-8", error)
                })?;
                Frame::Text(text.into())
            }
            OpCode::Data(_) => Frame::Binary(Bytes::from(payload)),
        };
        match wire::decode(self.subprotocol, frame)? {
            Seen::Raw(Frame::Text(text)) => self.receive(text.as_bytes()),
            Seen::Raw(Frame::Binary(bytes)) => self.receive(&bytes),
            Seen::Frame {
                sequence,
                frame,
                token,
            } => {
                if let Some(sequence) = sequence {
                    if sequence <= self.sequence {
                        return Ok(());
                    }
                    Finding::unless_same(
                        "sequence ids have no gaps",
                        &(self.sequence + 1),
                        &sequence,
                    )?;
                    self.sequence = sequence;
                }
                match &*frame {
                    ServerFrame::Connected { connection_id, .. } => {
                        self.id = connection_id.to_string();
                        self.token = token.or(self.token.take());
                    }
                    ServerFrame::Ack { ack_id, error } => {
                        if error
                            .as_ref()
                            .is_some_and(|error| error.name != "Duplicate")
                        {
                            return Err(Finding::new(
                                "what is sent is accepted",
                                "an ack",
                                format_args!("{error:?}"),
                            ));
                        }
                        self.unanswered.remove(&ack_id.0);
                    }
                    ServerFrame::Message(message) => {
                        return self.receive(message.payload.as_bytes());
                    }
                    _ => {}
                }
                Ok(())
            }
        }
    }

    /// The messages of a sender come without gaps, from the first one that this client sees.
    fn receive(&mut self, payload: &[u8]) -> Check {
        self.received += 1;
        let text = String::from_utf8_lossy(payload);
        let mut numbers = text.split('.').map(str::parse::<u64>);
        let (Some(Ok(sender)), Some(Ok(number))) = (numbers.next(), numbers.next()) else {
            return Err(Finding::new("messages arrive whole", "a mark", text));
        };
        let last = self.seen.insert(sender, number);
        match last {
            Some(last) if number != last + 1 => Err(Finding::new(
                "who reads gets everything, once and in order",
                format_args!("{sender}.{} at client {}", last + 1, self.number),
                format_args!("{sender}.{number}"),
            )),
            _ => Ok(()),
        }
    }
}

/// A message that says whose it is and which.
pub(crate) fn mark(sender: u64, number: u64, len: usize) -> Payload {
    Payload::text(format!("{sender}.{number}.{}", "x".repeat(len)))
}
