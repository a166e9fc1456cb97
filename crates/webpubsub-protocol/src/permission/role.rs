//! Role strings: `webpubsub.joinLeaveGroup`, `webpubsub.sendToGroup.<group>`, ...

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

use super::pattern::{InvalidPattern, RolePattern};
use crate::name::{GroupName, InvalidName};

/// A role, which allows a client to act in groups. `Display` and `FromStr` use the text form of access
/// tokens and of responses to `connect`.
///
/// | Constructor | Text form |
/// |---|---|
/// | [`Role::join_leave_all_groups`] | `webpubsub.joinLeaveGroup` |
/// | [`Role::join_leave_group`] | `webpubsub.joinLeaveGroup.<group>` |
/// | [`Role::join_leave_groups_matching`] | `webpubsub.joinLeaveGroups.<pattern>` |
/// | [`Role::send_to_all_groups`] | `webpubsub.sendToGroup` |
/// | [`Role::send_to_group`] | `webpubsub.sendToGroup.<group>` |
/// | [`Role::send_to_groups_matching`] | `webpubsub.sendToGroups.<pattern>` |
/// | [`Role::get_state_of_all_groups`] | `webpubsub.getGroupState` |
/// | [`Role::get_state_of_group`] | `webpubsub.getGroupState.<group>` |
/// | [`Role::set_state_of_all_groups`] | `webpubsub.setGroupState` |
/// | [`Role::set_state_of_group`] | `webpubsub.setGroupState.<group>` |
///
/// A group is named literally: it may contain dots, and `*` and `?` mean themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    action: RoleAction,
    scope: RoleScope,
}

/// What a role allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RoleAction {
    /// Join and leave groups.
    JoinLeave,
    /// Send to groups, including by streams.
    Send,
    /// Subscribe to the state of groups.
    GetState,
    /// Set the connection's own state in groups.
    SetState,
}

/// The groups that a role applies to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RoleScope {
    /// In every group.
    All,
    /// In one group.
    Group(GroupName),
    /// In the groups that a pattern matches; for joining and sending only.
    Matching(RolePattern),
}

/// Why a text is not a [`Role`]. The service ignores such roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidRole {
    /// It is not a role of the service. Event handlers still see it in the claims.
    #[error("not a role of the service")]
    Unknown,
    /// The text after the second dot is not a valid group name.
    #[error("role with an invalid group")]
    Group(#[source] InvalidName),
    /// The text after the second dot is not a valid pattern.
    #[error("role with an invalid pattern")]
    Pattern(#[source] InvalidPattern),
}

impl Role {
    /// Join and leave every group.
    #[must_use]
    pub fn join_leave_all_groups() -> Self {
        Self {
            action: RoleAction::JoinLeave,
            scope: RoleScope::All,
        }
    }

    /// Join and leave `group`.
    ///
    /// # Errors
    ///
    /// [`InvalidName::Group`] if `group` is not a valid name.
    pub fn join_leave_group(group: &str) -> Result<Self, InvalidName> {
        Self::of_group(RoleAction::JoinLeave, group)
    }

    /// Join and leave the groups that `pattern` matches.
    #[must_use]
    pub fn join_leave_groups_matching(pattern: RolePattern) -> Self {
        Self {
            action: RoleAction::JoinLeave,
            scope: RoleScope::Matching(pattern),
        }
    }

    /// Send to every group.
    #[must_use]
    pub fn send_to_all_groups() -> Self {
        Self {
            action: RoleAction::Send,
            scope: RoleScope::All,
        }
    }

    /// Send to `group`.
    ///
    /// # Errors
    ///
    /// [`InvalidName::Group`] if `group` is not a valid name.
    pub fn send_to_group(group: &str) -> Result<Self, InvalidName> {
        Self::of_group(RoleAction::Send, group)
    }

    /// Send to the groups that `pattern` matches.
    #[must_use]
    pub fn send_to_groups_matching(pattern: RolePattern) -> Self {
        Self {
            action: RoleAction::Send,
            scope: RoleScope::Matching(pattern),
        }
    }

    /// Subscribe to the state of every group.
    #[must_use]
    pub fn get_state_of_all_groups() -> Self {
        Self {
            action: RoleAction::GetState,
            scope: RoleScope::All,
        }
    }

    /// Subscribe to the state of `group`.
    ///
    /// # Errors
    ///
    /// [`InvalidName::Group`] if `group` is not a valid name.
    pub fn get_state_of_group(group: &str) -> Result<Self, InvalidName> {
        Self::of_group(RoleAction::GetState, group)
    }

    /// Set state in every group.
    #[must_use]
    pub fn set_state_of_all_groups() -> Self {
        Self {
            action: RoleAction::SetState,
            scope: RoleScope::All,
        }
    }

    /// Set state in `group`.
    ///
    /// # Errors
    ///
    /// [`InvalidName::Group`] if `group` is not a valid name.
    pub fn set_state_of_group(group: &str) -> Result<Self, InvalidName> {
        Self::of_group(RoleAction::SetState, group)
    }

    /// What the role allows.
    #[must_use]
    pub fn action(&self) -> RoleAction {
        self.action
    }

    /// The groups that the role applies to.
    #[must_use]
    pub fn scope(&self) -> &RoleScope {
        &self.scope
    }

    pub(super) fn into_parts(self) -> (RoleAction, RoleScope) {
        (self.action, self.scope)
    }

    fn of_group(action: RoleAction, group: &str) -> Result<Self, InvalidName> {
        Ok(Self {
            action,
            scope: RoleScope::Group(GroupName::new(group)?),
        })
    }
}

impl RoleAction {
    pub(super) const ALL: [Self; 4] = [Self::JoinLeave, Self::Send, Self::GetState, Self::SetState];

    /// The word in roles for all groups, or for one.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::JoinLeave => "joinLeaveGroup",
            Self::Send => "sendToGroup",
            Self::GetState => "getGroupState",
            Self::SetState => "setGroupState",
        }
    }

    /// The word in roles with a pattern.
    pub(super) fn pattern_word(self) -> Option<&'static str> {
        match self {
            Self::JoinLeave => Some("joinLeaveGroups"),
            Self::Send => Some("sendToGroups"),
            Self::GetState | Self::SetState => None,
        }
    }
}

impl FromStr for Role {
    type Err = InvalidRole;

    fn from_str(text: &str) -> Result<Self, InvalidRole> {
        let rest = text
            .strip_prefix("webpubsub.")
            .ok_or(InvalidRole::Unknown)?;
        let (word, suffix) = match rest.split_once('.') {
            Some((word, suffix)) => (word, Some(suffix)),
            None => (rest, None),
        };
        for action in RoleAction::ALL {
            let scope = match suffix {
                None if word == action.word() => RoleScope::All,
                Some(group) if word == action.word() => {
                    RoleScope::Group(GroupName::new(group).map_err(InvalidRole::Group)?)
                }
                Some(pattern) if Some(word) == action.pattern_word() => {
                    RoleScope::Matching(pattern.parse().map_err(InvalidRole::Pattern)?)
                }
                _ => continue,
            };
            return Ok(Self { action, scope });
        }
        Err(InvalidRole::Unknown)
    }
}

impl Display for Role {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.scope {
            RoleScope::All => write!(f, "webpubsub.{}", self.action.word()),
            RoleScope::Group(group) => write!(f, "webpubsub.{}.{group}", self.action.word()),
            RoleScope::Matching(pattern) => {
                let word = self
                    .action
                    .pattern_word()
                    .expect("only made where patterns exist");
                write!(f, "webpubsub.{word}.{pattern}")
            }
        }
    }
}

impl From<Role> for String {
    fn from(role: Role) -> Self {
        role.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builders_and_wire_forms_agree() {
        let pattern = || RolePattern::new("r.**").unwrap();
        for (role, wire) in [
            (Role::join_leave_all_groups(), "webpubsub.joinLeaveGroup"),
            (
                Role::join_leave_group("a.b*").unwrap(),
                "webpubsub.joinLeaveGroup.a.b*",
            ),
            (
                Role::join_leave_groups_matching(pattern()),
                "webpubsub.joinLeaveGroups.r.**",
            ),
            (Role::send_to_all_groups(), "webpubsub.sendToGroup"),
            (
                Role::send_to_group(" g ").unwrap(),
                "webpubsub.sendToGroup. g ",
            ),
            (
                Role::send_to_groups_matching(pattern()),
                "webpubsub.sendToGroups.r.**",
            ),
            (Role::get_state_of_all_groups(), "webpubsub.getGroupState"),
            (
                Role::get_state_of_group("g").unwrap(),
                "webpubsub.getGroupState.g",
            ),
            (Role::set_state_of_all_groups(), "webpubsub.setGroupState"),
            (
                Role::set_state_of_group("g").unwrap(),
                "webpubsub.setGroupState.g",
            ),
        ] {
            assert_eq!(role.to_string(), wire);
            assert_eq!(wire.parse(), Ok(role));
        }
        assert_eq!(Role::send_to_group(" "), Err(InvalidName::Group));
    }

    #[test]
    fn other_texts_are_no_roles() {
        for text in [
            "",
            "admin",
            "webpubsub",
            "webpubsub.",
            "sendToGroup",
            "webpubsub.sendToGroups",
            "webpubsub.sendtogroup",
            "WebPubSub.sendToGroup",
            " webpubsub.sendToGroup",
            "webpubsub.sendToGroupX.g",
            "webpubsub.getGroupStates.g",
        ] {
            assert_eq!(text.parse::<Role>(), Err(InvalidRole::Unknown), "{text}");
        }
        let long = format!("webpubsub.sendToGroup.{}", "g".repeat(1025));
        for text in ["webpubsub.sendToGroup.", "webpubsub.sendToGroup. ", &long] {
            assert_eq!(
                text.parse::<Role>(),
                Err(InvalidRole::Group(InvalidName::Group))
            );
        }
        assert_eq!(
            "webpubsub.joinLeaveGroups.".parse::<Role>(),
            Err(InvalidRole::Pattern(InvalidPattern::Empty))
        );
    }
}
