//! The permissions of a connection: those that its roles grant, and the changes by REST calls.

use std::collections::BTreeMap;
use std::fmt;

use super::Permission;
use super::pattern::RolePattern;
use super::role::{InvalidRole, Role, RoleAction, RoleScope};
use super::rule::{Rule, RuleScope};
use crate::limits;

/// The permissions of a connection.
///
/// Each permission has a default (no groups, or all groups if there is a role for all of them), patterns
/// from roles, and single groups that are allowed or denied. Single groups take precedence over
/// patterns, and patterns over the default. So the last REST call for a group wins: after a revoke, no
/// role allows the group until it is granted again.
///
/// A connection without roles, or with roles for all groups only, needs no allocation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PermissionSet {
    join_leave: Rules,
    send: Rules,
    get_state: Rules,
    set_state: Rules,
}

/// A role that had no effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IgnoredRole {
    /// The role, unchanged.
    pub role: String,
    /// Why it was ignored.
    pub reason: IgnoredReason,
}

/// Why a role was ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IgnoredReason {
    /// It is not a valid role of the service.
    #[error(transparent)]
    Invalid(#[from] InvalidRole),
    /// There already were [`limits::ROLE_PATTERNS`] patterns for its permission.
    #[error("more than {max} patterns for one permission", max = limits::ROLE_PATTERNS)]
    TooManyPatterns,
    /// There already were [`limits::LITERAL_PERMISSIONS`] groups for its permission.
    #[error("more than {max} groups for one permission", max = limits::LITERAL_PERMISSIONS)]
    TooManyGroups,
}

/// The connection already has [`limits::LITERAL_PERMISSIONS`] single groups for the permission. Nothing
/// was changed. The service responds with 409.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the limit of {max} literal permissions for {0} is reached", max = limits::LITERAL_PERMISSIONS)]
pub struct RuleLimit(pub Permission);

impl PermissionSet {
    /// The permissions that roles grant, and the roles that had no effect.
    ///
    /// Roles are applied in the order of their bytes: first those for all groups, then those for single
    /// groups, then patterns. Repeated roles are applied each time. A role replaces the single groups
    /// that it covers.
    #[must_use = "the ignored roles are for the log"]
    pub fn from_roles<R: AsRef<str>>(roles: &[R]) -> (Self, Vec<IgnoredRole>) {
        let mut sorted: Vec<&str> = roles.iter().map(AsRef::as_ref).collect();
        sorted.sort_unstable();
        let mut set = Self::default();
        let mut ignored = Vec::new();
        for role in sorted {
            if let Err(reason) = set.apply(role) {
                ignored.push(IgnoredRole {
                    role: role.to_owned(),
                    reason,
                });
            }
        }
        (set, ignored)
    }

    /// Whether the connection has the permission for `group`.
    #[must_use]
    pub fn allows(&self, permission: Permission, group: &str) -> bool {
        self.rules(permission.into()).allow(group)
    }

    /// Whether the connection may subscribe to the state of `group`.
    #[must_use]
    pub fn allows_get_state(&self, group: &str) -> bool {
        self.get_state.allow(group)
    }

    /// Whether the connection may set its state in `group`.
    #[must_use]
    pub fn allows_set_state(&self, group: &str) -> bool {
        self.set_state.allow(group)
    }

    /// Grants the permission for one group. Granting it again stores nothing.
    ///
    /// # Errors
    ///
    /// [`RuleLimit`] if one more group would have to be stored.
    pub fn grant(&mut self, permission: Permission, group: &str) -> Result<(), RuleLimit> {
        self.rules_mut(permission.into())
            .set(group, true)
            .map_err(|Full| RuleLimit(permission))
    }

    /// Revokes the permission for one group, even if a role grants it. The connection stays in groups that
    /// it has joined.
    ///
    /// # Errors
    ///
    /// [`RuleLimit`] if one more group would have to be stored.
    pub fn revoke(&mut self, permission: Permission, group: &str) -> Result<(), RuleLimit> {
        self.rules_mut(permission.into())
            .set(group, false)
            .map_err(|Full| RuleLimit(permission))
    }

    /// The rules that it consists of, by action: those for single groups, which decide first, then patterns, then all groups.
    pub fn iter(&self) -> impl Iterator<Item = Rule<'_>> {
        RoleAction::ALL.into_iter().flat_map(|action| {
            let rules = self.rules(action).iter();
            rules.map(move |(scope, allowed)| Rule {
                action,
                scope,
                allowed,
            })
        })
    }

    fn apply(&mut self, role: &str) -> Result<(), IgnoredReason> {
        let (action, scope) = role.parse::<Role>()?.into_parts();
        let rules = self.rules_mut(action);
        match scope {
            RoleScope::All => rules.allow_all(),
            RoleScope::Group(group) => rules.allow_group(group.as_str())?,
            RoleScope::Matching(pattern) => match pattern.as_literal() {
                Some(group) => rules.allow_group(group)?,
                None if pattern.is_all() => rules.allow_all(),
                None => rules.allow_matching(pattern)?,
            },
        }
        Ok(())
    }

    fn rules(&self, action: RoleAction) -> &Rules {
        match action {
            RoleAction::JoinLeave => &self.join_leave,
            RoleAction::Send => &self.send,
            RoleAction::GetState => &self.get_state,
            RoleAction::SetState => &self.set_state,
        }
    }

    fn rules_mut(&mut self, action: RoleAction) -> &mut Rules {
        match action {
            RoleAction::JoinLeave => &mut self.join_leave,
            RoleAction::Send => &mut self.send,
            RoleAction::GetState => &mut self.get_state,
            RoleAction::SetState => &mut self.set_state,
        }
    }
}

impl IgnoredReason {
    /// Whether the service logs it. It logs neither unknown roles, nor invalid groups, nor groups above the
    /// limit.
    #[must_use]
    pub fn is_logged(self) -> bool {
        matches!(
            self,
            Self::Invalid(InvalidRole::Pattern(_)) | Self::TooManyPatterns
        )
    }
}

impl From<Permission> for RoleAction {
    fn from(permission: Permission) -> Self {
        match permission {
            Permission::JoinLeaveGroup => Self::JoinLeave,
            Permission::SendToGroup => Self::Send,
        }
    }
}

/// The groups in which one action is allowed.
#[derive(Clone, Default, PartialEq, Eq)]
struct Rules {
    /// Where nothing more special says otherwise.
    default: bool,
    special: Option<Box<Special>>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Special {
    /// Groups that are allowed, all of them.
    patterns: Vec<RolePattern>,
    /// Groups that are allowed (true) or denied, against what the rest says.
    literals: BTreeMap<Box<str>, bool>,
}

/// No room for one more literal.
struct Full;

impl Rules {
    fn allow(&self, group: &str) -> bool {
        let literal = self
            .special
            .as_ref()
            .and_then(|special| special.literals.get(group));
        literal
            .copied()
            .unwrap_or_else(|| self.allow_without_literals(group))
    }

    fn iter(&self) -> impl Iterator<Item = (RuleScope<'_>, bool)> {
        let special = self.special.iter();
        let literals = special.clone().flat_map(|special| &special.literals);
        let literals = literals.map(|(group, allowed)| (RuleScope::Group(group), *allowed));
        let patterns = special.flat_map(|special| &special.patterns);
        let patterns = patterns.map(|pattern| (RuleScope::Matching(pattern), true));
        let all = self.default.then_some((RuleScope::All, true));
        literals.chain(patterns).chain(all)
    }

    fn allow_without_literals(&self, group: &str) -> bool {
        let patterns = self
            .special
            .as_ref()
            .map_or(&[][..], |special| &special.patterns);
        self.default || patterns.iter().any(|pattern| pattern.matches(group))
    }

    /// Makes `allow(group)` be `wanted`, with as few literals as possible.
    fn set(&mut self, group: &str, wanted: bool) -> Result<(), Full> {
        if self.allow(group) == wanted {
            return Ok(());
        }
        // A literal that says the opposite was stored against what the rest says, which is hence
        // what is wanted now.
        if let Some(special) = &mut self.special
            && special.literals.remove(group).is_some()
        {
            self.shrink();
            return Ok(());
        }
        let special = self.special.get_or_insert_default();
        if special.literals.len() >= limits::LITERAL_PERMISSIONS {
            return Err(Full);
        }
        special.literals.insert(group.into(), wanted);
        Ok(())
    }

    fn allow_all(&mut self) {
        *self = Self {
            default: true,
            special: None,
        };
    }

    fn allow_group(&mut self, group: &str) -> Result<(), IgnoredReason> {
        self.set(group, true)
            .map_err(|Full| IgnoredReason::TooManyGroups)
    }

    fn allow_matching(&mut self, pattern: RolePattern) -> Result<(), IgnoredReason> {
        let special = self.special.get_or_insert_default();
        if special.patterns.len() >= limits::ROLE_PATTERNS {
            return Err(IgnoredReason::TooManyPatterns);
        }
        special.literals.retain(|group, _| !pattern.matches(group));
        special.patterns.push(pattern);
        Ok(())
    }

    fn shrink(&mut self) {
        self.special
            .take_if(|special| special.patterns.is_empty() && special.literals.is_empty());
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let default = if self.default { "allow" } else { "deny" };
        match &self.special {
            None => f.write_str(default),
            Some(special) => f
                .debug_struct(default)
                .field("patterns", &special.patterns)
                .field("literals", &special.literals)
                .finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEND: Permission = Permission::SendToGroup;

    #[test]
    fn the_usual_sets_hold_nothing() {
        let (set, _) = PermissionSet::from_roles(&["webpubsub.sendToGroup"]);
        assert!(set.send.special.is_none());
        let (mut set, _) = PermissionSet::from_roles::<&str>(&[]);
        set.grant(SEND, "g").unwrap();
        set.revoke(SEND, "g").unwrap();
        assert_eq!(set, PermissionSet::default());
        assert!(size_of::<PermissionSet>() <= 64);
    }

    #[test]
    fn a_full_set_changes_only_where_it_can_drop() {
        let (mut set, _) = PermissionSet::from_roles::<&str>(&[]);
        for index in 0..limits::LITERAL_PERMISSIONS {
            set.grant(SEND, &format!("g{index}")).unwrap();
        }
        let full = set.clone();
        assert_eq!(set.grant(SEND, "more"), Err(RuleLimit(SEND)));
        assert_eq!(set.revoke(SEND, "more"), Ok(()), "denied already");
        assert_eq!(set.grant(SEND, "g7"), Ok(()), "allowed already");
        assert_eq!(set, full);
        assert_eq!(
            set.grant(Permission::JoinLeaveGroup, "more"),
            Ok(()),
            "counted apart"
        );
        set.revoke(SEND, "g7").unwrap();
        assert_eq!(set.grant(SEND, "more"), Ok(()));
        assert!(!set.allows(SEND, "g7"));
        assert!(set.allows(SEND, "more"));
    }

    #[test]
    fn a_revoke_above_the_limit_is_refused() {
        let (mut set, _) = PermissionSet::from_roles(&["webpubsub.sendToGroup"]);
        for index in 0..limits::LITERAL_PERMISSIONS {
            set.revoke(SEND, &format!("g{index}")).unwrap();
        }
        assert_eq!(set.revoke(SEND, "more"), Err(RuleLimit(SEND)));
        assert!(set.allows(SEND, "more"));
        set.grant(SEND, "g0").unwrap();
        assert_eq!(set.revoke(SEND, "more"), Ok(()));
    }
}
