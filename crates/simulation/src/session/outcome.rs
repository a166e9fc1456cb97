//! What applications are told, held against what really happened.

use webpubsub_protocol::frame::{FrameError, Message};
use webpubsub_protocol::name::GroupName;
use webpubsub_protocol::payload::Payload;
use webpubsub_protocol::session::{Event, Ignored, Loss, Outcome, RequestId, StopReason};

use super::client::{Asked, OwnState, Stage, What};
use super::drive::Drained;
use super::ledger::serial_of;
use super::mark::{Kind, Mark};
use super::world::{self, Phase, World, answer_to};
use crate::coverage::Happening;
use crate::failure::{Check, Finding};

impl World {
    pub(super) fn application_hears(
        &mut self,
        client: usize,
        event: Event,
        drained: &mut Drained,
    ) -> Check {
        match event {
            Event::Connected { .. } => self.clients[client].last_heard.clear(),
            Event::Recovered { .. } => self.saw(Happening::SessionRecovered),
            Event::Recovering { cause } => self.saw_loss(&cause),
            Event::Disconnected { cause, .. } => {
                drained.ended = true;
                self.saw_loss(&cause);
            }
            Event::Stopped { reason } => {
                (drained.ended, drained.stopped) = (true, true);
                self.stopped(client, &reason);
            }
            Event::Settled { request, outcome } => {
                return self.settled(client, request, &outcome, drained);
            }
            Event::Answered {
                request, payload, ..
            } => return self.answered(client, request, payload.as_ref()),
            Event::Message(message) => return self.received(client, &message),
            Event::GroupState { .. } => self.saw(Happening::StatesChanged),
            Event::StreamFailed {
                stream_id, error, ..
            } => {
                self.saw(Happening::StreamBroken);
                let serial = serial_of(&stream_id);
                let stream = self.clients[client].stream_mut(serial);
                if stream.is_some_and(|stream| !stream.is_idle && error.name == "IdleTimeout") {
                    let seen = format!("{error:?}");
                    return Err(Finding::new("streams go on", "fragments, or an end", seen));
                }
                self.clients[client].forget_stream(serial);
            }
            Event::RejoinFailed { group, error } => return Err(not_restored(&group, &error)),
            // The service does not remember what it refused. So a subscription that came before its
            // join may be done after all when both are repeated, and the join be lost.
            Event::StateRestoreFailed { group, error } if self.has_joined(client, &group) => {
                return Err(not_restored(&group, &error));
            }
            Event::Ignored(Ignored::Duplicate(_)) => self.saw(Happening::ReplayedDuplicate),
            _ => {}
        }
        Ok(())
    }

    fn has_joined(&self, client: usize, group: &GroupName) -> bool {
        let mut joined = self.clients[client].session.joined_groups();
        joined.any(|joined| joined == group)
    }

    fn saw_loss(&mut self, cause: &Loss) {
        match cause {
            Loss::Silent(_) => self.saw(Happening::SocketSilent),
            Loss::RecoveryExpired(_) => self.saw(Happening::RecoveryTooLate),
            _ => {}
        }
    }

    fn stopped(&mut self, client: usize, reason: &StopReason) {
        match reason {
            StopReason::Requested => self.saw(Happening::SessionStopped),
            StopReason::Refused(_) => self.saw(Happening::SessionRefused),
            _ => {}
        }
        self.clients[client].streams.clear();
        self.clients[client].own_states.clear();
        // Stopping ends the pause, too.
        self.clients[client].blocked_since = None;
        self.clients[client].stalled = false;
        if self.phase == Phase::Healing {
            self.schedule_in(0..1000, world::Event::Act(client));
        }
    }

    // Requests.

    fn settled(
        &mut self,
        client: usize,
        request: RequestId,
        outcome: &Outcome,
        drained: &mut Drained,
    ) -> Check {
        let Some(asked) = self.clients[client].requests.get_mut(&request) else {
            let seen = format!("{request:?}");
            return Err(Finding::new("only requests are settled", "a request", seen));
        };
        if std::mem::replace(&mut asked.is_settled, true) {
            let seen = format!("{outcome:?} after another outcome");
            return Err(Finding::new("a request is settled once", "one", seen));
        }
        let asked = asked.clone();
        let sent = asked.mark.and_then(|mark| self.ledger.sent(mark));
        let is_unwritten = sent.is_some_and(|sent| sent.written_on.is_empty());
        let is_single = sent.is_some_and(|sent| sent.submitted == 1);
        match outcome {
            Outcome::Accepted { ack_id } => {
                self.saw(Happening::OutcomeAccepted);
                if let Some(mark) = asked.mark {
                    self.accepted(&asked, mark, ack_id.is_some())?;
                }
            }
            Outcome::Duplicate { .. } => {
                self.saw(Happening::OutcomeDuplicate);
                if let Some(mark) = asked.mark {
                    self.accepted(&asked, mark, true)?;
                }
            }
            Outcome::Rejected { error, .. } => {
                self.saw(Happening::OutcomeRejected);
                if let Some(mark) = asked.mark.filter(|_| is_single) {
                    self.rejected(mark, error)?;
                }
            }
            Outcome::Cancelled => {
                if is_unwritten {
                    self.saw(Happening::OutcomeCancelled);
                } else if asked.mark.is_some() {
                    self.saw(Happening::OutcomeCancelledLate);
                }
                if let Some(mark) = asked.mark.filter(|_| is_unwritten) {
                    self.ledger
                        .excluded(mark, "what was withdrawn is never written")?;
                }
            }
            Outcome::Lost(_) => {
                let may_be_lost_alone = matches!(
                    asked.what,
                    What::Invoke | What::Open(_) | What::Write(..) | What::End(_) | What::KeepAlive
                );
                drained.lost |= !may_be_lost_alone;
                drained.lost_unwritten |= is_unwritten;
                if let Some(mark) = asked.mark {
                    self.ledger.lost(mark);
                }
                self.saw(if is_unwritten {
                    Happening::OutcomeLostUnwritten
                } else {
                    Happening::OutcomeLost
                });
            }
            Outcome::Stalled => {
                self.saw(Happening::OutcomeStalled);
                let expected = self.clients[client].stalled;
                Finding::unless_same("only who does not read is told so", &true, &expected)?;
            }
            _ => {}
        }
        if let (What::Invoke, Some(mark)) = (&asked.what, asked.mark)
            && *outcome != Outcome::Stalled
        {
            self.clients[client].conduct.invocation_settled(mark);
        }
        self.conclude(client, request, &asked.what, outcome)
    }

    fn accepted(&mut self, asked: &Asked, mark: Mark, is_acknowledged: bool) -> Check {
        if mark.kind == Kind::Raise && self.ledger.times_called(mark) > 1 {
            self.saw(Happening::EventRetried);
        }
        if asked.what == What::Invoke || (asked.what == What::Raise && is_acknowledged) {
            let answered = self.ledger.is_answered(mark);
            return Finding::unless_same("the handler did what was accepted", &true, &answered);
        }
        if is_acknowledged {
            self.ledger.accepted(mark)?;
        }
        Ok(())
    }

    fn rejected(&mut self, mark: Mark, error: &FrameError) -> Check {
        match mark.kind {
            Kind::Publish => self
                .ledger
                .excluded(mark, "what was rejected is never published"),
            _ => Finding::unless_same(
                "the handler's failure is told",
                &"InternalServerError",
                &&*error.name,
            ),
        }
    }

    /// What the application knows now.
    fn conclude(
        &mut self,
        client: usize,
        request: RequestId,
        what: &What,
        outcome: &Outcome,
    ) -> Check {
        let is_done = matches!(
            outcome,
            Outcome::Accepted { .. } | Outcome::Duplicate { .. }
        );
        // The service remembers what it did and not what it refused: so what was refused before a
        // drop may be done after it, later than what came after it and was done before the drop.
        let is_open = matches!(
            outcome,
            Outcome::Cancelled | Outcome::Stalled | Outcome::Duplicate { .. }
        );
        let state = &mut self.clients[client];
        match *what {
            What::Leave(group) | What::SetState(group, _) if is_open => {
                state.take_note(group, request, OwnState::Unknown);
            }
            What::Leave(group) | What::SetState(group, None) if is_done => {
                state.take_note(group, request, OwnState::Cleared);
            }
            What::SetState(group, Some(value)) if is_done => {
                state.take_note(group, request, OwnState::Is(value));
            }
            What::Open(serial) if is_done => {
                // Its end may have been asked for already.
                if let Some(stream) = state.stream_mut(serial)
                    && stream.stage == Stage::Opening
                {
                    stream.stage = Stage::Open;
                }
            }
            What::Open(serial) => state.forget_stream(serial),
            What::Write(serial, number) if *outcome == Outcome::Cancelled => {
                self.ledger.withdraw_fragment(serial, number);
            }
            What::End(serial) => {
                state.forget_stream(serial);
                if is_done {
                    self.saw(Happening::StreamEndAccepted);
                    return self.ledger.stream_ended(serial);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn answered(&mut self, client: usize, request: RequestId, payload: Option<&Payload>) -> Check {
        self.saw(Happening::InvocationAnswered);
        let asked = self.clients[client].requests.get(&request);
        let expected = asked.and_then(|asked| asked.mark).map(answer_to);
        let seen = payload.and_then(Mark::read);
        Finding::unless_same("an answer is for its invocation", &expected, &seen)
    }

    // Messages.

    fn received(&mut self, client: usize, message: &Message) -> Check {
        if message.stream.is_some() {
            return Ok(());
        }
        let Some(mark) = Mark::read(&message.payload) else {
            return Err(Finding::new("messages arrive whole", "a mark", "none"));
        };
        let own = client as u64;
        let sent = self.ledger.sent(mark);
        let connection = self.clients[client].conduct.connection.as_ref();
        // What was also written on another connection may come from that one.
        let is_own = connection
            .zip(sent)
            .is_some_and(|(id, sent)| sent.no_echo && sent.written_on.iter().eq([id]));
        if mark.kind == Kind::Publish && mark.of == own && is_own {
            let seen = format!("{mark:?}");
            return Err(Finding::new("there is no echo", "nothing", seen));
        }
        let may_repeat = sent.is_some_and(|sent| sent.written_on.len() > 1);
        let state = &mut self.clients[client];
        if !state.heard.insert(mark) && !may_repeat {
            let seen = format!("{mark:?} again");
            return Err(Finding::new("no message arrives twice", "once", seen));
        }
        let before = state.last_heard.insert((mark.kind, mark.of), mark.number);
        let number = before.unwrap_or_default();
        match mark.kind {
            Kind::ToConnection => {
                let connection = state.conduct.connection.as_ref();
                let sent = connection.and_then(|id| self.ledger.sent_to(id));
                let expected = sent.map(|(serial, _)| (serial, number + 1));
                let seen = Some((mark.of, mark.number));
                Finding::unless_same("a connection misses nothing", &expected, &seen)
            }
            // Answers to events come in the order of the events, which may be tried again.
            Kind::Answer => Finding::unless_same("answers come home", &own, &(mark.of / 2)),
            _ => {
                let before = Mark { number, ..mark };
                if number >= mark.number && self.ledger.in_order(before, mark) {
                    let expected = format!("a number above {number}");
                    let seen = format!("{mark:?}");
                    return Err(Finding::new("messages keep their order", expected, seen));
                }
                Ok(())
            }
        }
    }
}

fn not_restored(group: &GroupName, error: &FrameError) -> Finding {
    let seen = format!("{error:?}");
    Finding::new("a new connection gets what the old one had", group, seen)
}
