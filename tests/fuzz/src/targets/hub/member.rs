//! One client of the hub, and what it has heard.

use std::collections::BTreeSet;

use webpubsub_emulator::driven::{Frame, Socket};
use webpubsub_protocol::frame::{AckId, ClientFrame, SequenceId, ServerFrame, json, protobuf};
use webpubsub_protocol::name::{ConnectionId, UserId};
use webpubsub_protocol::subprotocol::Subprotocol;

pub(super) struct Member {
    pub(super) socket: Socket,
    pub(super) id: ConnectionId,
    pub(super) user: Option<UserId>,
    pub(super) subprotocol: Option<Subprotocol>,
    pub(super) has_socket: bool,
    /// What recovers the connection.
    pub(super) token: Option<String>,
    /// It was told that the connection is over.
    is_over: bool,
    is_first: bool,
    last: u64,
    pings: usize,
    asked: BTreeSet<AckId>,
}

impl Member {
    pub(super) fn new(
        socket: Socket,
        id: ConnectionId,
        user: Option<UserId>,
        subprotocol: Option<Subprotocol>,
    ) -> Self {
        Self {
            socket,
            id,
            user,
            subprotocol,
            has_socket: true,
            token: None,
            is_over: false,
            is_first: true,
            last: 0,
            pings: 0,
            asked: BTreeSet::new(),
        }
    }

    pub(super) fn is_reliable(&self) -> bool {
        self.subprotocol.is_some_and(Subprotocol::is_reliable)
    }

    pub(super) fn recovered(&mut self, socket: Socket) {
        self.socket = socket;
        self.has_socket = true;
        self.is_first = true;
        // What it did not acknowledge comes again.
        self.last = 0;
    }

    pub(super) fn says(&mut self, frame: &Frame) {
        let frame = match frame {
            Frame::Text(text) => json::decode_client(text.clone().into_bytes()),
            Frame::Binary(bytes) => protobuf::decode_client(bytes.clone()),
        };
        if let Ok(frame) = frame {
            self.asked.extend(frame.ack_id());
            self.pings += usize::from(frame == ClientFrame::Ping);
        }
    }

    /// What the hub says is a frame of the subprotocol, in its place.
    pub(super) fn hears(&mut self, frame: Frame) {
        let Some(subprotocol) = self.subprotocol else {
            return;
        };
        let frame = match (subprotocol, frame) {
            (Subprotocol::Json | Subprotocol::ReliableJson, Frame::Text(text)) => {
                json::decode_server(text.into_bytes())
            }
            (Subprotocol::Protobuf | Subprotocol::ReliableProtobuf, Frame::Binary(bytes)) => {
                protobuf::decode_server(bytes)
            }
            (_, frame) => panic!("the wrong kind of message: {frame:?}"),
        };
        let frame = frame.expect("a client reads what the service says");
        assert!(!self.is_over, "nothing comes after `disconnected`");
        let is_first = std::mem::take(&mut self.is_first);
        let is_connected = matches!(frame, ServerFrame::Connected { .. });
        assert_eq!(is_first, is_connected, "a socket begins with `connected`");
        match frame {
            ServerFrame::Connected {
                connection_id,
                reconnection_token,
                ..
            } => {
                assert_eq!(connection_id, self.id.as_str());
                assert_eq!(reconnection_token.is_some(), self.is_reliable());
                self.token = reconnection_token.map(|token| token.to_string());
            }
            ServerFrame::Disconnected { .. } => self.is_over = true,
            ServerFrame::Ack { ack_id, .. } => {
                assert!(self.asked.contains(&ack_id), "an answer to nothing");
            }
            ServerFrame::Pong => {
                assert!(self.pings > 0, "a pong without a ping");
                self.pings -= 1;
            }
            ServerFrame::Message(message) => self.numbered(message.sequence_id),
            ServerFrame::GroupStateSnapshot { sequence_id, .. }
            | ServerFrame::GroupStateUpdate { sequence_id, .. } => self.numbered(sequence_id),
            _ => {}
        }
    }

    fn numbered(&mut self, id: Option<SequenceId>) {
        assert_eq!(id.is_some(), self.is_reliable());
        if let Some(SequenceId(id)) = id {
            assert!(id > self.last, "{id} after {}", self.last);
            self.last = id;
        }
    }
}
