//! One connection of the generator: what it has to write, and what it saw.

use std::time::Instant;

use mio::net::TcpStream;
use webpubsub_protocol::frame::ServerFrame;

use crate::kind::{Kind, find_mark};
use crate::wire::{self, Start, opcode, write_frame};

/// Reliable clients acknowledge once this many messages are unacknowledged.
const ACKNOWLEDGE_AFTER: u64 = 64;

/// How a transport ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The peer said that nothing more comes.
    Finished,
    /// It failed: reset, or never connected.
    Failed,
    /// What came is no WebSocket.
    Broken,
    /// The generator cut it.
    Cut,
}

/// What a connection saw since it began.
#[derive(Debug, Default)]
pub struct Log {
    /// Data frames.
    pub frames: u64,
    /// Bytes of their payloads.
    pub bytes: u64,
    /// Messages that carry a mark.
    pub messages: u64,
    /// Messages that were not the next ones of their publisher.
    pub disorder: u64,
    /// Acknowledgements that say yes.
    pub acks: u64,
    /// Acknowledgements that say no.
    pub failed_acks: u64,
    /// Answers to pings of the subprotocol.
    pub pongs: u64,
    /// Pings of the WebSocket.
    pub pings: u64,
    /// What the last frame before a close says.
    pub told: Option<String>,
    /// Code and reason of the close frame.
    pub close: Option<(u16, String)>,
    /// The HTTP status that refused the upgrade.
    pub refused: Option<u16>,
    /// How the transport ended, if it did.
    pub ended: Option<Ended>,
    /// The number that is next, by publisher.
    next: Vec<u64>,
}

impl Log {
    fn message(&mut self, publisher: usize, number: u64) {
        self.messages += 1;
        if self.next.len() <= publisher {
            self.next.resize(publisher + 1, 0);
        }
        if self.next[publisher] != number {
            self.disorder += 1;
        }
        self.next[publisher] = number + 1;
    }
}

/// How closely a connection looks at what it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Reads marks and frames.
    Closely,
    /// Counts frames only, so that the generator is fast.
    Counting,
}

/// What a source says after it appended frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum More {
    /// Ask again when there is room.
    Yes,
    /// That was the last one.
    No,
}

/// Appends the next frames that a connection sends.
pub type Source = Box<dyn FnMut(&mut Vec<u8>) -> More>;

/// Where a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The answer to the upgrade request is awaited.
    Upgrading,
    /// Frames travel.
    Open,
    /// The transport is over.
    Ended,
}

/// A connection of the generator.
pub struct Member {
    pub(crate) socket: Option<TcpStream>,
    pub(crate) phase: Phase,
    pub(crate) kind: Kind,
    pub(crate) look: Look,
    /// Not read while it is set.
    pub(crate) is_stalled: bool,
    pub(crate) answers_pings: bool,
    pub(crate) source: Option<Source>,
    pub(crate) out: Vec<u8>,
    pub(crate) written: usize,
    pub(crate) log: Log,
    pub(crate) opened_at: Option<Instant>,
    /// The beginning of a frame whose end has not come yet.
    partial: Vec<u8>,
    /// Bytes of a payload that nobody looks at.
    skip: usize,
    received: u64,
    acknowledged: u64,
}

/// Sums over all connections of a swarm.
#[derive(Debug, Default, Clone, Copy)]
pub struct Totals {
    /// Connections whose upgrade was answered with 101.
    pub opened: usize,
    /// Connections whose `connected` frame came.
    pub connected: usize,
    /// Connections that are over.
    pub ended: usize,
    /// Data frames.
    pub frames: u64,
    /// Bytes of their payloads.
    pub payload: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Messages with a mark.
    pub messages: u64,
    /// Acknowledgements, both kinds.
    pub acks: u64,
    /// Answers to pings of the subprotocol.
    pub pongs: u64,
}

impl Member {
    pub(crate) fn new(socket: TcpStream, kind: Kind, look: Look, request: Vec<u8>) -> Self {
        Self {
            socket: Some(socket),
            phase: Phase::Upgrading,
            kind,
            look,
            is_stalled: false,
            answers_pings: true,
            source: None,
            out: request,
            written: 0,
            log: Log::default(),
            opened_at: None,
            partial: Vec::new(),
            skip: 0,
            received: 0,
            acknowledged: 0,
        }
    }

    /// Takes what was read.
    pub(crate) fn take(&mut self, mut data: &[u8], totals: &mut Totals) -> Result<(), Ended> {
        totals.bytes += data.len() as u64;
        if self.skip > 0 {
            let skipped = self.skip.min(data.len());
            self.skip -= skipped;
            data = &data[skipped..];
        }
        if data.is_empty() {
            return Ok(());
        }
        if self.partial.is_empty() {
            let used = self.consume(data, totals)?;
            self.partial.extend(&data[used..]);
        } else {
            let mut whole = std::mem::take(&mut self.partial);
            whole.extend(data);
            let used = self.consume(&whole, totals)?;
            if used < whole.len() {
                whole.drain(..used);
                self.partial = whole;
            }
        }
        if self.kind.is_reliable() && self.received >= self.acknowledged + ACKNOWLEDGE_AFTER {
            self.kind.write_sequence_ack(&mut self.out, self.received);
            self.acknowledged = self.received;
        }
        Ok(())
    }

    /// Reads whole frames and returns how many bytes they had.
    fn consume(&mut self, data: &[u8], totals: &mut Totals) -> Result<usize, Ended> {
        let mut used = 0;
        if self.phase == Phase::Upgrading {
            let Some(end) = memchr::memmem::find(data, b"\r\n\r\n") else {
                return Ok(0);
            };
            let status = data
                .strip_prefix(b"HTTP/1.1 ")
                .and_then(|rest| rest.get(..3));
            if status != Some(b"101") {
                let status =
                    status.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
                self.log.refused = Some(status.unwrap_or(0));
                return Err(Ended::Finished);
            }
            self.phase = Phase::Open;
            self.opened_at = Some(Instant::now());
            totals.opened += 1;
            used = end + 4;
        }
        loop {
            let rest = &data[used..];
            let head = match wire::head(rest) {
                Start::Head(head) => head,
                Start::Incomplete => return Ok(used),
                Start::Broken => return Err(Ended::Broken),
            };
            let length = head.size + head.payload;
            let is_data = matches!(head.opcode, opcode::TEXT | opcode::BINARY);
            if is_data && self.look == Look::Counting {
                self.log.frames += 1;
                totals.frames += 1;
                self.log.bytes += head.payload as u64;
                totals.payload += head.payload as u64;
                if rest.len() < length {
                    self.skip = length - rest.len();
                    return Ok(data.len());
                }
            } else {
                let Some(payload) = rest.get(head.size..length) else {
                    return Ok(used);
                };
                if is_data {
                    self.data(payload, totals);
                } else {
                    self.control(head.opcode, payload);
                }
            }
            used += length;
        }
    }

    fn data(&mut self, payload: &[u8], totals: &mut Totals) {
        self.log.frames += 1;
        totals.frames += 1;
        self.log.bytes += payload.len() as u64;
        totals.payload += payload.len() as u64;
        if let Some((publisher, number)) = find_mark(payload) {
            self.log.message(publisher, number);
            totals.messages += 1;
            if self.kind.is_reliable()
                && let Some(id) = self.kind.sequence_id(payload)
            {
                self.received = self.received.max(id);
            }
            return;
        }
        match self.kind.read(payload) {
            Some(ServerFrame::Connected { .. }) => totals.connected += 1,
            Some(ServerFrame::Ack { error, .. }) => {
                totals.acks += 1;
                match error {
                    None => self.log.acks += 1,
                    Some(_) => self.log.failed_acks += 1,
                }
            }
            Some(ServerFrame::Pong) => {
                self.log.pongs += 1;
                totals.pongs += 1;
            }
            Some(ServerFrame::Disconnected { message }) => self.log.told = Some(message),
            Some(
                ServerFrame::GroupStateSnapshot { sequence_id, .. }
                | ServerFrame::GroupStateUpdate { sequence_id, .. },
            ) => self.received = self.received.max(sequence_id.map_or(0, |id| id.0)),
            _ => {}
        }
    }

    fn control(&mut self, opcode: u8, payload: &[u8]) {
        match opcode {
            opcode::PING => {
                self.log.pings += 1;
                if self.answers_pings {
                    write_frame(&mut self.out, opcode::PONG, payload);
                }
            }
            opcode::CLOSE => {
                let code = payload
                    .first_chunk()
                    .map_or(1005, |code| u16::from_be_bytes(*code));
                let reason = payload.get(2..).unwrap_or_default();
                self.log.close = Some((code, String::from_utf8_lossy(reason).into_owned()));
                write_frame(&mut self.out, opcode::CLOSE, payload);
            }
            _ => {}
        }
    }
}

impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Member")
            .field("kind", &self.kind)
            .field("phase", &self.phase)
            .field("log", &self.log)
            .finish_non_exhaustive()
    }
}
