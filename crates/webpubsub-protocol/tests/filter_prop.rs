//! Filters against a naive evaluator, and parsing against any text.
//!
//! Random trees are written as text with random blanks and parentheses, then parsed and evaluated
//! by the crate; the model evaluates the tree itself, on UTF-16 text as the service's runtime does.

use std::fmt::{self, Write as _};

use proptest::prelude::*;
use webpubsub_protocol::filter::{Filter, FilterSubject, quote};
use webpubsub_protocol::odata;

#[derive(Debug, Clone)]
enum Tree {
    Null,
    Bool(bool),
    Int(i32),
    Text(String),
    UserId,
    ConnectionId,
    Protocol,
    Groups,
    Not(Box<Self>),
    /// `and`, `or` and comparisons.
    Binary(&'static str, Box<Self>, Box<Self>),
    In(Box<Self>, Vec<Self>),
    InGroups(Box<Self>),
    Call(&'static str, Vec<Self>),
}

#[derive(Debug, Clone)]
struct Connection {
    user_id: Option<String>,
    connection_id: String,
    protocol: Option<String>,
    groups: Vec<String>,
}

impl FilterSubject for Connection {
    fn user_id(&self) -> Option<&str> {
        self.user_id.as_deref()
    }

    fn connection_id(&self) -> &str {
        &self.connection_id
    }

    fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    fn in_group(&self, group: &str) -> bool {
        self.groups.iter().any(|name| name == group)
    }

    fn group_count(&self) -> usize {
        self.groups.len()
    }
}

/// A value of the model; text is UTF-16.
#[derive(Debug, Clone, PartialEq)]
enum Value {
    Null,
    Bool(bool),
    Int(i32),
    Text(Option<Vec<u16>>),
    Groups,
}

/// The expression is ill typed for the connection.
#[derive(Debug)]
struct IllTyped;

type Evaluated = Result<Value, IllTyped>;

fn utf16(text: &str) -> Vec<u16> {
    text.encode_utf16().collect()
}

fn field(text: Option<&str>) -> Value {
    Value::Text(text.map(utf16))
}

fn plain(value: Value) -> Value {
    if value == Value::Text(None) {
        Value::Null
    } else {
        value
    }
}

fn bool(value: Value) -> Result<bool, IllTyped> {
    if let Value::Bool(value) = value {
        Ok(value)
    } else {
        Err(IllTyped)
    }
}

fn int(value: Value) -> Result<i32, IllTyped> {
    if let Value::Int(value) = value {
        Ok(value)
    } else {
        Err(IllTyped)
    }
}

fn text(value: Value) -> Result<Vec<u16>, IllTyped> {
    if let Value::Text(Some(value)) = value {
        Ok(value)
    } else {
        Err(IllTyped)
    }
}

fn find(text: &[u16], part: &[u16]) -> Option<usize> {
    (0..=text.len()).find(|start| text[*start..].starts_with(part))
}

fn evaluate(tree: &Tree, on: &Connection, dry: bool) -> Evaluated {
    let value = |tree: &Tree| evaluate(tree, on, dry);
    Ok(match tree {
        Tree::Null => Value::Null,
        Tree::Bool(value) => Value::Bool(*value),
        Tree::Int(value) => Value::Int(*value),
        Tree::Text(text) => Value::Text(Some(utf16(text))),
        Tree::UserId => field(on.user_id()),
        Tree::ConnectionId => field(Some(&on.connection_id)),
        Tree::Protocol => field(on.protocol()),
        Tree::Groups => Value::Groups,
        Tree::Not(operand) => Value::Bool(!bool(value(operand)?)?),
        Tree::Binary(operator, left, right) => {
            let (left, right) = (value(left)?, value(right)?);
            Value::Bool(match *operator {
                "and" => bool(left)? & bool(right)?,
                "or" => bool(left)? | bool(right)?,
                "eq" => plain(left) == plain(right),
                "ne" => plain(left) != plain(right),
                _ if left == Value::Null || right == Value::Null => false,
                order => {
                    let (left, right) = (int(left)?, int(right)?);
                    match order {
                        "lt" => left < right,
                        "le" => left <= right,
                        "gt" => left > right,
                        _ => left >= right,
                    }
                }
            })
        }
        Tree::In(item, list) => {
            let item = plain(value(item)?);
            let list: Result<Vec<Value>, IllTyped> = list.iter().map(value).collect();
            Value::Bool(list?.into_iter().any(|value| plain(value) == item))
        }
        Tree::InGroups(item) => {
            let item = value(item)?;
            Value::Bool(on.groups.iter().any(|group| field(Some(group)) == item))
        }
        Tree::Call(function, arguments) => {
            let values: Result<Vec<Value>, IllTyped> = arguments.iter().map(value).collect();
            call(function, values?, on, dry)?
        }
    })
}

fn call(function: &str, arguments: Vec<Value>, on: &Connection, dry: bool) -> Evaluated {
    let nulls = arguments
        .iter()
        .filter(|value| plain((*value).clone()) == Value::Null)
        .count();
    let has_null = nulls > 0;
    let mut arguments = arguments.into_iter();
    let mut next = || arguments.next().expect("the right number of arguments");
    Ok(match function {
        "length" if has_null => Value::Null,
        "length" => match next() {
            Value::Groups => Value::Int(on.groups.len() as i32),
            value => Value::Int(text(value)?.len() as i32),
        },
        "tolower" | "toupper" | "trim" if has_null => Value::Null,
        "tolower" | "toupper" | "trim" => {
            let text = String::from_utf16_lossy(&text(next())?);
            Value::Text(Some(utf16(&match function {
                "tolower" => text.to_lowercase(),
                "toupper" => text.to_uppercase(),
                _ => text.trim().to_owned(),
            })))
        }
        "contains" | "startswith" | "endswith" if has_null => Value::Bool(false),
        "contains" | "startswith" | "endswith" => {
            let (text, part) = (text(next())?, text(next())?);
            Value::Bool(match function {
                "contains" => find(&text, &part).is_some(),
                "startswith" => text.starts_with(&part),
                _ => text.ends_with(&part),
            })
        }
        "indexof" if has_null => Value::Int(-1),
        "indexof" => {
            let (text, part) = (text(next())?, text(next())?);
            Value::Int(find(&text, &part).map_or(-1, |at| at as i32))
        }
        "concat" if nulls == 2 => Value::Null,
        "concat" => match (next(), next()) {
            (Value::Null | Value::Text(None), text @ Value::Text(_)) => text,
            (text @ Value::Text(_), Value::Null | Value::Text(None)) => text,
            (left, right) => Value::Text(Some([text(left)?, text(right)?].concat())),
        },
        "substring" => {
            let (value, start) = (next(), i64::from(int(next())?));
            let length = arguments.next().map(int).transpose()?.map(i64::from);
            if plain(value.clone()) == Value::Null {
                return Ok(Value::Null);
            }
            let text = text(value)?;
            if dry {
                return Ok(Value::Text(Some(Vec::new())));
            }
            let total = text.len() as i64;
            let end = length.map_or(total, |length| start + length);
            if start < 0 || start > total || length.is_some_and(|n| n < 0) || end > total {
                return Ok(Value::Null);
            }
            let part = text[start as usize..end as usize].to_vec();
            // Half a surrogate pair is no text in the crate.
            if String::from_utf16(&part).is_err() {
                return Ok(Value::Null);
            }
            Value::Text(Some(part))
        }
        _ => unreachable!("no such function: {function}"),
    })
}

/// Writes the tree, with operands in parentheses where they need them, and sometimes elsewhere.
fn write(out: &mut String, tree: &Tree, loose: bool) -> fmt::Result {
    let blank = if loose { "  " } else { " " };
    let pad = if loose { " " } else { "" };
    let operand = |out: &mut String, tree: &Tree| {
        let needs = matches!(
            tree,
            Tree::Not(_) | Tree::Binary(..) | Tree::In(..) | Tree::InGroups(_)
        );
        if needs || loose {
            out.push('(');
            write(out, tree, loose)?;
            out.push(')');
            Ok(())
        } else {
            write(out, tree, loose)
        }
    };
    match tree {
        Tree::Null => out.push_str("null"),
        Tree::Bool(value) => write!(out, "{value}")?,
        Tree::Int(value) => write!(out, "{value}")?,
        Tree::Text(text) => out.push_str(&quote::quote(text)),
        Tree::UserId => out.push_str(if loose { "USERID" } else { "userId" }),
        Tree::ConnectionId => out.push_str("connectionId"),
        Tree::Protocol => out.push_str("protocol"),
        Tree::Groups => out.push_str("groups"),
        Tree::Not(inner) => {
            out.push_str("not");
            out.push_str(blank);
            operand(out, inner)?;
        }
        Tree::Binary(operator, left, right) => {
            operand(out, left)?;
            write!(out, "{blank}{operator}{blank}")?;
            operand(out, right)?;
        }
        Tree::In(item, list) => {
            operand(out, item)?;
            write!(out, "{blank}in{blank}(")?;
            for item in list {
                write(out, item, loose)?;
                write!(out, "{pad},{pad}")?;
            }
            out.push(')');
        }
        Tree::InGroups(item) => {
            operand(out, item)?;
            out.push_str(if loose {
                " in ( groups )"
            } else {
                " in groups"
            });
        }
        Tree::Call(function, arguments) => {
            write!(out, "{function}(")?;
            for (index, argument) in arguments.iter().enumerate() {
                write!(out, "{}{pad}", if index == 0 { "" } else { "," })?;
                write(out, argument, loose)?;
            }
            out.push(')');
        }
    }
    Ok(())
}

fn written(tree: &Tree, loose: bool) -> String {
    let mut out = String::new();
    write(&mut out, tree, loose).expect("strings can be written to");
    out
}

fn word() -> impl Strategy<Value = String> {
    const WORDS: &[&str] = &[
        "", "a", "A", "b", "ab", "abab", " a ", "é'", "😀", "a😀b", "ÉÀ",
    ];
    prop::sample::select(WORDS).prop_map(str::to_owned)
}

fn atom() -> impl Strategy<Value = Tree> {
    prop_oneof![
        1 => Just(Tree::Null),
        2 => any::<bool>().prop_map(Tree::Bool),
        3 => (-2..6).prop_map(Tree::Int),
        1 => any::<i32>().prop_map(Tree::Int),
        4 => word().prop_map(Tree::Text),
        4 => Just(Tree::UserId),
        2 => Just(Tree::ConnectionId),
        1 => Just(Tree::Protocol),
        1 => Just(Tree::Groups),
    ]
}

/// Any tree, mostly ill typed.
fn tree() -> impl Strategy<Value = Tree> {
    atom().prop_recursive(4, 24, 3, |inner| {
        let two = || (inner.clone(), inner.clone());
        prop_oneof![
            inner.clone().prop_map(|tree| Tree::Not(tree.into())),
            (operator(), two()).prop_map(|(op, (a, b))| Tree::Binary(op, a.into(), b.into())),
            (inner.clone(), prop::collection::vec(inner.clone(), 0..3))
                .prop_filter("a list of groups alone is the collection", |(_, list)| {
                    !matches!(list[..], [Tree::Groups])
                })
                .prop_map(|(item, list)| Tree::In(item.into(), list)),
            inner.clone().prop_map(|item| Tree::InGroups(item.into())),
            (one(), inner.clone()).prop_map(|(name, a)| Tree::Call(name, vec![a])),
            (pair(), two()).prop_map(|(name, (a, b))| Tree::Call(name, vec![a, b])),
            prop::collection::vec(inner.clone(), 2..=3)
                .prop_map(|arguments| Tree::Call("substring", arguments)),
        ]
    })
}

/// Text of some kind, mostly well typed.
fn text_tree() -> impl Strategy<Value = Tree> {
    let atom = prop_oneof![
        Just(Tree::UserId),
        Just(Tree::ConnectionId),
        Just(Tree::Protocol),
        word().prop_map(Tree::Text)
    ];
    atom.prop_recursive(3, 8, 2, |inner| {
        let number = prop_oneof![
            4 => (-1..4).prop_map(Tree::Int),
            1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| Tree::Call("indexof", vec![a, b])),
        ];
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| Tree::Call("concat", vec![a, b])),
            inner.clone().prop_map(|a| Tree::Call("trim", vec![a])),
            (inner.clone(), prop::collection::vec(number, 1..=2)).prop_map(|(text, numbers)| {
                Tree::Call("substring", [vec![text], numbers].concat())
            }),
        ]
    })
}

/// A condition, mostly well typed.
fn condition() -> impl Strategy<Value = Tree> {
    let clause = prop_oneof![
        (
            prop_oneof![Just("eq"), Just("ne")],
            text_tree(),
            text_tree()
        )
            .prop_map(|(op, a, b)| Tree::Binary(op, a.into(), b.into())),
        (order(), text_tree(), -1..5).prop_map(|(op, a, n)| {
            Tree::Binary(
                op,
                Tree::Call("length", vec![a]).into(),
                Tree::Int(n).into(),
            )
        }),
        (order(), 0..3).prop_map(|(op, n)| {
            let count = Tree::Call("length", vec![Tree::Groups]);
            Tree::Binary(op, Tree::Int(n).into(), count.into())
        }),
        text_tree().prop_map(|item| Tree::InGroups(item.into())),
        (text_tree(), prop::collection::vec(text_tree(), 0..3))
            .prop_map(|(item, list)| Tree::In(item.into(), list)),
        (
            prop_oneof![Just("contains"), Just("startswith"), Just("endswith")],
            text_tree(),
            text_tree()
        )
            .prop_map(|(name, a, b)| Tree::Call(name, vec![a, b])),
    ];
    clause.prop_recursive(3, 8, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|tree| Tree::Not(tree.into())),
            (prop_oneof![Just("and"), Just("or")], inner.clone(), inner)
                .prop_map(|(op, a, b)| Tree::Binary(op, a.into(), b.into())),
        ]
    })
}

fn operator() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&["and", "or", "eq", "ne", "lt", "le", "gt", "ge"][..])
}

fn order() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["lt", "le", "gt", "ge"])
}

fn one() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["length", "trim", "tolower", "toupper"])
}

fn pair() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "contains",
        "startswith",
        "endswith",
        "indexof",
        "concat",
    ])
}

fn connection() -> impl Strategy<Value = Connection> {
    (
        prop::option::of(word()),
        word(),
        prop::option::weighted(0.3, word()),
        prop::collection::btree_set(word(), 0..3),
    )
        .prop_map(|(user_id, connection_id, protocol, groups)| Connection {
            user_id,
            connection_id,
            protocol,
            groups: groups.into_iter().collect(),
        })
}

fn agrees(tree: &Tree, on: &Connection) -> Result<(), TestCaseError> {
    let nobody = Connection {
        user_id: None,
        connection_id: String::new(),
        protocol: None,
        groups: Vec::new(),
    };
    let check = evaluate(tree, &nobody, true).and_then(bool);
    let parsed = Filter::parse(&written(tree, false));
    prop_assert_eq!(
        parsed.is_ok(),
        check.is_ok(),
        "{:?} {}",
        parsed,
        written(tree, false)
    );
    let Ok(filter) = parsed else {
        return Ok(());
    };
    let expected = evaluate(tree, on, false).and_then(bool).unwrap_or(false);
    prop_assert_eq!(filter.matches(on), expected, "{}", filter);
    let loose = Filter::parse(&written(tree, true))
        .map_err(|error| TestCaseError::fail(error.to_string()))?;
    prop_assert_eq!(&loose, &filter);
    prop_assert_eq!(loose.matches(on), expected);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_tree_agrees_with_the_model(tree in tree(), on in connection()) {
        agrees(&tree, &on)?;
    }

    #[test]
    fn conditions_agree_with_the_model(tree in condition(), on in connection()) {
        agrees(&tree, &on)?;
    }

    #[test]
    fn any_text_parses_or_is_refused(text in any::<String>(), on in connection()) {
        if let Ok(filter) = Filter::parse(&text) {
            let _ = filter.matches(&on);
        }
    }

    #[test]
    fn any_tokens_parse_or_are_refused(
        tokens in prop::collection::vec(prop::sample::select(vec![
            "(", ")", ",", "'a'", "'", "''", "1", "-", "1.5", "not", "and", "or", "eq", "lt", "in", "groups",
            "userId", "null", "true", "length", "substring", "concat", "x", "/", "é", "😀", "duration'", "\u{3000}",
        ]), 0..20),
        blank in prop::sample::select(vec!["", " "]),
        on in connection(),
    ) {
        let text = tokens.join(blank);
        match Filter::parse(&text) {
            Ok(filter) => drop(filter.matches(&on)),
            Err(error) => {
                prop_assert!(error.to_string().starts_with("Invalid syntax for '"));
                prop_assert!(error.to_string().ends_with(" (Parameter 'filter')"));
                prop_assert!(error.position().is_none_or(|at| text.is_char_boundary(at)));
            }
        }
    }

    #[test]
    fn quoted_text_is_that_text(text in any::<String>(), other in any::<String>()) {
        let on = |user: &str| Connection {
            user_id: Some(user.to_owned()),
            connection_id: "c".to_owned(),
            protocol: None,
            groups: vec![user.to_owned()],
        };
        for filter in [
            odata!("userId eq {}", text),
            odata!("userId eq '{}'", text),
            odata!("userId in ({},{})", text, None::<String>),
            odata!("{} in groups", &text),
        ] {
            let filter = Filter::parse(&filter).unwrap();
            prop_assert!(filter.matches(&on(&text)));
            prop_assert_eq!(filter.matches(&on(&other)), text == other);
        }
    }
}
