//! Roles and permissions against `spec/vectors/permissions.json`.

use serde::Deserialize;
use webpubsub_protocol::permission::{Permission, PermissionSet, RolePattern};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Vectors {
    patterns: Vec<Pattern>,
    invalid_patterns: Vec<String>,
    sets: Vec<Set>,
}

#[derive(Deserialize)]
struct Pattern {
    pattern: String,
    matches: Vec<String>,
    misses: Vec<String>,
}

#[derive(Deserialize)]
struct Set {
    name: String,
    roles: Vec<String>,
    ignored: Vec<Ignored>,
    steps: Vec<Step>,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Ignored {
    role: String,
    logged: bool,
}

#[derive(Debug, Deserialize)]
struct Step {
    #[serde(flatten)]
    what: What,
    group: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
enum What {
    Grant(Action),
    Revoke(Action),
    Yes(Action),
    No(Action),
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Action {
    Join,
    Send,
    GetState,
    SetState,
}

impl Action {
    fn permission(self) -> Permission {
        match self {
            Self::Join => Permission::JoinLeaveGroup,
            Self::Send => Permission::SendToGroup,
            Self::GetState | Self::SetState => panic!("{self:?} cannot be granted"),
        }
    }

    fn is_allowed(self, set: &PermissionSet, group: &str) -> bool {
        match self {
            Self::Join | Self::Send => set.allows(self.permission(), group),
            Self::GetState => set.allows_get_state(group),
            Self::SetState => set.allows_set_state(group),
        }
    }
}

fn vectors() -> Vectors {
    let text = include_str!("vectors/permissions.json");
    serde_json::from_str(text).expect("valid vectors")
}

#[test]
fn patterns_match_whole_names() {
    for Pattern {
        pattern,
        matches,
        misses,
    } in vectors().patterns
    {
        let parsed = RolePattern::new(&pattern).unwrap();
        for group in matches {
            assert!(parsed.matches(&group), "{pattern} does not match {group}");
        }
        for group in misses {
            assert!(!parsed.matches(&group), "{pattern} matches {group}");
        }
    }
}

#[test]
fn invalid_patterns_are_refused() {
    for pattern in vectors().invalid_patterns {
        assert!(RolePattern::new(&pattern).is_err(), "{pattern}");
    }
}

#[test]
fn roles_grants_and_revokes_have_their_precedence() {
    for Set {
        name,
        roles,
        ignored,
        steps,
    } in vectors().sets
    {
        let (mut set, skipped) = PermissionSet::from_roles(&roles);
        let skipped: Vec<_> = skipped
            .into_iter()
            .map(|skip| Ignored {
                logged: skip.reason.is_logged(),
                role: skip.role,
            })
            .collect();
        assert_eq!(skipped, ignored, "{name}");
        for step in steps {
            let group = &step.group;
            match step.what {
                What::Grant(action) => set.grant(action.permission(), group).unwrap(),
                What::Revoke(action) => set.revoke(action.permission(), group).unwrap(),
                What::Yes(action) => assert!(action.is_allowed(&set, group), "{name}: {step:?}"),
                What::No(action) => assert!(!action.is_allowed(&set, group), "{name}: {step:?}"),
            }
        }
    }
}
