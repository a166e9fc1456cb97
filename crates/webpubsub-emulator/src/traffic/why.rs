//! Why something was refused or left out: what was looked at, and what was found.

mod token;

use std::fmt;

use serde::Serialize;
use webpubsub_protocol::filter::{Filter, FilterSubject};
use webpubsub_protocol::name::{ConnectionId, GroupName, UserId};
use webpubsub_protocol::permission::{PermissionSet, RoleAction, Rule};

use crate::hub::MessageKind;
use crate::inspect::text;

pub use token::TokenMismatch;
pub(crate) use token::{explain, missing};

/// Rules, matches and misses that are listed; more are counted.
const LISTED: usize = 100;

/// A client may not do what one of its frames asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Denial {
    /// The connection.
    #[serde(skip)]
    pub connection_id: ConnectionId,
    /// Its user, unless it is anonymous.
    #[serde(skip)]
    pub user_id: Option<UserId>,
    /// What the frame is.
    #[serde(skip)]
    pub kind: MessageKind,
    /// The group that it is about.
    #[serde(skip)]
    pub group: GroupName,
    /// What the client was answered.
    pub reason: String,
    /// The role that would allow it in this group alone.
    pub needs: String,
    /// The roles that the connection has, and why each does not help.
    pub looked_at: Vec<LookedAt>,
}

/// A role that was looked at in vain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LookedAt {
    /// The role.
    pub role: String,
    /// Why it does not help.
    pub because: Verdict,
}

/// Why a role does not allow something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Verdict {
    /// It is about something else, as sending in place of joining.
    OtherAction,
    /// It is about other groups.
    OtherGroup,
    /// A REST call revoked it for this group.
    Revoked,
    /// It allows this, but the connection is not in the group.
    NotMember,
}

impl Denial {
    /// The roles of a connection, as they stand against this action in this group.
    pub(crate) fn look_at(
        permissions: &PermissionSet,
        action: RoleAction,
        group: &str,
    ) -> Vec<LookedAt> {
        let verdict = |rule: &Rule<'_>| {
            if rule.action != action {
                Verdict::OtherAction
            } else if !rule.is_about(group) {
                Verdict::OtherGroup
            } else if rule.allowed {
                Verdict::NotMember
            } else {
                Verdict::Revoked
            }
        };
        let mut rules: Vec<_> = permissions.iter().collect();
        // Those that could have helped come first.
        rules.sort_by_key(|rule| verdict(rule) == Verdict::OtherAction);
        let rules = rules.into_iter().take(LISTED);
        rules
            .map(|rule| LookedAt {
                role: rule.to_string(),
                because: verdict(&rule),
            })
            .collect()
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            connection_id,
            kind,
            group,
            reason,
            needs,
            looked_at,
            ..
        } = self;
        write!(
            f,
            "{connection_id} denied {kind}, group {group}: {reason} Needs {needs}"
        )?;
        match looked_at[..] {
            [] => f.write_str("; it has no roles"),
            _ => {
                let roles: Vec<&str> = looked_at.iter().map(|it| it.role.as_str()).collect();
                write!(f, "; looked at {}", roles.join(", "))
            }
        }
    }
}

/// A REST call sent to the connections that a filter selects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct FilteredSend {
    /// The filter.
    pub filter: String,
    /// How many connections it selected.
    pub matched: usize,
    /// The first of them, at most 100.
    #[serde(serialize_with = "text::names")]
    pub matched_connections: Vec<ConnectionId>,
    /// How many connections were left out.
    pub left_out: usize,
    /// The first of them, at most 100, and why.
    pub left_out_connections: Vec<LeftOut>,
}

/// A connection that a filter left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct LeftOut {
    /// The connection.
    #[serde(serialize_with = "text::name")]
    pub connection_id: ConnectionId,
    /// Its user, unless it is anonymous.
    #[serde(serialize_with = "text::optional_name")]
    pub user_id: Option<UserId>,
    /// The part of the filter that is not true for it, or `excluded`.
    pub because: String,
}

impl FilteredSend {
    /// Nobody has been looked at yet.
    pub(crate) fn new(filter: &Filter) -> Self {
        Self {
            filter: filter.as_str().to_owned(),
            matched: 0,
            matched_connections: Vec::new(),
            left_out: 0,
            left_out_connections: Vec::new(),
        }
    }

    pub(crate) fn add_match(&mut self, id: &ConnectionId) {
        self.matched += 1;
        if self.matched_connections.len() < LISTED {
            self.matched_connections.push(id.clone());
        }
    }

    pub(crate) fn leave_out(
        &mut self,
        id: &ConnectionId,
        user: Option<&UserId>,
        because: impl FnOnce() -> String,
    ) {
        self.left_out += 1;
        if self.left_out_connections.len() < LISTED {
            self.left_out_connections.push(LeftOut {
                connection_id: id.clone(),
                user_id: user.cloned(),
                because: because(),
            });
        }
    }
}

impl fmt::Display for FilteredSend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (matched, left_out) = (self.matched, self.left_out);
        write!(
            f,
            "filter matched {matched}, left out {left_out}: {}",
            self.filter
        )
    }
}

/// The parts of a filter that all have to be true, so that those that are not can be named.
#[derive(Debug)]
pub(crate) struct Conjuncts(Vec<Filter>);

impl Conjuncts {
    pub(crate) fn of(filter: &Filter) -> Self {
        let parts: Option<Vec<Filter>> = split(filter.as_str())
            .into_iter()
            .map(|part| Filter::parse(part).ok())
            .collect();
        // A filter that cannot be taken apart is its own only part.
        let parts = parts.or_else(|| Filter::parse(filter.as_str()).ok().map(|whole| vec![whole]));
        Self(parts.unwrap_or_default())
    }

    /// The parts that are not true for a connection.
    pub(crate) fn failed(&self, subject: &dyn FilterSubject) -> String {
        let failed = self.0.iter().filter(|part| !part.matches(subject));
        let failed: Vec<&str> = failed.map(Filter::as_str).collect();
        failed.join("; ")
    }
}

/// Splits at each `and` that stands neither in quotes nor in parentheses; not at all where an `or` stands beside it, which
/// binds less.
fn split(filter: &str) -> Vec<&str> {
    let (mut parts, mut start) = (Vec::new(), 0);
    let (mut depth, mut quoted) = (0_usize, false);
    for (at, c) in filter.char_indices() {
        match c {
            '\'' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth = depth.saturating_sub(1),
            ' ' if !quoted && depth == 0 => {
                let rest = &filter[at..];
                if rest.starts_with(" or ") {
                    return vec![filter];
                }
                if rest.starts_with(" and ") && at >= start {
                    parts.push(filter[start..at].trim());
                    start = at + " and ".len();
                }
            }
            _ => {}
        }
    }
    parts.push(filter[start..].trim());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_is_named_with_why_it_does_not_help() {
        let (mut permissions, _) = PermissionSet::from_roles(&[
            "webpubsub.joinLeaveGroup",
            "webpubsub.sendToGroup.lobby",
            "webpubsub.sendToGroups.room-*",
        ]);
        let send = webpubsub_protocol::permission::Permission::SendToGroup;
        permissions.revoke(send, "room-7").expect("room for a rule");
        let looked_at = Denial::look_at(&permissions, RoleAction::Send, "room-7");
        let shown: Vec<_> = looked_at
            .iter()
            .map(|it| (it.role.as_str(), it.because))
            .collect();
        assert_eq!(
            shown,
            [
                ("webpubsub.sendToGroup.lobby", Verdict::OtherGroup),
                ("webpubsub.sendToGroup.room-7", Verdict::Revoked),
                ("webpubsub.sendToGroups.room-*", Verdict::NotMember),
                ("webpubsub.joinLeaveGroup", Verdict::OtherAction),
            ]
        );
    }

    #[test]
    fn filters_are_taken_apart_where_all_parts_have_to_be_true() {
        for (filter, parts) in [
            ("userId eq 'ana'", &["userId eq 'ana'"][..]),
            (
                "userId eq 'a and b' and 'room' in groups",
                &["userId eq 'a and b'", "'room' in groups"],
            ),
            (
                "(userId eq 'a' and userId eq 'b') and not (userId eq 'c')",
                &["(userId eq 'a' and userId eq 'b')", "not (userId eq 'c')"],
            ),
            (
                "userId eq 'a' and userId eq 'b' or userId eq 'c'",
                &["userId eq 'a' and userId eq 'b' or userId eq 'c'"],
            ),
            (
                "userId eq 'it''s and' and userId ne null",
                &["userId eq 'it''s and'", "userId ne null"],
            ),
        ] {
            assert_eq!(split(filter), parts, "{filter}");
            let filter = Filter::parse(filter).expect("a filter");
            assert_eq!(Conjuncts::of(&filter).0.len(), parts.len());
        }
    }
}
