//! Hands the session's events to those who wait for them.

use tokio::sync::watch;
use webpubsub_protocol::name::GroupName;
use webpubsub_protocol::session::{Event as SessionEvent, RequestId};

use super::{Answer, Caller, Inner, Report, Settled};
use crate::event::Event;

impl Inner {
    /// Takes how a request went, if it has ended. Whoever asks does not wait any longer.
    pub(super) fn take_settled(&mut self, request: RequestId) -> Option<Settled> {
        match self.callers.remove(&request) {
            Some(Caller::Settled(settled)) => Some(settled),
            Some(Caller::Waiting(_)) | None => None,
        }
    }

    /// Counts the changes in the states of this group.
    pub(crate) fn view(&mut self, group: GroupName) -> watch::Receiver<u64> {
        // Views that nobody holds any more go when another one is made.
        self.views.retain(|_, changes| !changes.is_closed());
        let changes = self
            .views
            .entry(group)
            .or_insert_with(|| watch::Sender::new(0));
        changes.subscribe()
    }

    /// Nobody will be answered any more.
    pub(super) fn forget_callers(&mut self) {
        for caller in std::mem::take(&mut self.callers).into_values() {
            if let Caller::Waiting(waker) = caller {
                self.woken.push(waker);
            }
        }
        self.answers.clear();
    }

    /// Hands out what happened.
    pub(super) fn dispatch(&mut self) {
        while let Some(event) = self.session.poll_event() {
            match event {
                // Most events are messages; the way for all others would move them a few times more.
                SessionEvent::Message(message) => self.outgoing.push(message.into()),
                event => self.dispatch_one(event),
            }
        }
        if self.outgoing.is_empty() {
            return;
        }
        let Some((last, others)) = self.inboxes.split_last() else {
            return self.outgoing.clear();
        };
        let mut is_neglected = false;
        for inbox in others {
            is_neglected |= inbox.push_all(self.outgoing.iter().cloned());
        }
        is_neglected |= last.push_all(self.outgoing.drain(..));
        if is_neglected {
            self.reports.push(Report::Neglected);
        }
    }

    fn dispatch_one(&mut self, event: SessionEvent) {
        self.reports.extend(Report::of(&event));
        match event {
            SessionEvent::Answered {
                request,
                payload,
                metadata,
            } => {
                self.answers.insert(request, Answer { payload, metadata });
            }
            SessionEvent::Settled { request, outcome } => {
                let answer = self.answers.remove(&request);
                // It may have been given up.
                if let Some(caller) = self.callers.get_mut(&request) {
                    let settled = Caller::Settled(Settled { outcome, answer });
                    if let Caller::Waiting(waker) = std::mem::replace(caller, settled) {
                        self.woken.push(waker);
                    }
                }
            }
            SessionEvent::StreamFailed {
                stream, ref error, ..
            } => {
                self.outbound.fail(stream, error);
                self.reports.push(Report::Event(Box::new(event)));
            }
            SessionEvent::StreamOpened {
                subscription,
                stream,
                group,
                stream_id,
            } => {
                if !self.inbound.open(subscription, stream, group, stream_id) {
                    self.reports.push(Report::StreamMissed);
                }
            }
            SessionEvent::StreamFragment { stream, fragment } => {
                self.inbound.push(stream, fragment);
            }
            SessionEvent::StreamEnded { stream, end } => self.inbound.end(stream, end),
            SessionEvent::Ignored(_) => self.reports.push(Report::Event(Box::new(event))),
            event => {
                self.dispatch_to_all(event);
            }
        }
    }

    /// An event that is for every consumer.
    fn dispatch_to_all(&mut self, event: SessionEvent) {
        match &event {
            SessionEvent::GroupState { group, .. } => {
                if let Some(changes) = self.views.get(group) {
                    changes.send_modify(|count| *count += 1);
                }
            }
            SessionEvent::Connected { .. } => {
                if let Some(starting) = self.starting.take() {
                    // The start may have been given up.
                    let _ = starting.send(Ok(()));
                }
            }
            SessionEvent::Stopped { reason } => {
                if let Some(starting) = self.starting.take() {
                    let _ = starting.send(Err(reason.clone()));
                }
            }
            _ => {}
        }
        self.outgoing.extend(Event::of(event));
    }
}
