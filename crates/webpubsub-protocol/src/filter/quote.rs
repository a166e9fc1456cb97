//! Inserting values into a filter: [`odata!`](crate::odata) and its parts.

use std::borrow::Cow;
use std::fmt::{self, Display, Formatter, Write as _};

/// A value that [`odata!`](crate::odata) can insert into a filter.
///
/// For your own types, return a literal; the macro does the quoting.
///
/// ```
/// use webpubsub_protocol::filter::quote::{ODataLiteral, ODataValue};
/// use webpubsub_protocol::odata;
///
/// struct Room(String);
///
/// impl ODataValue for Room {
///     fn odata_literal(&self) -> ODataLiteral<'_> {
///         ODataLiteral::Text(&self.0)
///     }
/// }
///
/// assert_eq!(odata!("{} in groups", Room("Ana's".into())), "'Ana''s' in groups");
/// ```
pub trait ODataValue {
    /// The literal for this value.
    fn odata_literal(&self) -> ODataLiteral<'_>;
}

/// A literal of the filter language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ODataLiteral<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// An integer. If it does not fit into 32 bits, the service refuses the filter.
    Int(i128),
    /// Text, without quotes.
    Text(&'a str),
}

/// Quotes text: `it's` becomes `'it''s'`.
///
/// ```
/// assert_eq!(webpubsub_protocol::filter::quote::quote("it's"), "'it''s'");
/// ```
#[must_use]
pub fn quote(text: &str) -> String {
    Quoted(text).to_string()
}

/// Builds a filter, as a `String`, from a template and a value for each `{}` in it. Works like the
/// `odata` template tag of the official JavaScript package.
///
/// Text is quoted, and quotes inside it are doubled; `None` becomes `null`; integers and booleans are
/// written as they are. If there is a quote right before the `{}`, the template provides the quotes.
/// Write `{{` and `}}` for braces. Values are borrowed.
///
/// ```
/// use webpubsub_protocol::odata;
///
/// let user = "vic's";
/// assert_eq!(odata!("userId eq {}", user), "userId eq 'vic''s'");
/// assert_eq!(odata!("userId eq '{}'", user), "userId eq 'vic''s'");
/// assert_eq!(
///     odata!("userId ne {} and length(groups) gt {}", None::<&str>, 3),
///     "userId ne null and length(groups) gt 3",
/// );
/// ```
///
/// A template whose number of `{}` differs from the number of values does not compile, and neither does
/// one that names values inside the braces, because those could not be quoted:
///
/// ```compile_fail
/// webpubsub_protocol::odata!("userId eq {} or userId eq {}", "ana");
/// ```
///
/// ```compile_fail
/// let user = "ana";
/// webpubsub_protocol::odata!("userId eq {user}");
/// ```
#[macro_export]
macro_rules! odata {
    ($template:expr $(, $value:expr)* $(,)?) => {{
        const { $crate::filter::quote::__check($template, <[&str]>::len(&[$(stringify!($value)),*])) };
        $crate::filter::quote::__fill($template, &[$(&$value as &dyn $crate::filter::quote::ODataValue),*])
    }};
}

/// Text that displays as a quoted literal.
pub(super) struct Quoted<'t>(pub(super) &'t str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "'{}'", Doubled(self.0))
    }
}

/// Text with its quotes doubled.
struct Doubled<'t>(&'t str);

impl Display for Doubled<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, piece) in self.0.split('\'').enumerate() {
            if index > 0 {
                f.write_str("''")?;
            }
            f.write_str(piece)?;
        }
        Ok(())
    }
}

/// Checks at compile time that a template has `values` places. Not for direct use.
#[doc(hidden)]
pub const fn __check(template: &str, values: usize) {
    let template = template.as_bytes();
    let mut places = 0;
    let mut at = 0;
    while at < template.len() {
        let next = if at + 1 < template.len() {
            template[at + 1]
        } else {
            0
        };
        match (template[at], next) {
            (b'{', b'}') => places += 1,
            (b'{', b'{') | (b'}', b'}') => {}
            (b'{', _) => panic!(
                "odata!: write `{{}}` for a value and `{{{{` for a brace; names in braces are not supported"
            ),
            (b'}', _) => panic!("odata!: write `}}}}` for a brace"),
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
    }
    assert!(
        places == values,
        "odata!: the template has not as many `{{}}` as there are values"
    );
}

/// Fills a checked template. Not for direct use.
#[doc(hidden)]
#[must_use]
pub fn __fill(template: &str, values: &[&dyn ODataValue]) -> String {
    let mut filter = String::with_capacity(template.len() + 16 * values.len());
    let mut values = values.iter();
    // Where the template text after the last value starts: the rule for open quotes looks at that.
    let mut piece = 0;
    let mut chars = template.chars();
    while let Some(c) = chars.next() {
        if !matches!(c, '{' | '}') {
            filter.push(c);
            continue;
        }
        if (c, chars.next()) != ('{', Some('}')) {
            filter.push(c);
            continue;
        }
        let quoted = ends_in_quote(&filter[piece..]);
        if let Some(value) = values.next() {
            push(&mut filter, value.odata_literal(), quoted);
        }
        piece = filter.len();
    }
    filter
}

fn ends_in_quote(piece: &str) -> bool {
    piece.trim_end().ends_with('\'')
}

fn push(filter: &mut String, literal: ODataLiteral<'_>, quoted: bool) {
    let written = match literal {
        ODataLiteral::Null => write!(filter, "null"),
        ODataLiteral::Bool(value) => write!(filter, "{value}"),
        ODataLiteral::Int(value) => write!(filter, "{value}"),
        ODataLiteral::Text(text) if quoted => write!(filter, "{}", Doubled(text)),
        ODataLiteral::Text(text) => write!(filter, "{}", Quoted(text)),
    };
    written.expect("writing to a string cannot fail");
}

macro_rules! text_values {
    ($($type:ty),* $(,)?) => {$(
        impl ODataValue for $type {
            fn odata_literal(&self) -> ODataLiteral<'_> {
                ODataLiteral::Text(self.as_ref())
            }
        }
    )*};
}

macro_rules! int_values {
    ($($type:ty),* $(,)?) => {$(
        impl ODataValue for $type {
            fn odata_literal(&self) -> ODataLiteral<'_> {
                ODataLiteral::Int((*self).into())
            }
        }
    )*};
}

text_values!(
    str,
    String,
    Box<str>,
    std::sync::Arc<str>,
    Cow<'_, str>,
    bytestring::ByteString,
    crate::name::GroupName,
    crate::name::UserId,
    crate::name::ConnectionId,
);
int_values!(i8, i16, i32, i64, u8, u16, u32, u64);

impl ODataValue for usize {
    fn odata_literal(&self) -> ODataLiteral<'_> {
        ODataLiteral::Int(i128::try_from(*self).expect("usize fits into 127 bits"))
    }
}

impl ODataValue for bool {
    fn odata_literal(&self) -> ODataLiteral<'_> {
        ODataLiteral::Bool(*self)
    }
}

impl<T: ODataValue + ?Sized> ODataValue for &T {
    fn odata_literal(&self) -> ODataLiteral<'_> {
        T::odata_literal(self)
    }
}

impl<T: ODataValue> ODataValue for Option<T> {
    fn odata_literal(&self) -> ODataLiteral<'_> {
        self.as_ref().map_or(ODataLiteral::Null, T::odata_literal)
    }
}
