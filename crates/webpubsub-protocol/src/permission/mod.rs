//! What clients may do in groups: roles, wildcard patterns, and the permissions of a connection.
//!
//! Roles are granted by the `role` claim of the access token, or by the response to the `connect` event:
//!
//! ```
//! use webpubsub_protocol::permission::{Permission, PermissionSet, Role, RolePattern};
//!
//! let roles = [
//!     Role::join_leave_group("room-7")?.to_string(),
//!     Role::send_to_groups_matching("room-*".parse::<RolePattern>()?).to_string(),
//! ];
//! assert_eq!(roles, ["webpubsub.joinLeaveGroup.room-7", "webpubsub.sendToGroups.room-*"]);
//!
//! let (mut permissions, ignored) = PermissionSet::from_roles(&roles);
//! assert!(ignored.is_empty());
//! assert!(permissions.allows(Permission::SendToGroup, "room-8"));
//! permissions.revoke(Permission::SendToGroup, "room-8")?;
//! assert!(!permissions.allows(Permission::SendToGroup, "room-8"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Permissions apply only to frames that a client sends. REST calls and the groups of a token bypass
//! them, and receiving needs no permission.

mod pattern;
mod role;
mod rule;
mod set;

use std::fmt;
use std::str::FromStr;

pub use pattern::{InvalidPattern, RolePattern};
pub use role::{InvalidRole, Role, RoleAction, RoleScope};
pub use rule::{Rule, RuleScope};
pub use set::{IgnoredReason, IgnoredRole, PermissionSet, RuleLimit};

/// A permission that REST calls can grant, revoke and check for a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Permission {
    /// Join and leave the group.
    JoinLeaveGroup,
    /// Send to the group.
    SendToGroup,
}

impl Permission {
    /// Both permissions, in the order of their names.
    pub const ALL: [Self; 2] = [Self::JoinLeaveGroup, Self::SendToGroup];

    /// The name in REST paths and messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::JoinLeaveGroup => "joinLeaveGroup",
            Self::SendToGroup => "sendToGroup",
        }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Accepts what a REST path may contain: the names in any case, or the numbers `1` (send) and `2` (join and leave).
impl FromStr for Permission {
    type Err = UnknownPermission;

    fn from_str(text: &str) -> Result<Self, UnknownPermission> {
        match text {
            "1" => return Ok(Self::SendToGroup),
            "2" => return Ok(Self::JoinLeaveGroup),
            _ => {}
        }
        let named = |permission: &Self| permission.as_str().eq_ignore_ascii_case(text);
        Self::ALL.into_iter().find(named).ok_or(UnknownPermission)
    }
}

/// The permission is neither `joinLeaveGroup` nor `sendToGroup`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown permission: use joinLeaveGroup or sendToGroup")]
pub struct UnknownPermission;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_read_as_in_rest_paths() {
        for (text, permission) in [
            ("joinLeaveGroup", Permission::JoinLeaveGroup),
            ("JOINLEAVEGROUP", Permission::JoinLeaveGroup),
            ("sendtogroup", Permission::SendToGroup),
            ("1", Permission::SendToGroup),
            ("2", Permission::JoinLeaveGroup),
        ] {
            assert_eq!(text.parse(), Ok(permission), "{text}");
        }
        for text in [
            "",
            "0",
            "3",
            "01",
            "sendToGroups",
            " sendToGroup",
            "getGroupState",
        ] {
            assert_eq!(text.parse::<Permission>(), Err(UnknownPermission), "{text}");
        }
        for permission in Permission::ALL {
            assert_eq!(permission.to_string().parse(), Ok(permission));
        }
    }
}
