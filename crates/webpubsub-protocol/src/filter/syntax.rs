//! The syntax tree, and its print form in error messages.
//!
//! The tree is at most [`FILTER_DEPTH`](crate::limits::FILTER_DEPTH) high (the parser sees to it),
//! so that walking and dropping it may recurse. `and` and `or` hold all their operands, since a
//! chain of them may be long.

use std::fmt::{self, Display, Formatter};

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expr {
    Literal(Literal),
    Field(Field),
    /// A name that is none of the four fields.
    Unknown(Box<str>),
    Call {
        function: Function,
        arguments: Vec<Self>,
    },
    Not(Box<Self>),
    Compare {
        operator: Comparison,
        left: Box<Self>,
        right: Box<Self>,
    },
    In {
        item: Box<Self>,
        collection: Collection,
    },
    /// `a or b or c`: at least two operands, the first of them no chain of the same operator,
    /// since the operators associate to the left.
    Chain {
        operator: Connective,
        operands: Vec<Self>,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Literal {
    Null,
    Bool(bool),
    Int(i32),
    Text(Box<str>),
    /// A number, date, GUID or prefixed literal that filters do not know, as written.
    Unsupported(Box<str>),
}

/// A field, and how the filter spelled its name.
#[derive(Debug, Clone)]
pub(super) struct Field {
    pub(super) kind: FieldKind,
    pub(super) spelling: Box<str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FieldKind {
    UserId,
    ConnectionId,
    Groups,
    Protocol,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Function {
    Length,
    IndexOf,
    Contains,
    StartsWith,
    EndsWith,
    ToLower,
    ToUpper,
    Trim,
    Concat,
    Substring,
    Unknown(Box<str>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Eq,
    Ne,
    Gt,
    Ge,
    Lt,
    Le,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Connective {
    And,
    Or,
}

/// The right side of `in`.
#[derive(Debug, Clone)]
pub(super) enum Collection {
    /// Something that should be a collection.
    Value(Box<Expr>),
    /// A list, with its text (parentheses included) for messages.
    List { items: Vec<Expr>, text: Box<str> },
}

/// The part of a tree that an error is about.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part<'e> {
    Whole(&'e Expr),
    /// The first operands of a chain, at least two.
    Prefix(Connective, &'e [Expr]),
}

impl FieldKind {
    pub(super) fn named(name: &str) -> Option<Self> {
        const FIELDS: [(&str, FieldKind); 4] = [
            ("userId", FieldKind::UserId),
            ("connectionId", FieldKind::ConnectionId),
            ("groups", FieldKind::Groups),
            ("protocol", FieldKind::Protocol),
        ];
        FIELDS
            .iter()
            .find(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, kind)| *kind)
    }
}

impl Function {
    pub(super) fn named(name: &str) -> Self {
        match name {
            "length" => Self::Length,
            "indexof" => Self::IndexOf,
            "contains" => Self::Contains,
            "startswith" => Self::StartsWith,
            "endswith" => Self::EndsWith,
            "tolower" => Self::ToLower,
            "toupper" => Self::ToUpper,
            "trim" => Self::Trim,
            "concat" => Self::Concat,
            "substring" => Self::Substring,
            _ => Self::Unknown(name.into()),
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Length => "length",
            Self::IndexOf => "indexof",
            Self::Contains => "contains",
            Self::StartsWith => "startswith",
            Self::EndsWith => "endswith",
            Self::ToLower => "tolower",
            Self::ToUpper => "toupper",
            Self::Trim => "trim",
            Self::Concat => "concat",
            Self::Substring => "substring",
            Self::Unknown(name) => name,
        }
    }
}

impl Comparison {
    pub(super) fn named(word: &str) -> Option<Self> {
        Some(match word {
            "eq" => Self::Eq,
            "ne" => Self::Ne,
            "gt" => Self::Gt,
            "ge" => Self::Ge,
            "lt" => Self::Lt,
            "le" => Self::Le,
            _ => return None,
        })
    }

    fn word(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::Ne => "ne",
            Self::Gt => "gt",
            Self::Ge => "ge",
            Self::Lt => "lt",
            Self::Le => "le",
        }
    }
}

impl Connective {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::And => "and",
            Self::Or => "or",
        }
    }
}

impl PartialEq for Field {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

impl PartialEq for Collection {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Value(a), Self::Value(b)) => a == b,
            (Self::List { items: a, .. }, Self::List { items: b, .. }) => a == b,
            _ => false,
        }
    }
}

impl Display for Part<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Whole(expr) => expr.fmt(f),
            Self::Prefix(operator, operands) => write_chain(f, operator, operands),
        }
    }
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(literal) => literal.fmt(f),
            Self::Field(field) => f.write_str(&field.spelling),
            Self::Unknown(name) => f.write_str(name),
            Self::Call {
                function,
                arguments,
            } => {
                write!(f, "{}(", function.name())?;
                for (index, argument) in arguments.iter().enumerate() {
                    let comma = if index == 0 { "" } else { "," };
                    write!(f, "{comma}{argument}")?;
                }
                f.write_str(")")
            }
            Self::Not(operand) => write!(f, "not {}", Operand(operand)),
            Self::Compare {
                operator,
                left,
                right,
            } => {
                write!(
                    f,
                    "{} {} {}",
                    Operand(left),
                    operator.word(),
                    Operand(right)
                )
            }
            Self::In { item, collection } => match collection {
                Collection::Value(value) => write!(f, "{} in {}", Operand(item), Operand(value)),
                Collection::List { text, .. } => write!(f, "{} in {text}", Operand(item)),
            },
            Self::Chain { operator, operands } => write_chain(f, *operator, operands),
        }
    }
}

impl Display for Literal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => value.fmt(f),
            Self::Int(value) => value.fmt(f),
            Self::Text(text) => super::quote::Quoted(text).fmt(f),
            Self::Unsupported(text) => f.write_str(text),
        }
    }
}

/// An operand: in parentheses when it has an operator itself.
struct Operand<'e>(&'e Expr);

impl Display for Operand<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Expr::Not(_) | Expr::Compare { .. } | Expr::In { .. } | Expr::Chain { .. } => {
                write!(f, "({})", self.0)
            }
            Expr::Literal(_) | Expr::Field(_) | Expr::Unknown(_) | Expr::Call { .. } => {
                self.0.fmt(f)
            }
        }
    }
}

/// `((a or b) or c) or d`: the tree of operators with two operands each.
fn write_chain(f: &mut Formatter<'_>, operator: Connective, operands: &[Expr]) -> fmt::Result {
    for _ in 2..operands.len() {
        f.write_str("(")?;
    }
    for (index, operand) in operands.iter().enumerate() {
        match index {
            0 => {}
            1 => write!(f, " {} ", operator.word())?,
            _ => write!(f, ") {} ", operator.word())?,
        }
        Operand(operand).fmt(f)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::parser::parse;

    #[test]
    fn prints_as_the_service_does() {
        for (text, printed) in [
            ("( not 'a' )", "not 'a'"),
            ("not(not true)", "not (not true)"),
            ("USERID  eq( 'it''s' )", "USERID eq 'it''s'"),
            ("substring( userId , +1,-2 )", "substring(userId,1,-2)"),
            ("a eq 1 and b", "(a eq 1) and b"),
            ("a or b or c or (d or e)", "((a or b) or c) or (d or e)"),
            ("(a or b) or c", "(a or b) or c"),
            ("a and b or c", "(a and b) or c"),
            ("1 eq 1 eq true", "(1 eq 1) eq true"),
            ("x in ('a', 'b')", "x in ('a', 'b')"),
            ("x in (groups)", "x in groups"),
            ("(x eq 1) in ()", "(x eq 1) in ()"),
            ("length()", "length()"),
            ("f(a eq b,null)", "f(a eq b,null)"),
        ] {
            let tree = parse(text).unwrap();
            assert_eq!(tree.to_string(), printed, "{text}");
            assert_eq!(parse(printed).unwrap(), tree, "{text}");
        }
    }

    /// Well-formed text with blanks, parentheses and names of every kind.
    fn expression() -> impl Strategy<Value = String> {
        const ATOMS: &[&str] = &[
            "userId", "GROUPS", "ab", "null", "true", "-7", "+0", "1.5", "'it''s'", "''",
            "length()",
        ];
        const OPERATORS: &[&str] = &["eq", "ne", "lt", "le", "gt", "ge", "and", "or", "in"];
        let atom = prop::sample::select(ATOMS).prop_map(str::to_owned);
        atom.prop_recursive(4, 24, 3, |inner| {
            prop_oneof![
                inner.clone().prop_map(|text| format!("( {text})")),
                inner.clone().prop_map(|text| format!("not {text}")),
                (
                    inner.clone(),
                    prop::sample::select(OPERATORS),
                    inner.clone()
                )
                    .prop_map(|(left, operator, right)| format!("{left}  {operator} {right}")),
                (inner.clone(), prop::collection::vec(inner.clone(), 0..3))
                    .prop_map(|(item, list)| format!("{item} in ({} , )", list.join(" ,"))),
                prop::collection::vec(inner, 1..4)
                    .prop_map(|arguments| format!("f ( {} )", arguments.join(", "))),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_printed_parses_to_the_same_tree(text in expression()) {
            let tree = parse(&text);
            prop_assume!(tree.is_ok());
            let tree = tree.unwrap();
            let printed = tree.to_string();
            let again = parse(&printed).unwrap();
            prop_assert_eq!(&again, &tree, "{}", printed);
            prop_assert_eq!(again.to_string(), printed);
        }
    }
}
