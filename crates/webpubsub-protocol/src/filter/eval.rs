//! The evaluator, which is also the check: [`dry_run`] evaluates against a made-up connection and
//! reports the first fault, [`matches`] against a real one and takes a fault for "no".
//!
//! Text is borrowed from the filter and the connection, so only functions that make new text
//! allocate.

use std::borrow::Cow;

use super::FilterSubject;
use super::error::FilterError;
use super::syntax::{Collection, Comparison, Connective, Expr, FieldKind, Function, Literal, Part};
use super::text;

/// Evaluates against a connection without user, groups and protocol, whose id is empty.
pub(super) fn dry_run(expression: &Expr) -> Result<(), Fault<'_>> {
    Evaluator {
        subject: &Nobody,
        dry: true,
    }
    .root(expression)
    .map(drop)
}

/// Whether the expression is true for the connection.
pub(super) fn matches(expression: &Expr, subject: &dyn FilterSubject) -> bool {
    Evaluator {
        subject,
        dry: false,
    }
    .root(expression)
    .unwrap_or(false)
}

/// What is wrong, and which part of the filter the message quotes.
pub(super) struct Fault<'e> {
    problem: Problem<'e>,
    /// The nearest enclosing operator or call; the whole filter, as written, when there is none.
    within: Option<Part<'e>>,
}

enum Problem<'e> {
    Type {
        actual: &'static str,
        expected: &'static str,
    },
    Unsupported(&'e Expr),
    Invalid(&'e Expr),
    /// Text, of which the service expects that it is a list.
    NoList(Cow<'e, str>),
}

impl<'e> Fault<'e> {
    fn new(problem: Problem<'e>) -> Self {
        Self {
            problem,
            within: None,
        }
    }

    fn within(mut self, part: Part<'e>) -> Self {
        self.within.get_or_insert(part);
        self
    }

    /// The error to report for the filter `source`.
    pub(super) fn into_error(self, source: &str) -> FilterError {
        let detail = match self.problem {
            Problem::Type { actual, expected } => format!("Type '{actual}', expect '{expected}'."),
            Problem::Unsupported(token) => format!("Token '{token}' is not supported."),
            Problem::Invalid(token) => format!("Invalid token '{token}'."),
            Problem::NoList(text) => format!("Invalid token '{text}'."),
        };
        match self.within {
            Some(part) => FilterError::new(part, detail),
            None => FilterError::new(source, detail),
        }
    }
}

enum Value<'e> {
    Null,
    Bool(bool),
    Int(i32),
    /// `None` for a field without a value: null in comparisons for equality, but of type string.
    Text(Option<Cow<'e, str>>),
    Groups,
}

impl<'e> Value<'e> {
    fn text(text: impl Into<Cow<'e, str>>) -> Self {
        Self::Text(Some(text.into()))
    }

    fn count(count: usize) -> Self {
        Self::Int(i32::try_from(count).unwrap_or(i32::MAX))
    }

    fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Text(_) => "string",
            Self::Groups => "collection",
        }
    }

    fn is_null(&self) -> bool {
        matches!(self, Self::Null | Self::Text(None))
    }

    fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Int(a), Self::Int(b)) => a == b,
            (Self::Text(Some(a)), Self::Text(Some(b))) => a == b,
            (Self::Groups, Self::Groups) => true,
            (a, b) => a.is_null() && b.is_null(),
        }
    }

    fn mistyped(&self, expected: &'static str) -> Fault<'e> {
        Fault::new(Problem::Type {
            actual: self.type_name(),
            expected,
        })
    }

    fn as_bool(&self) -> Result<bool, Fault<'e>> {
        match self {
            Self::Bool(value) => Ok(*value),
            _ => Err(self.mistyped("bool")),
        }
    }

    fn as_int(&self) -> Result<i32, Fault<'e>> {
        match self {
            Self::Int(value) => Ok(*value),
            _ => Err(self.mistyped("int")),
        }
    }

    /// The text of a string that may be null; the untyped null is no string.
    fn into_string(self) -> Result<Option<Cow<'e, str>>, Fault<'e>> {
        match self {
            Self::Text(text) => Ok(text),
            _ => Err(self.mistyped("string")),
        }
    }

    /// The text of a string, or of null of either kind.
    fn into_text(self) -> Result<Option<Cow<'e, str>>, Fault<'e>> {
        match self {
            Self::Null => Ok(None),
            value => value.into_string(),
        }
    }
}

type Evaluated<'e> = Result<Value<'e>, Fault<'e>>;

#[derive(Clone, Copy)]
struct Evaluator<'e> {
    subject: &'e dyn FilterSubject,
    dry: bool,
}

impl<'e> Evaluator<'e> {
    fn root(self, expr: &'e Expr) -> Result<bool, Fault<'e>> {
        let value = self.value(expr)?;
        value
            .as_bool()
            .map_err(|fault| fault.within(Part::Whole(expr)))
    }

    fn value(self, expr: &'e Expr) -> Evaluated<'e> {
        let here = |fault: Fault<'e>| fault.within(Part::Whole(expr));
        match expr {
            Expr::Literal(literal) => match literal {
                Literal::Null => Ok(Value::Null),
                Literal::Bool(value) => Ok(Value::Bool(*value)),
                Literal::Int(value) => Ok(Value::Int(*value)),
                Literal::Text(text) => Ok(Value::text(&**text)),
                Literal::Unsupported(_) => Err(Fault::new(Problem::Unsupported(expr))),
            },
            Expr::Field(field) => Ok(match field.kind {
                FieldKind::UserId => Value::Text(self.subject.user_id().map(Cow::Borrowed)),
                FieldKind::ConnectionId => Value::text(self.subject.connection_id()),
                FieldKind::Groups => Value::Groups,
                FieldKind::Protocol => Value::Text(self.subject.protocol().map(Cow::Borrowed)),
            }),
            Expr::Unknown(_) => Err(Fault::new(Problem::Unsupported(expr))),
            Expr::Not(operand) => {
                // Like the service, `not` is no place for the faults of its operand.
                let operand = self.value(operand)?;
                operand
                    .as_bool()
                    .map(|value| Value::Bool(!value))
                    .map_err(here)
            }
            Expr::Call {
                function,
                arguments,
            } => self.call(expr, function, arguments).map_err(here),
            Expr::Compare {
                operator,
                left,
                right,
            } => self
                .compare(*operator, left, right)
                .map(Value::Bool)
                .map_err(here),
            Expr::In { item, collection } => self
                .contains(item, collection)
                .map(Value::Bool)
                .map_err(here),
            Expr::Chain { operator, operands } => self.chain(*operator, operands),
        }
    }

    /// Evaluates every operand, whatever the first ones decide. In the service's tree the operator
    /// has two operands, the left one holding all before, hence the order of checks and the prefix
    /// that faults name.
    fn chain(self, operator: Connective, operands: &'e [Expr]) -> Evaluated<'e> {
        let mut result = operator == Connective::And;
        let mut first = None;
        for (index, operand) in operands.iter().enumerate() {
            let here =
                |fault: Fault<'e>| fault.within(Part::Prefix(operator, &operands[..=index.max(1)]));
            let value = self.value(operand).map_err(here)?;
            if index == 0 {
                first = Some(value);
                continue;
            }
            for value in first.take().iter().chain([&value]) {
                let value = value.as_bool().map_err(here)?;
                result = match operator {
                    Connective::And => result && value,
                    Connective::Or => result || value,
                };
            }
        }
        Ok(Value::Bool(result))
    }

    fn compare(
        self,
        operator: Comparison,
        left: &'e Expr,
        right: &'e Expr,
    ) -> Result<bool, Fault<'e>> {
        let (left, right) = (self.value(left)?, self.value(right)?);
        let order = |holds: fn(&i32, &i32) -> bool| {
            if matches!(left, Value::Null) || matches!(right, Value::Null) {
                return Ok(false);
            }
            Ok(holds(&left.as_int()?, &right.as_int()?))
        };
        match operator {
            Comparison::Eq => Ok(left.equals(&right)),
            Comparison::Ne => Ok(!left.equals(&right)),
            Comparison::Gt => order(i32::gt),
            Comparison::Ge => order(i32::ge),
            Comparison::Lt => order(i32::lt),
            Comparison::Le => order(i32::le),
        }
    }

    fn contains(self, item: &'e Expr, collection: &'e Collection) -> Result<bool, Fault<'e>> {
        let item = self.value(item)?;
        match collection {
            Collection::Value(value) => match self.value(value)? {
                Value::Groups => Ok(match item {
                    Value::Text(Some(group)) => self.subject.in_group(&group),
                    _ => false,
                }),
                // The service takes text for a list in parentheses that it has yet to read.
                Value::Text(Some(text)) => Err(Fault::new(Problem::NoList(text))),
                value @ Value::Text(None) => Err(value.mistyped("collection")),
                value => Err(value.mistyped("string")),
            },
            Collection::List { items, .. } => {
                let mut found = false;
                for candidate in items {
                    found |= self.value(candidate)?.equals(&item);
                }
                Ok(found)
            }
        }
    }

    fn call(self, call: &'e Expr, function: &'e Function, arguments: &'e [Expr]) -> Evaluated<'e> {
        match (function, arguments) {
            (Function::Length, [text]) => match self.value(text)? {
                Value::Null | Value::Text(None) => Ok(Value::Null),
                Value::Text(Some(text)) => Ok(Value::count(text::units(&text))),
                Value::Groups => Ok(Value::count(self.subject.group_count())),
                Value::Bool(_) | Value::Int(_) => Err(Fault::new(Problem::Invalid(call))),
            },
            (Function::ToLower, [text]) => self.map(text, |text| reborrow(text, text::to_lower)),
            (Function::ToUpper, [text]) => self.map(text, |text| reborrow(text, text::to_upper)),
            (Function::Trim, [text]) => self.map(text, |text| match text {
                Cow::Borrowed(text) => text.trim().into(),
                Cow::Owned(text) => text.trim().to_owned().into(),
            }),
            (Function::Contains, [text, part]) => self.test(text, part, |a, b| a.contains(b)),
            (Function::StartsWith, [text, part]) => self.test(text, part, |a, b| a.starts_with(b)),
            (Function::EndsWith, [text, part]) => self.test(text, part, |a, b| a.ends_with(b)),
            (Function::IndexOf, [text, part]) => {
                let position = self
                    .texts(text, part)?
                    .and_then(|(a, b)| text::index_of(&a, &b));
                Ok(position.map_or(Value::Int(-1), Value::count))
            }
            (Function::Concat, [left, right]) => self.concat(left, right),
            (Function::Substring, [text, start]) => self.substring(text, start, None),
            (Function::Substring, [text, start, length]) => {
                self.substring(text, start, Some(length))
            }
            (Function::Unknown(_), _) => Err(Fault::new(Problem::Unsupported(call))),
            _ => Err(Fault::new(Problem::Invalid(call))),
        }
    }

    fn map(self, text: &'e Expr, map: fn(Cow<'e, str>) -> Cow<'e, str>) -> Evaluated<'e> {
        let text = self.value(text)?.into_text()?;
        Ok(text.map_or(Value::Null, |text| Value::text(map(text))))
    }

    fn test(self, text: &'e Expr, part: &'e Expr, test: fn(&str, &str) -> bool) -> Evaluated<'e> {
        let texts = self.texts(text, part)?;
        Ok(Value::Bool(texts.is_some_and(|(a, b)| test(&a, &b))))
    }

    /// Both texts; `None` when one of them is null, whatever the other is.
    #[expect(clippy::type_complexity, reason = "a pair of what `value` gives")]
    fn texts(
        self,
        left: &'e Expr,
        right: &'e Expr,
    ) -> Result<Option<(Cow<'e, str>, Cow<'e, str>)>, Fault<'e>> {
        let (left, right) = (self.value(left)?, self.value(right)?);
        if left.is_null() || right.is_null() {
            return Ok(None);
        }
        Ok(left.into_string()?.zip(right.into_string()?))
    }

    fn concat(self, left: &'e Expr, right: &'e Expr) -> Evaluated<'e> {
        match (self.value(left)?, self.value(right)?) {
            (left, right) if left.is_null() && right.is_null() => Ok(Value::Null),
            (left, right @ Value::Text(_)) if left.is_null() => Ok(right),
            (left @ Value::Text(_), right) if right.is_null() => Ok(left),
            (left, right) => {
                let (left, right) = (left.into_string()?, right.into_string()?);
                let mut text = left.unwrap_or_default().into_owned();
                text.push_str(&right.unwrap_or_default());
                Ok(Value::text(text))
            }
        }
    }

    fn substring(self, text: &'e Expr, start: &'e Expr, length: Option<&'e Expr>) -> Evaluated<'e> {
        let text = self.value(text)?;
        let start = self.value(start)?.as_int()?;
        let length = match length {
            Some(length) => Some(self.value(length)?.as_int()?),
            None => None,
        };
        let Some(text) = text.into_text()? else {
            return Ok(Value::Null);
        };
        if self.dry {
            // The made-up connection id is empty, so every other position would be out of range.
            return Ok(Value::text(""));
        }
        let (Ok(start), Ok(length)) = (
            usize::try_from(start),
            length.map(usize::try_from).transpose(),
        ) else {
            return Ok(Value::Null);
        };
        Ok(match (text::substring(&text, start, length), text) {
            (None, _) => Value::Null,
            (Some((from, to)), Cow::Borrowed(text)) => Value::text(&text[from..to]),
            (Some((from, to)), Cow::Owned(text)) => Value::text(text[from..to].to_owned()),
        })
    }
}

/// Applies a function that may give its argument back, without copying borrowed text.
fn reborrow<'e>(text: Cow<'e, str>, map: fn(&str) -> Cow<'_, str>) -> Cow<'e, str> {
    match text {
        Cow::Borrowed(text) => map(text),
        Cow::Owned(text) => map(&text).into_owned().into(),
    }
}

/// The made-up connection of the check.
struct Nobody;

impl FilterSubject for Nobody {
    fn user_id(&self) -> Option<&str> {
        None
    }

    fn connection_id(&self) -> &str {
        ""
    }

    fn protocol(&self) -> Option<&str> {
        None
    }

    fn in_group(&self, _group: &str) -> bool {
        false
    }

    fn group_count(&self) -> usize {
        0
    }
}
