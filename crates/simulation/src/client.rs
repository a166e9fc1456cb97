//! A scripted client: what it remembers of its connection, and what it finds wrong with what it
//! receives. It looks at the reference only for what was sent to it, never for how.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use bytestring::ByteString;
use webpubsub_emulator::driven::ConnectSpec;
use webpubsub_protocol::frame::{ClientFrame, ServerFrame};
use webpubsub_protocol::name::ConnectionId;

use crate::coverage::{Coverage, Happening};
use crate::failure::{Check, Finding};
use crate::reference::{Entry, Says};
use crate::wire::Seen;

/// When a client acknowledges what it received. Reliable clients only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AckPolicy {
    AtOnce,
    /// After so long.
    Late(Duration),
    /// Sometimes it repeats an older one.
    Untidy(Duration),
    Never,
}

/// A client and its present connection.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) spec: ConnectSpec,
    pub(crate) acks: AckPolicy,
    /// The link that it talks on, once that is open.
    pub(crate) link: Option<usize>,
    pub(crate) is_open: bool,
    pub(crate) is_dialing: bool,
    pub(crate) session: Option<Session>,
    pub(crate) ack_is_set: bool,
}

/// What a client remembers of a connection.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: ConnectionId,
    pub(crate) token: Option<String>,
    pub(crate) last_sequence: u64,
    recoveries: u64,
    /// The largest id from before the latest recovery.
    recovered_at: u64,
    /// By ack id.
    pub(crate) requests: BTreeMap<u64, Request>,
    pub(crate) next_ack: u64,
    pub(crate) streams: Vec<OwnStream>,
    pub(crate) next_name: u64,
    /// Invocations without an answer.
    pub(crate) invocations: Vec<ByteString>,
}

/// A frame that asked for an answer.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) frame: ClientFrame,
    pub(crate) sent: u64,
    pub(crate) answers: u64,
    pub(crate) succeeded: bool,
}

/// A stream that the client publishes.
#[derive(Debug)]
pub(crate) struct OwnStream {
    pub(crate) name: ByteString,
    /// The number that the service expects, as far as the client knows.
    pub(crate) next: u64,
}

impl Client {
    pub(crate) fn new(spec: ConnectSpec, acks: AckPolicy) -> Self {
        Self {
            spec,
            acks,
            link: None,
            is_open: false,
            is_dialing: false,
            session: None,
            ack_is_set: false,
        }
    }

    pub(crate) fn is_reliable(&self) -> bool {
        self.spec
            .subprotocol
            .is_some_and(|protocol| protocol.is_reliable())
    }

    /// Whether it can act: simple clients know no ids and need none.
    pub(crate) fn is_ready(&self) -> bool {
        self.link.is_some() && self.is_open && self.session.is_some()
    }

    /// A frame arrives. `ledger` is everything that was ever numbered for this connection.
    pub(crate) fn receive(
        &mut self,
        now: Duration,
        seen: &Seen,
        ledger: &[Entry],
        coverage: &mut Coverage,
    ) -> Check {
        let Seen::Frame {
            sequence,
            frame,
            token,
        } = seen
        else {
            return Ok(());
        };
        if let ServerFrame::Connected { connection_id, .. } = &**frame {
            return self.connected(connection_id, token.clone());
        }
        let Some(session) = &mut self.session else {
            return Err(Finding::new(
                "`connected` comes first",
                "connected",
                format!("{frame:?}"),
            ));
        };
        if let Some(sequence) = sequence {
            session.numbered(now, *sequence, frame, ledger, coverage)?;
        }
        session.understand(frame, coverage)
    }

    fn connected(&mut self, id: &ByteString, token: Option<String>) -> Check {
        Finding::unless_same(
            "reliable connections get a token, others none",
            &self.is_reliable(),
            &token.is_some(),
        )?;
        match &mut self.session {
            Some(session) => {
                Finding::unless_same(
                    "a connection keeps its id",
                    &session.id.as_str(),
                    &id.as_ref(),
                )?;
                session.token = token;
            }
            None => {
                let id = ConnectionId::new(id.clone())
                    .map_err(|error| Finding::new("connections have ids", "an id", error))?;
                self.session = Some(Session::new(id, token));
            }
        }
        Ok(())
    }
}

impl Session {
    pub(crate) fn new(id: ConnectionId, token: Option<String>) -> Self {
        Self {
            id,
            token,
            last_sequence: 0,
            recoveries: 0,
            recovered_at: 0,
            requests: BTreeMap::new(),
            next_ack: 1,
            streams: Vec::new(),
            next_name: 1,
            invocations: Vec::new(),
        }
    }

    /// A name that this connection has not used.
    pub(crate) fn name(&mut self, prefix: &str) -> ByteString {
        self.next_name += 1;
        format!("{prefix}{}", self.next_name).into()
    }

    /// A new socket is open: what has no answer is sent again, with the same ids.
    pub(crate) fn recovered(&mut self) -> Vec<ClientFrame> {
        self.recoveries += 1;
        self.recovered_at = self.last_sequence;
        // They die with a socket.
        self.invocations.clear();
        let open = self
            .requests
            .values_mut()
            .filter(|request| request.answers == 0);
        open.map(|request| {
            request.sent += 1;
            request.frame.clone()
        })
        .collect()
    }

    fn numbered(
        &mut self,
        now: Duration,
        sequence: u64,
        frame: &Rc<ServerFrame>,
        ledger: &[Entry],
        coverage: &mut Coverage,
    ) -> Check {
        let at = |sequence: u64| {
            usize::try_from(sequence)
                .ok()
                .and_then(|s| ledger.get(s.checked_sub(1)?))
        };
        let is_it = at(sequence).is_some_and(|entry| entry.says == Says::Frame(Rc::clone(frame)));
        Finding::unless_same(
            "a number stands for one message, in each replay",
            &true,
            &is_it,
        )?;
        if sequence <= self.last_sequence {
            coverage.saw(Happening::ReplayedAgain);
            return Finding::unless_same(
                "nothing comes twice on one socket",
                &true,
                &(self.recoveries > 0 && sequence <= self.recovered_at),
            );
        }
        for missing in self.last_sequence + 1..sequence {
            let is_over = at(missing).is_some_and(|entry| entry.is_over(now));
            if !is_over {
                return Err(Finding::new(
                    LOST,
                    format!("number {missing}"),
                    format!("number {sequence}"),
                ));
            }
            coverage.saw(Happening::ExpiredReplay);
        }
        if self.recoveries > 0 {
            coverage.saw(Happening::ReplayedNew);
        }
        self.last_sequence = sequence;
        Ok(())
    }

    fn understand(&mut self, frame: &ServerFrame, coverage: &mut Coverage) -> Check {
        match frame {
            ServerFrame::Ack { ack_id, error } => {
                let name = error.as_ref().map(|error| error.name.as_ref());
                return self.answered(ack_id.0, name, coverage);
            }
            ServerFrame::StreamAck {
                stream_id,
                expected_sequence_id,
            } => {
                coverage.saw(Happening::StreamAck);
                self.go_on_from(stream_id, *expected_sequence_id);
            }
            ServerFrame::StreamNack {
                stream_id,
                expected_sequence_id,
                ..
            } => {
                coverage.saw(Happening::StreamNack);
                self.go_on_from(stream_id, *expected_sequence_id);
            }
            ServerFrame::StreamClosed { stream_id, error } => {
                self.streams.retain(|stream| stream.name != *stream_id);
                match error.as_ref().map(|error| error.name.as_ref()) {
                    Some("IdleTimeout") => coverage.saw(Happening::StreamIdle),
                    Some("Forbidden") => coverage.saw(Happening::StreamForbidden),
                    _ => {}
                }
            }
            ServerFrame::Message(message) => {
                let end = message
                    .stream
                    .as_ref()
                    .and_then(|stream| stream.error.as_ref());
                if end.is_some_and(|error| &*error.name == "Cancelled") {
                    coverage.saw(Happening::StreamCancelled);
                }
            }
            ServerFrame::InvokeResponse { invocation_id, .. } => {
                self.invocations.retain(|id| id != invocation_id);
                coverage.saw(Happening::InvokeAnswered);
            }
            ServerFrame::GroupStateSnapshot { .. } => coverage.saw(Happening::StateSnapshot),
            ServerFrame::GroupStateUpdate { .. } => coverage.saw(Happening::StateUpdate),
            _ => {}
        }
        Ok(())
    }

    fn answered(&mut self, ack_id: u64, error: Option<&str>, coverage: &mut Coverage) -> Check {
        let Some(request) = self.requests.get_mut(&ack_id) else {
            return Err(Finding::new("only requests are answered", "no ack", ack_id));
        };
        request.answers += 1;
        Finding::unless_same(
            "a request is answered at most as often as it was sent",
            &true,
            &(request.answers <= request.sent),
        )?;
        match error {
            None => {
                coverage.saw(Happening::AckSuccess);
                Finding::unless_same("a request is executed once", &false, &request.succeeded)?;
                request.succeeded = true;
            }
            Some("Duplicate") => {
                coverage.saw(Happening::AckDuplicate);
                Finding::unless_same(
                    "only a repeated request is a duplicate",
                    &true,
                    &(request.sent > 1),
                )?;
            }
            Some("Forbidden") => coverage.saw(Happening::AckForbidden),
            Some(_) => coverage.saw(Happening::AckFailed),
        }
        Ok(())
    }

    fn go_on_from(&mut self, stream: &ByteString, expected: u64) {
        if let Some(stream) = self.streams.iter_mut().find(|own| own.name == *stream) {
            stream.next = expected;
        }
    }

    /// Everything has calmed down: nothing may be missing.
    pub(crate) fn check_complete(&self, now: Duration, ledger: &[Entry]) -> Check {
        let received = usize::try_from(self.last_sequence).unwrap_or(usize::MAX);
        let missing = ledger
            .iter()
            .skip(received)
            .find(|entry| !entry.is_over(now));
        if let Some(missing) = missing {
            return Err(Finding::new(
                LOST,
                format!("{missing:?}"),
                format!("number {received}"),
            ));
        }
        let unanswered = self
            .requests
            .iter()
            .find(|(_, request)| request.answers == 0);
        if let Some((ack_id, request)) = unanswered {
            return Err(Finding::new(
                "every request is answered",
                format!("{:?}", request.frame),
                format!("no ack {ack_id}"),
            ));
        }
        Ok(())
    }
}

const LOST: &str = "nothing is lost within the window and the buffer";
