//! What goes wrong with a socket on purpose.

use std::ops::ControlFlow::{Break, Continue};
use std::task::Context;
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite};
use webpubsub_protocol::name::{GroupName, UserId};

use super::{Phase, Socket, Turn, close_frame};
use crate::faults::{FaultId, FaultStore, Hit, Kind, Place, Subject};
use crate::hub::{Attachment, CLOSE_DRAIN, Hub, MessageKind};
use crate::traffic::Direction;

/// What has been decided about a socket. Made when there are rules for sockets.
pub(super) struct Disturbance {
    /// Of the rules when they were last looked at.
    generation: u64,
    /// The rules that have had their say about this line.
    judged: Vec<FaultId>,
    /// Those that disturb it.
    hits: Vec<Hit>,
    /// What is to be done next.
    strike: Option<Kind>,
    user: Option<UserId>,
}

/// What becomes of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Passes,
    IsLost,
    ComesTwice,
}

impl Disturbance {
    fn new(hub: &Hub, attachment: &Attachment) -> Self {
        Self {
            generation: 0,
            judged: Vec::new(),
            hits: Vec::new(),
            strike: None,
            user: hub.user_of(attachment.key),
        }
    }

    /// What becomes of a frame. Whatever comes after one that ends the connection is lost.
    pub(super) fn fate(
        &mut self,
        store: &FaultStore,
        hub: &Hub,
        attachment: &Attachment,
        frame: (Direction, MessageKind),
        group: Option<&GroupName>,
    ) -> Fate {
        if self.strike.is_some() {
            return Fate::IsLost;
        }
        let subject = Subject {
            group,
            frame: Some(frame),
            ..self.subject(hub, attachment)
        };
        match store.strike(Place::Frame, &subject).map(|hit| hit.kind) {
            None => Fate::Passes,
            Some(Kind::LoseFrame) => Fate::IsLost,
            Some(Kind::DuplicateFrame) => Fate::ComesTwice,
            Some(kind) => {
                self.strike = Some(kind);
                Fate::IsLost
            }
        }
    }

    fn subject<'a>(&'a self, hub: &'a Hub, attachment: &'a Attachment) -> Subject<'a> {
        Subject {
            hub: Some(hub.name()),
            user: self.user.as_ref(),
            connection: Some(&attachment.connection_id),
            ..Subject::default()
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Socket<T> {
    /// Whether there are rules for sockets, or were when this one looked.
    pub(super) fn may_be_disturbed(&self) -> bool {
        self.disturbance.is_some() || self.guard.service.faults().concern_sockets()
    }

    /// Looks which rules there are for this socket, and passes on what is under way on a line that is disturbed.
    pub(super) fn be_disturbed(&mut self, cx: &mut Context<'_>, now: Instant) -> Turn<()> {
        let store = self.guard.service.faults();
        let (hub, attachment) = (&self.guard.hub, &self.guard.attachment);
        let disturbance = self
            .disturbance
            .get_or_insert_with(|| Box::new(Disturbance::new(hub, attachment)));
        let generation = store.generation();
        if disturbance.generation != generation {
            disturbance.generation = generation;
            disturbance.hits.retain(|hit| store.has(hit.id));
            let mut judged = std::mem::take(&mut disturbance.judged);
            let hits = store.judge(&disturbance.subject(hub, attachment), &mut judged);
            disturbance.judged = judged;
            for hit in hits {
                match hit.kind {
                    Kind::HalfOpen | Kind::Latency { .. } | Kind::Bandwidth { .. } => {
                        disturbance.hits.push(hit);
                    }
                    kind => drop(disturbance.strike.get_or_insert(kind)),
                }
            }
            self.io
                .disturb(self.guard.service.clock(), disturbance.hits.iter());
        }
        self.strike(cx, now)?;
        self.drive(cx)?;
        if !self.guard.service.faults().concern_sockets() && !self.io.is_disturbed() {
            self.disturbance = None;
        }
        Continue(())
    }

    /// Carries out what a rule has decided.
    pub(super) fn strike(&mut self, cx: &Context<'_>, now: Instant) -> Turn<()> {
        let strike = self.disturbance.as_mut().and_then(|it| it.strike.take());
        match strike {
            Some(Kind::Close { code, reason }) if self.phase == Phase::Open => {
                self.writer.push(close_frame(Some((code, &reason))));
                self.phase = Phase::Closing {
                    until: now + CLOSE_DRAIN,
                    by_client: false,
                    is_shut: false,
                };
                cx.waker().wake_by_ref();
            }
            Some(Kind::DropConnection) => return Break(()),
            Some(Kind::ResetPeer) => {
                if let Some(watch) = &self.guard.line {
                    watch.reset_on_close();
                }
                return Break(());
            }
            _ => {}
        }
        Continue(())
    }

    /// Passes on what is under way.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) -> Turn<()> {
        match self.io.drive(cx) {
            // There may be room for more.
            Ok(true) => cx.waker().wake_by_ref(),
            Ok(false) => {}
            Err(_) => return Break(()),
        }
        Continue(())
    }
}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Socket<T> {
    /// The service is done with the socket. A line that is disturbed may not be.
    pub(super) fn give_up(&mut self) {
        let Some(rest) = self.io.give_up() else {
            return;
        };
        if rest.is_dead() {
            let hits = self.disturbance.iter().flat_map(|it| &it.hits);
            let because = hits
                .filter(|hit| hit.kind == Kind::HalfOpen)
                .map(|hit| hit.id);
            let store = self.guard.service.faults();
            store.hold_open(because.collect(), Box::new(rest));
        } else {
            tokio::spawn(rest.finish());
        }
    }
}
