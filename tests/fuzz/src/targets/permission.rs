//! Roles and patterns against a plain reading of their rules.

use webpubsub_protocol::limits::{ROLE_PATTERN_UNITS, ROLE_PATTERN_WILDCARDS};
use webpubsub_protocol::permission::{Permission, PermissionSet, Role, RolePattern, RoleScope};

use crate::check;

/// The first line is a role or a pattern, the others are names of groups; a line is also a role of its own.
pub(super) fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let lines: Vec<&str> = text.split('\n').collect();
    let (first, groups) = (lines[0], &lines[1..]);
    match first.parse::<Role>() {
        Ok(role) => {
            assert_eq!(role.to_string(), first);
            assert_eq!(role.to_string().parse().as_ref(), Ok(&role));
        }
        Err(error) => check::error(&error, 200),
    }
    match RolePattern::new(first) {
        Ok(pattern) => matching(&pattern, first, groups),
        Err(error) => check::error(&error, 200),
    }
    if let Ok(literal) = RolePattern::new(&RolePattern::escape(first)) {
        assert!(literal.matches(first));
        assert!(
            groups
                .iter()
                .all(|group| literal.matches(group) == (*group == first))
        );
    }
    together(&lines);
}

fn matching(pattern: &RolePattern, text: &str, groups: &[&str]) {
    assert_eq!(pattern.as_str(), text);
    assert!(text.encode_utf16().count() <= ROLE_PATTERN_UNITS);
    let tokens = tokens(text);
    let wildcards = tokens
        .iter()
        .filter(|token| !matches!(token, Token::Plain(_)));
    assert!(wildcards.count() <= ROLE_PATTERN_WILDCARDS);
    for group in groups {
        let group: Vec<char> = group.chars().take(24).collect();
        let name: String = group.iter().collect();
        assert_eq!(
            pattern.matches(&name),
            reference(&tokens, &group),
            "{name:?}"
        );
    }
}

/// All lines as the roles of one connection; the last line is a group whose permission is changed.
fn together(lines: &[&str]) {
    let (mut set, ignored) = PermissionSet::from_roles(lines);
    let group = lines[lines.len() - 1];
    for role in &ignored {
        check::error(&role.reason, 200);
    }
    if ignored.is_empty() && lines.len() == 1 {
        let role: Role = group.parse().expect("it was not ignored");
        if let RoleScope::Group(name) = role.scope() {
            let name = name.as_str();
            let allows = set.allows(Permission::JoinLeaveGroup, name)
                || set.allows(Permission::SendToGroup, name)
                || set.allows_get_state(name)
                || set.allows_set_state(name);
            assert!(allows, "a role for a group allows something in it");
        }
    }
    for permission in [Permission::JoinLeaveGroup, Permission::SendToGroup] {
        if set.revoke(permission, group).is_ok() {
            assert!(!set.allows(permission, group));
        }
        if set.grant(permission, group).is_ok() {
            assert!(set.allows(permission, group));
        }
    }
}

enum Token {
    Plain(char),
    One,
    Segment,
    Any,
}

fn tokens(pattern: &str) -> Vec<Token> {
    let mut chars = pattern.chars().peekable();
    let mut tokens = Vec::new();
    while let Some(c) = chars.next() {
        tokens.push(match c {
            '\\' => Token::Plain(chars.next().expect("a pattern does not end in a backslash")),
            '?' => Token::One,
            '*' => {
                let mut stars = 1;
                while chars.next_if_eq(&'*').is_some() {
                    stars += 1;
                }
                if stars == 1 {
                    Token::Segment
                } else {
                    Token::Any
                }
            }
            c => Token::Plain(c),
        });
    }
    tokens
}

fn reference(tokens: &[Token], group: &[char]) -> bool {
    match (tokens, group) {
        ([], group) => group.is_empty(),
        ([Token::Plain(c), rest @ ..], [first, group @ ..]) => c == first && reference(rest, group),
        ([Token::One, rest @ ..], [first, group @ ..]) => *first != '.' && reference(rest, group),
        ([Token::Plain(_) | Token::One, ..], []) => false,
        ([Token::Segment, rest @ ..], _) => {
            reference(rest, group)
                || matches!(group, [first, group @ ..] if *first != '.' && reference(tokens, group))
        }
        ([Token::Any, rest @ ..], _) => {
            reference(rest, group) || matches!(group, [_, group @ ..] if reference(tokens, group))
        }
    }
}
