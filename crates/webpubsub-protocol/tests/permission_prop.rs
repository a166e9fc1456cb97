//! Patterns and permission sets against naive models.

use std::collections::BTreeMap;

use proptest::prelude::*;
use webpubsub_protocol::permission::{Permission, PermissionSet, Role, RolePattern};

/// Backtracks; exponential in the worst case, and obviously right.
fn naive_match(pattern: &[char], text: &[char]) -> bool {
    match pattern {
        [] => text.is_empty(),
        ['\\', c, rest @ ..] => text.first() == Some(c) && naive_match(rest, &text[1..]),
        ['?', rest @ ..] => {
            text.first().is_some_and(|c| *c != '.') && naive_match(rest, &text[1..])
        }
        ['*', '*', rest @ ..] => (0..=text.len()).any(|n| naive_match(rest, &text[n..])),
        ['*', rest @ ..] => (0..=text.len())
            .take_while(|n| !text[..*n].contains(&'.'))
            .any(|n| naive_match(rest, &text[n..])),
        [c, rest @ ..] => text.first() == Some(c) && naive_match(rest, &text[1..]),
    }
}

fn chars(text: &str) -> Vec<char> {
    text.chars().collect()
}

fn pattern() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        6 => "[ab.é]{1,3}",
        2 => Just("*".to_owned()),
        2 => Just("**".to_owned()),
        1 => Just("?".to_owned()),
        1 => Just("\\*".to_owned()),
        1 => Just("\\\\".to_owned()),
    ];
    prop::collection::vec(piece, 1..8).prop_map(|pieces| pieces.concat())
}

/// The state of one permission as the service documents it.
#[derive(Default)]
struct Model {
    default: bool,
    patterns: Vec<RolePattern>,
    literals: BTreeMap<String, bool>,
}

impl Model {
    fn from_roles(roles: &[Role]) -> Self {
        let mut roles: Vec<String> = roles.iter().map(ToString::to_string).collect();
        roles.sort();
        let mut model = Self::default();
        for role in roles {
            if role == "webpubsub.sendToGroup" || role == "webpubsub.sendToGroups.**" {
                model.default = true;
                model.literals.clear();
                model.patterns.clear();
            } else if let Some(group) = role.strip_prefix("webpubsub.sendToGroup.") {
                model.set(group, true);
            } else if let Some(text) = role.strip_prefix("webpubsub.sendToGroups.") {
                let pattern = RolePattern::new(text).expect("roles of the strategy are valid");
                if let Some(group) = pattern.as_literal() {
                    model.set(group, true);
                } else if model.patterns.len() < 9 {
                    model.literals.retain(|group, _| !pattern.matches(group));
                    model.patterns.push(pattern);
                }
            }
        }
        model
    }

    fn check(&self, group: &str) -> bool {
        match self.literals.get(group) {
            Some(allowed) => *allowed,
            None => self.patterns.iter().any(|p| p.matches(group)) || self.default,
        }
    }

    fn set(&mut self, group: &str, wanted: bool) {
        match self.literals.get(group) {
            Some(allowed) if *allowed == wanted => {}
            Some(_) => drop(self.literals.remove(group)),
            None if self.check(group) == wanted => {}
            None => drop(self.literals.insert(group.to_owned(), wanted)),
        }
    }
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![
        1 => Just(Role::send_to_all_groups()),
        6 => "[ab.]{1,2}".prop_map(|group| Role::send_to_group(&group).expect("a group name")),
        6 => "[ab.*?]{1,3}".prop_filter_map("a pattern", |pattern| {
            Some(Role::send_to_groups_matching(RolePattern::new(&pattern).ok()?))
        }),
        1 => Just(Role::join_leave_all_groups()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..Default::default() })]

    #[test]
    fn matcher_agrees_with_backtracking(pattern in pattern(), group in "[ab.é*\\\\]{0,9}") {
        if let Ok(parsed) = RolePattern::new(&pattern) {
            let pattern = chars(&pattern);
            prop_assert_eq!(parsed.matches(&group), naive_match(&pattern, &chars(&group)));
        }
    }

    #[test]
    fn escaped_text_matches_itself_only(text in "\\PC{1,20}", other in "\\PC{1,20}") {
        let pattern = RolePattern::new(&RolePattern::escape(&text)).unwrap();
        prop_assert_eq!(pattern.as_literal(), Some(text.as_str()));
        prop_assert!(pattern.matches(&text));
        prop_assert_eq!(pattern.matches(&other), text == other);
    }

    #[test]
    fn patterns_never_panic(pattern in any::<String>(), group in any::<String>()) {
        if let Ok(parsed) = RolePattern::new(&pattern) {
            let _ = parsed.matches(&group);
            prop_assert_eq!(parsed.as_str(), pattern);
        }
    }

    #[test]
    fn roles_never_panic_and_round_trip(text in "(webpubsub\\.)?(sendToGroups?|joinLeaveGroups?|getGroupState)?\\.?\\PC{0,8}") {
        if let Ok(role) = text.parse::<Role>() {
            prop_assert_eq!(role.to_string(), text);
        }
    }

    #[test]
    fn sets_agree_with_the_documented_state(
        roles in prop::collection::vec(role(), 0..14),
        calls in prop::collection::vec((any::<bool>(), "[ab.]{1,2}"), 0..20),
    ) {
        let texts: Vec<String> = roles.iter().map(ToString::to_string).collect();
        let (mut set, _) = PermissionSet::from_roles(&texts);
        let mut model = Model::from_roles(&roles);
        for (grant, group) in calls {
            model.set(&group, grant);
            let call = if grant { PermissionSet::grant } else { PermissionSet::revoke };
            call(&mut set, Permission::SendToGroup, &group).unwrap();
            for group in ["a", "b", ".", "aa", "ab", "a.", ".a", "b.", &group] {
                prop_assert_eq!(set.allows(Permission::SendToGroup, group), model.check(group), "{}", group);
            }
        }
    }
}

#[test]
fn the_worst_pattern_is_quick() {
    let pattern = format!("{}*{0}*{0}*{0}*{0}*b", "a".repeat(150));
    let pattern = RolePattern::new(&pattern).unwrap();
    let group = "a".repeat(1024);
    for _ in 0..100 {
        assert!(!pattern.matches(&group));
    }
}
