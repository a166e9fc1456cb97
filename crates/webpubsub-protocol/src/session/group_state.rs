//! Groups as the client knows them: which it joined, its own states, the states of others.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::time::{Duration, Instant};

use bytestring::ByteString;

use super::event::{Event, Ignored, Now};
use super::request::Outcome;
use super::requests::Effect;
use crate::frame::{ClientFrame, FrameError, GroupStateItem};
use crate::limits;
use crate::name::GroupName;

/// Cleared entries are remembered for so long, so that a late update does not bring them back.
const TOMBSTONE_LIFETIME: Duration = Duration::from_secs(5 * 60);

/// … and so many of them per group.
const TOMBSTONES: usize = 200;

/// What the states of one group may take up, in bytes: as much as a hundred thousand small ones. Ours;
/// it keeps the members of a group from filling the memory of a client that watches it.
const VIEW_BYTES: usize = 16 * 1024 * 1024;

/// What a member takes up beside its texts.
const MEMBER_BYTES: usize = 128;

/// The state of a member of a group. `Debug` shows how many entries the state has, but not what they are.
#[derive(Clone, PartialEq, Eq)]
pub struct MemberState {
    /// The member.
    pub connection_id: ByteString,
    /// Its user, when it has one.
    pub user_id: Option<ByteString>,
    /// Its state.
    pub state: Vec<(String, String)>,
    /// When it changed by the service's clock, in milliseconds of UNIX time.
    pub updated_at: i64,
}

impl fmt::Debug for MemberState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemberState")
            .field("connection_id", &self.connection_id)
            .field("user_id", &self.user_id)
            .field("state", &format_args!("[{} entries]", self.state.len()))
            .field("updated_at", &self.updated_at)
            .finish()
    }
}

/// A change in the states of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateChange {
    /// A member has a new state.
    Set(MemberState),
    /// A member has no state any more: it cleared it, left or disconnected.
    Cleared {
        /// The member.
        connection_id: ByteString,
    },
}

#[derive(Debug, Default)]
pub(super) struct Groups {
    /// With their places in the order of joining, in which a new connection joins them again.
    joined: BTreeMap<GroupName, u64>,
    joins: u64,
    own_states: BTreeMap<GroupName, Vec<(String, String)>>,
    views: BTreeMap<GroupName, View>,
}

/// What a subscription has seen.
#[derive(Debug, Default)]
struct View {
    /// The service answered the subscription. What it shows may arrive earlier, and the answer not at
    /// all.
    is_confirmed: bool,
    members: BTreeMap<ByteString, MemberState>,
    /// What they take up.
    bytes: usize,
    /// When members were cleared, by the service's clock and by ours.
    cleared: BTreeMap<ByteString, (i64, Instant)>,
    /// The members are from an earlier connection; the next snapshot replaces them.
    is_stale: bool,
}

impl Groups {
    pub(super) fn joined(&self) -> impl Iterator<Item = &GroupName> {
        self.joined.keys()
    }

    pub(super) fn is_subscribed(&self, group: &GroupName) -> bool {
        self.views.contains_key(group)
    }

    /// The group's states by connection id; `None` without a subscription.
    pub(super) fn states(&self, group: &GroupName) -> Option<Vec<MemberState>> {
        let view = self.views.get(group)?;
        Some(view.members.values().cloned().collect())
    }

    /// Takes note of an answered request. `is_own` marks those that restore a new connection, and
    /// `subscribes_again` those that a subscription to the same group follows, without an answer yet.
    pub(super) fn apply(
        &mut self,
        effect: Effect,
        outcome: &Outcome,
        is_own: bool,
        subscribes_again: bool,
        events: &mut VecDeque<Event>,
    ) {
        match (outcome, effect) {
            (Outcome::Accepted { .. } | Outcome::Duplicate { .. }, effect) => {
                self.succeed(effect, subscribes_again);
            }
            (Outcome::Rejected { error, .. }, effect) if is_own => {
                self.fail_to_restore(effect, error, events);
            }
            (Outcome::Rejected { .. }, Effect::Subscribed(group)) => {
                self.views
                    .retain(|name, view| view.is_confirmed || *name != group);
            }
            _ => {}
        }
    }

    fn succeed(&mut self, effect: Effect, subscribes_again: bool) {
        match effect {
            Effect::None => {}
            Effect::Joined(group) => {
                self.joins += 1;
                self.joined.entry(group).or_insert(self.joins);
            }
            Effect::Left(group) => {
                self.joined.remove(&group);
                self.own_states.remove(&group);
                self.end_view(&group, subscribes_again);
            }
            Effect::StateSet(group, Some(state)) => {
                self.own_states.insert(group, state);
            }
            Effect::StateSet(group, None) => {
                self.own_states.remove(&group);
            }
            Effect::Subscribed(group) => {
                self.views.entry(group).or_default().is_confirmed = true;
            }
            Effect::Unsubscribed(group) => self.end_view(&group, subscribes_again),
        }
    }

    /// A subscription ended. When another one follows, this may be the repeated answer to what was
    /// done before a drop, and the snapshot of the other one is here already: it must stay.
    fn end_view(&mut self, group: &GroupName, subscribes_again: bool) {
        match self.views.get_mut(group) {
            Some(view) if subscribes_again => {
                view.is_confirmed = false;
                view.is_stale = true;
            }
            _ => {
                self.views.remove(group);
            }
        }
    }

    /// The requests that give a new connection what the old one had, each group joined first.
    pub(super) fn restoring_requests(&mut self) -> Vec<ClientFrame> {
        // The others were lost with the connection, and have been settled so.
        self.views.retain(|_, view| view.is_confirmed);
        for view in self.views.values_mut() {
            view.is_stale = true;
        }
        let ack_id = None;
        let mut joined: Vec<_> = self.joined.iter().collect();
        joined.sort_unstable_by_key(|(_, place)| **place);
        let join = joined.into_iter().map(|(group, _)| {
            let group = group.clone();
            ClientFrame::JoinGroup { group, ack_id }
        });
        let own_states = self.own_states.iter();
        let set = own_states.map(|(group, state)| ClientFrame::SetGroupState {
            group: group.clone(),
            ack_id,
            state: Some(state.clone()),
        });
        let views = self.views.keys().cloned();
        let subscribe = views.map(|group| ClientFrame::SubscribeGroupState { group, ack_id });
        join.chain(set).chain(subscribe).collect()
    }

    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    fn fail_to_restore(
        &mut self,
        effect: Effect,
        error: &FrameError,
        events: &mut VecDeque<Event>,
    ) {
        let error = error.clone();
        match effect {
            Effect::Joined(group) => events.push_back(Event::RejoinFailed { group, error }),
            Effect::StateSet(group, _) => {
                events.push_back(Event::StateRestoreFailed { group, error });
            }
            Effect::Subscribed(group) => {
                // What is shown would stay as it was on the connection before.
                let view = self.views.entry(group.clone()).or_default();
                view.bytes = 0;
                let members = std::mem::take(&mut view.members).into_keys();
                let changes: Vec<_> = members
                    .map(|connection_id| StateChange::Cleared { connection_id })
                    .collect();
                if !changes.is_empty() {
                    let group = group.clone();
                    events.push_back(Event::GroupState { group, changes });
                }
                events.push_back(Event::StateRestoreFailed { group, error });
            }
            Effect::None | Effect::Left(_) | Effect::Unsubscribed(_) => {}
        }
    }

    /// All states of a group, unless there are more than a snapshot holds.
    pub(super) fn snapshot(
        &mut self,
        now: Now,
        group: &GroupName,
        items: Vec<GroupStateItem>,
        events: &mut VecDeque<Event>,
    ) -> Vec<StateChange> {
        // The first snapshot may come before the answer to the subscription.
        let view = self.views.entry(group.clone()).or_default();
        let is_complete = items.len() < limits::GROUP_STATE_SNAPSHOT_ITEMS;
        let newest = items.iter().map(|item| item.updated_at).max();
        let listed: BTreeSet<_> = items
            .iter()
            .map(|item| item.connection_id.clone())
            .collect();
        let mut changes = Vec::new();
        if is_complete {
            let is_stale = std::mem::take(&mut view.is_stale);
            view.members.retain(|id, member| {
                // An update may have overtaken the snapshot.
                let is_newer = !is_stale && newest.is_some_and(|newest| member.updated_at > newest);
                let stays = listed.contains(id) || is_newer;
                if !stays {
                    view.bytes -= size(member);
                    let connection_id = id.clone();
                    changes.push(StateChange::Cleared { connection_id });
                }
                stays
            });
        }
        changes.extend(
            items
                .into_iter()
                .filter_map(|item| view.apply(now.mono, item, events)),
        );
        changes
    }

    /// Changes of single members.
    pub(super) fn update(
        &mut self,
        now: Now,
        group: &GroupName,
        items: Vec<GroupStateItem>,
        events: &mut VecDeque<Event>,
    ) -> Vec<StateChange> {
        let Some(view) = self.views.get_mut(group) else {
            return Vec::new();
        };
        let changes = items
            .into_iter()
            .filter_map(|item| view.apply(now.mono, item, events));
        changes.collect()
    }
}

impl View {
    fn apply(
        &mut self,
        now: Instant,
        item: GroupStateItem,
        events: &mut VecDeque<Event>,
    ) -> Option<StateChange> {
        let id = item.connection_id.clone();
        self.cleared
            .retain(|_, (_, at)| now.saturating_duration_since(*at) < TOMBSTONE_LIFETIME);
        let held = self.members.get(&id).map(|member| member.updated_at);
        let cleared = self.cleared.get(&id).map(|(updated_at, _)| *updated_at);
        if held
            .max(cleared)
            .is_some_and(|known| item.updated_at <= known)
        {
            return None;
        }
        let Some(state) = item.state else {
            self.remember_cleared(id.clone(), item.updated_at, now);
            let known = self.remove(&id);
            return known.map(|_| StateChange::Cleared { connection_id: id });
        };
        self.cleared.remove(&id);
        let member = MemberState {
            connection_id: id.clone(),
            user_id: item.user_id,
            state,
            updated_at: item.updated_at,
        };
        let before = self.remove(&id);
        if self.bytes.saturating_add(size(&member)) > VIEW_BYTES {
            events.push_back(Event::Ignored(Ignored::TooManyStates));
            return before.map(|_| StateChange::Cleared { connection_id: id });
        }
        self.bytes += size(&member);
        self.members.insert(id, member.clone());
        Some(StateChange::Set(member))
    }

    fn remove(&mut self, id: &ByteString) -> Option<MemberState> {
        let member = self.members.remove(id)?;
        self.bytes -= size(&member);
        Some(member)
    }

    fn remember_cleared(&mut self, id: ByteString, updated_at: i64, now: Instant) {
        if self.cleared.len() >= TOMBSTONES {
            let oldest = self.cleared.iter().min_by_key(|(_, (_, at))| *at);
            if let Some(oldest) = oldest.map(|(id, _)| id.clone()) {
                self.cleared.remove(&oldest);
            }
        }
        self.cleared.insert(id, (updated_at, now));
    }
}

/// What a member takes up in a view, in bytes.
fn size(member: &MemberState) -> usize {
    let entries = member.state.iter();
    let state: usize = entries
        .map(|(key, value)| key.len() + value.len() + MEMBER_BYTES)
        .sum();
    let user_id = member.user_id.as_ref().map_or(0, |id| id.len());
    MEMBER_BYTES + member.connection_id.len() + user_id + state
}
