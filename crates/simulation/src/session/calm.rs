//! What must be true when everything has worked again for a while.

use webpubsub_protocol::session::State;

use super::client::OwnState;
use super::mark::Kind;
use super::world::{Phase, World};
use crate::failure::{Check, Finding};

impl World {
    /// Everything has calmed down. Then everyone leaves.
    pub(super) fn check_calm(&mut self) -> Check {
        for client in 0..self.clients.len() {
            self.check_requests(client)?;
            let wanted = self.clients[client].wanted;
            let expected = if wanted {
                State::Connected
            } else {
                State::Stopped
            };
            let seen = self.clients[client].session.state();
            Finding::unless_same("everyone is connected after the trouble", &expected, &seen)?;
            if wanted {
                self.check_groups(client)?;
                self.check_messages(client)?;
            }
        }
        self.phase = Phase::Ending;
        for client in 0..self.clients.len() {
            let now = self.now_at(client);
            self.clients[client].session.stop(now);
            self.pump(client)?;
            let stopped = self.clients[client].session.state();
            Finding::unless_same("everyone stops", &State::Stopped, &stopped)?;
            self.clients[client].consumers.catch_up()?;
        }
        Ok(())
    }

    fn check_requests(&self, client: usize) -> Check {
        let requests = self.clients[client].requests.values();
        let mut open = requests.filter(|asked| !asked.is_settled);
        match open.next() {
            Some(asked) => Err(Finding::new(
                "each request is settled",
                "an outcome",
                format!("none for {asked:?}"),
            )),
            None => Ok(()),
        }
    }

    fn check_groups(&self, client: usize) -> Check {
        let state = &self.clients[client];
        let Some(id) = &state.conduct.connection else {
            return Err(Finding::new("`Connected` is told", "an id", "none"));
        };
        let lives = self.service.hub.connection_exists(id);
        Finding::unless_same("the service has this connection", &true, &lives)?;
        for (index, group) in self.scenario.groups.iter().enumerate() {
            let members = self.service.hub.members(group.as_str());
            let is_member = members.iter().any(|member| member.as_str() == &**id);
            let is_joined = state.session.joined_groups().any(|joined| joined == group);
            Finding::unless_same("joined groups are joined", &is_member, &is_joined)?;
            let states = self.service.states(group);
            // A subscription without a membership is one whose join was lost: it was not restored.
            if let Some(view) = state.session.group_states(group).filter(|_| is_joined) {
                let view = view
                    .into_iter()
                    .map(|member| (member.connection_id, member.state));
                let view = view.collect();
                Finding::unless_same("group states are those of the hub", &states, &view)?;
            }
            let own = states.get(id).and_then(|state| state.first());
            let own = own.map(|(_, value)| value.clone());
            match state.own_states.get(&index).map(|(_, own)| own) {
                Some(OwnState::Unknown) => {}
                Some(OwnState::Is(value)) if is_joined => {
                    let expected = Some(value.to_string());
                    Finding::unless_same("own states are set", &expected, &own)?;
                }
                // A state without a membership is one whose join was lost.
                Some(OwnState::Is(_) | OwnState::Cleared) | None => {
                    Finding::unless_same("no other states are set", &None, &own)?
                }
            }
        }
        Ok(())
    }

    fn check_messages(&self, client: usize) -> Check {
        let state = &self.clients[client];
        let Some(id) = &state.conduct.connection else {
            return Ok(());
        };
        if let Some((serial, sent)) = self.ledger.sent_to(id) {
            let heard = state.last_heard.get(&(Kind::ToConnection, serial));
            let heard = heard.copied().unwrap_or_default();
            Finding::unless_same("a connection that lives got everything", &sent, &heard)?;
        }
        let acknowledged = !state.is_reliable() || state.conduct.is_all_acknowledged(self.now, id);
        Finding::unless_same("what arrived is acknowledged", &true, &acknowledged)
    }
}
