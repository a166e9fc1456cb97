//! The service: the real hub, an observer that never fails, and the handler behind it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytestring::ByteString;
use webpubsub_emulator::driven::{
    CallId, ConnectSpec, DrivenHub, DrivenSettings, Frame, Line, Socket,
};
use webpubsub_protocol::frame::{ClientFrame, ServerFrame, json};
use webpubsub_protocol::name::GroupName;
use webpubsub_protocol::subprotocol::Subprotocol;

use super::ledger::Ledger;
use super::mark::Mark;
use crate::failure::{Check, Finding};
use crate::wire;

/// States of the members of one group.
pub(super) type States = BTreeMap<ByteString, Vec<(String, String)>>;

/// The hub and what belongs to it.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) hub: DrivenHub,
    observer: Socket,
    states: BTreeMap<GroupName, States>,
    calls: BTreeMap<CallId, Mark>,
}

impl Service {
    /// A hub with an observer in each group.
    pub(super) fn new(
        now: Duration,
        settings: &DrivenSettings,
        seed: u64,
        groups: &[GroupName],
    ) -> Self {
        let mut hub = DrivenHub::new(settings, seed);
        let spec = ConnectSpec {
            roles: vec!["webpubsub.getGroupState".to_owned()],
            groups: groups.to_vec(),
            subprotocol: Some(Subprotocol::Json),
            ..ConnectSpec::default()
        };
        let (observer, _) = hub.connect(now, spec);
        for group in groups {
            let subscribe = ClientFrame::SubscribeGroupState {
                group: group.clone(),
                ack_id: None,
            };
            hub.frame(now, observer, wire::encode(Subprotocol::Json, &subscribe));
        }
        Self {
            hub,
            observer,
            states: BTreeMap::new(),
            calls: BTreeMap::new(),
        }
    }

    /// Lets the observer read everything; the other sockets that have something to write.
    pub(super) fn take_woken(
        &mut self,
        now: Duration,
        ledger: &mut Ledger,
    ) -> Result<BTreeSet<Socket>, Finding> {
        let mut woken = self.hub.take_woken();
        while woken.remove(&self.observer) {
            loop {
                let (frames, line) = self.hub.drain(now, self.observer, 64);
                Finding::unless_same("the observer stays", &Line::Open, &line)?;
                if frames.is_empty() {
                    break;
                }
                for frame in frames {
                    self.observe(frame, ledger)?;
                }
            }
            woken.append(&mut self.hub.take_woken());
        }
        Ok(woken)
    }

    fn observe(&mut self, frame: Frame, ledger: &mut Ledger) -> Check {
        let Frame::Text(text) = frame else {
            return Err(Finding::new("JSON is text", "text", "binary"));
        };
        let frame = json::decode_server(text.into_bytes())
            .map_err(|error| Finding::new("clients understand every frame", "a frame", error))?;
        match frame {
            ServerFrame::Message(message) => {
                ledger.observe(&message.payload, message.stream.as_deref())
            }
            ServerFrame::GroupStateSnapshot { group, items, .. }
            | ServerFrame::GroupStateUpdate { group, items, .. } => {
                let states = self.states.entry(group).or_default();
                for item in items {
                    match item.state {
                        Some(state) => states.insert(item.connection_id, state),
                        None => states.remove(&item.connection_id),
                    };
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The states of a group's members.
    pub(super) fn states(&self, group: &GroupName) -> States {
        self.states.get(group).cloned().unwrap_or_default()
    }

    // The handler.

    /// Calls that the handler has to answer.
    pub(super) fn take_calls(&mut self, ledger: &mut Ledger) -> Result<Vec<CallId>, Finding> {
        for call in self.hub.take_cancelled() {
            if let Some(mark) = self.calls.remove(&call) {
                ledger.call_cancelled(mark);
            }
        }
        let mut calls = Vec::new();
        for call in self.hub.take_calls() {
            let mark = Mark::read(&call.payload)
                .ok_or_else(|| Finding::new("events arrive whole", "a mark", "none"))?;
            ledger.called(mark)?;
            self.calls.insert(call.id, mark);
            calls.push(call.id);
        }
        Ok(calls)
    }

    /// What was asked, unless nobody waits any more.
    pub(super) fn end_call(&mut self, call: CallId) -> Option<Mark> {
        self.calls.remove(&call)
    }

    /// Nobody will answer any more.
    pub(super) fn cancel_all(&mut self, ledger: &mut Ledger) {
        for (_, mark) in std::mem::take(&mut self.calls) {
            ledger.call_cancelled(mark);
        }
    }
}
