//! OData filters, which select the connections that a call applies to.
//!
//! The service accepts a filter in the query parameter `filter` of sends to all, to a group and to a
//! user, and in the body of `:addToGroups` and `:removeFromGroups`. It selects the connections for
//! which the expression is `true`:
//!
//! ```
//! use webpubsub_protocol::filter::Filter;
//!
//! let filter = Filter::parse("'vip' in groups and not (userId eq 'ana')")?;
//! assert_eq!(filter.as_str(), "'vip' in groups and not (userId eq 'ana')");
//!
//! let error = Filter::parse("userId lt 1").unwrap_err();
//! assert_eq!(
//!     error.to_string(),
//!     "Invalid syntax for 'userId lt 1': Type 'string', expect 'int'. (Parameter 'filter')",
//! );
//! # Ok::<(), webpubsub_protocol::filter::FilterError>(())
//! ```
//!
//! To insert values into a filter, use [`odata!`](crate::odata), which quotes them.
//!
//! # The language
//!
//! - Identifiers, in any case: `userId`, `connectionId`, `groups`, `protocol`. `userId` is null for
//!   anonymous connections, `protocol` for connections without a subprotocol.
//! - Literals: `'text'` with `''` for a quote, 32-bit integers, `true`, `false`, `null`.
//! - `and`, `or`, `not`, parentheses; `eq` and `ne` between any values (those of different types are
//!   unequal); `gt`, `ge`, `lt` and `le` between integers (false if one is null); `x in (a, b)` and
//!   `x in groups`. `not` binds tightest, then comparisons and `in`, then `and`, then `or`.
//! - `length`, `indexof`, `contains`, `startswith`, `endswith`, `tolower`, `toupper`, `trim`,
//!   `concat`, `substring`. Lengths and positions count UTF-16 code units, as the service does.
//!
//! Keywords, literals and function names are lower-case. Text is compared ordinally, so case matters.
//!
//! # What is checked when
//!
//! Like the service, [`Filter::parse`] also evaluates the expression once, for an imaginary connection
//! without a user, groups and a protocol and with an empty id, and rejects every error of that run. This
//! tests only one kind of connection, so a filter can pass and still be ill typed for another. For example,
//! `tolower(userId) lt 1` compares null with 1 for an anonymous connection, which is allowed, and text with
//! 1 for any other, which is not. A filter does not match a connection for which it is ill typed, whatever
//! the rest of the filter says: both operands of `and` and `or` are always checked.

mod error;
mod eval;
mod lexer;
mod parser;
pub mod quote;
mod syntax;
mod text;

use std::fmt;
use std::str::FromStr;

pub use error::FilterError;

use crate::limits;

/// A filter that has been parsed and checked.
///
/// Equality compares meaning, not spelling: `a or b` equals `( a ) or b`.
#[derive(Clone)]
pub struct Filter {
    source: Box<str>,
    expression: syntax::Expr,
}

/// The properties of a connection that a filter can refer to.
///
/// Evaluating a filter copies nothing: it asks for single groups rather than a list.
pub trait FilterSubject {
    /// The id of the user; `None` for an anonymous connection.
    fn user_id(&self) -> Option<&str>;
    /// The id of the connection.
    fn connection_id(&self) -> &str;
    /// The negotiated WebSocket subprotocol as the client spelled it; `None` for simple clients.
    fn protocol(&self) -> Option<&str>;
    /// Whether the connection is in `group` at this moment.
    fn in_group(&self, group: &str) -> bool;
    /// The number of groups that the connection is in at this moment.
    fn group_count(&self) -> usize;
}

impl Filter {
    /// Parses and checks a filter.
    ///
    /// An empty or blank text is an error. Where an empty filter means "all", check for it first.
    ///
    /// # Errors
    ///
    /// [`FilterError`], with the error text of the service, if the text is not a filter, is ill typed, is
    /// longer than [`limits::FILTER_BYTES`] or nests deeper than [`limits::FILTER_DEPTH`].
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        if text.len() > limits::FILTER_BYTES {
            return Err(FilterError::too_long(text.len()));
        }
        let expression = parser::parse(text)?;
        eval::dry_run(&expression).map_err(|fault| fault.into_error(text))?;
        Ok(Self {
            source: text.into(),
            expression,
        })
    }

    /// Whether the filter selects the connection. Never fails; for filters that are ill typed for some
    /// connections only, see the documentation of the module.
    #[must_use]
    pub fn matches(&self, subject: &dyn FilterSubject) -> bool {
        eval::matches(&self.expression, subject)
    }

    /// The text that the filter was parsed from.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.source
    }
}

impl PartialEq for Filter {
    fn eq(&self, other: &Self) -> bool {
        self.expression == other.expression
    }
}

impl Eq for Filter {}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Filter").field(&self.source).finish()
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

impl FromStr for Filter {
    type Err = FilterError;
    fn from_str(text: &str) -> Result<Self, FilterError> {
        Self::parse(text)
    }
}
