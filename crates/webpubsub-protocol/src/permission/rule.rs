//! What a [`PermissionSet`](super::PermissionSet) consists of, for those who show or explain it.

use std::fmt;

use super::pattern::RolePattern;
use super::role::RoleAction;

/// Where one action is allowed or denied. `Display` writes the role that has the same scope.
///
/// ```
/// use webpubsub_protocol::permission::{Permission, PermissionSet};
///
/// let (mut set, _) = PermissionSet::from_roles(&["webpubsub.sendToGroups.room-*"]);
/// set.revoke(Permission::SendToGroup, "room-7")?;
/// let rules: Vec<_> = set.iter().map(|rule| (rule.to_string(), rule.allowed)).collect();
/// assert_eq!(
///     rules,
///     [
///         ("webpubsub.sendToGroup.room-7".to_owned(), false),
///         ("webpubsub.sendToGroups.room-*".to_owned(), true),
///     ]
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rule<'a> {
    /// What it is about.
    pub action: RoleAction,
    /// The groups that it is about.
    pub scope: RuleScope<'a>,
    /// `false` for what was revoked although another rule allows it.
    pub allowed: bool,
}

/// The groups that a [`Rule`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RuleScope<'a> {
    /// Every group.
    All,
    /// One group. Such a rule comes before all others.
    Group(&'a str),
    /// The groups that a pattern matches.
    Matching(&'a RolePattern),
}

impl Rule<'_> {
    /// Whether the group is among those that it is about.
    #[must_use]
    pub fn is_about(&self, group: &str) -> bool {
        match self.scope {
            RuleScope::All => true,
            RuleScope::Group(named) => named == group,
            RuleScope::Matching(pattern) => pattern.matches(group),
        }
    }
}

impl fmt::Display for Rule<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.action.word();
        match self.scope {
            RuleScope::All => write!(f, "webpubsub.{word}"),
            RuleScope::Group(group) => write!(f, "webpubsub.{word}.{group}"),
            RuleScope::Matching(pattern) => {
                let word = self.action.pattern_word().unwrap_or(word);
                write!(f, "webpubsub.{word}.{pattern}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::PermissionSet;

    #[test]
    fn the_rules_of_a_set_are_the_roles_that_made_it() {
        let roles = [
            "webpubsub.getGroupState",
            "webpubsub.joinLeaveGroup.a.b",
            "webpubsub.joinLeaveGroups.c*",
            "webpubsub.sendToGroup",
            "webpubsub.setGroupState.d",
        ];
        let (set, ignored) = PermissionSet::from_roles(&roles);
        assert!(ignored.is_empty());
        let mut rules: Vec<String> = set.iter().map(|rule| rule.to_string()).collect();
        rules.sort();
        assert_eq!(rules, roles);
        assert!(set.iter().all(|rule| rule.allowed));
        let (again, _) = PermissionSet::from_roles(&rules);
        assert_eq!(again, set);
        for (rule, group, about) in [
            (0, "a.b", true),
            (0, "a", false),
            (1, "cd", true),
            (1, "d", false),
        ] {
            let rule = set.iter().nth(rule).unwrap();
            assert_eq!(rule.is_about(group), about, "{rule} {group}");
        }
        assert_eq!(PermissionSet::default().iter().count(), 0);
    }
}
