//! What the rows of the [generated table](super::generated) are.

use http::Method;

use super::generated::OperationId;
use super::params::{BadParameter, Input};
use crate::route::Routed;

/// Makes the table of operations, and for each of them a struct of its parameters.
macro_rules! operations {
    ($(
        $(#[doc = $doc:literal])*
        $name:ident = $id:literal: $method:ident $path:literal => $success:literal $access:ident {
            $($field:ident: $type:ty = $parameter:ident,)*
        }
    )*) => {
        /// An operation of the REST API.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum OperationId {
            $($(#[doc = $doc])* $name,)*
        }

        /// All operations, in the order of [`OperationId`].
        pub(crate) static OPERATIONS: &[$crate::rest::table::Operation] = &[
            $($crate::rest::table::Operation {
                id: OperationId::$name,
                name: $id,
                method: http::Method::$method,
                path: $path,
                success: $success,
                access: $crate::rest::table::Access::$access,
            },)*
        ];

        /// A call: an operation with its parameters, all of them checked.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub(crate) enum Call {
            $($name($name),)*
        }

        impl Call {
            /// Reads the parameters in the order of the table.
            pub(super) fn parse(
                operation: OperationId,
                input: &mut $crate::rest::params::Input<'_>,
            ) -> Result<Self, $crate::rest::params::BadParameter> {
                Ok(match operation {
                    $(OperationId::$name => Self::$name($name {
                        $($field: $parameter.read(input)?,)*
                    }),)*
                })
            }

            /// The parameters by the names that they travel under, for the shared test vectors.
            #[cfg(test)]
            pub(crate) fn describe(&self) -> serde_json::Value {
                use $crate::rest::params::tests::Describe as _;
                match self {
                    $(Self::$name(_call) => {
                        let members: Vec<(String, serde_json::Value)> = vec![
                            $(($parameter.rules.name.to_owned(), _call.$field.describe()),)*
                        ];
                        members.into_iter().collect()
                    })*
                }
            }
        }

        $(
            #[doc = concat!("Parameters of `", $id, "`.")]
            #[derive(Debug, Clone, PartialEq, Eq)]
            pub(crate) struct $name {
                $(pub(crate) $field: $type,)*
            }
        )*
    };
}
pub(super) use operations;

/// Makes an enum of words that are read without regard to case.
macro_rules! choice {
    ($(#[doc = $doc:literal])* $name:ident { $($variant:ident = $word:literal),* }) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum $name {
            $($variant,)*
        }

        impl std::str::FromStr for $name {
            type Err = $crate::rest::table::UnknownValue;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                $(if text.eq_ignore_ascii_case($word) {
                    return Ok(Self::$variant);
                })*
                Err($crate::rest::table::UnknownValue)
            }
        }
    };
}
pub(super) use choice;

/// A row of the table of operations.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) id: OperationId,
    /// As the service calls it.
    pub(crate) name: &'static str,
    pub(crate) method: Method,
    /// The path with its parameters in braces.
    pub(crate) path: &'static str,
    /// The status of the answer when it succeeds.
    pub(crate) success: u16,
    pub(crate) access: Access,
}

impl Routed for Operation {
    fn method(&self) -> &Method {
        &self.method
    }

    fn path(&self) -> &'static str {
        self.path
    }
}

/// Who may call an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Whoever has an access token.
    Token,
    Anyone,
}

/// A row of the table of parameters.
pub(super) struct Parameter<T> {
    pub(super) rules: Rules,
    pub(super) read: fn(&mut Input<'_>, Rules) -> Result<T, BadParameter>,
}

impl<T> Parameter<T> {
    pub(super) fn read(&self, input: &mut Input<'_>) -> Result<T, BadParameter> {
        (self.read)(input, self.rules)
    }
}

/// What does not depend on the type of a parameter.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub(super) name: &'static str,
    pub(super) repeated: Repeated,
    /// Nothing when every value is fine.
    violation: Option<Violation>,
}

/// What the service answers to a value that breaks the rules.
#[derive(Debug, Clone, Copy)]
struct Violation {
    target: &'static str,
    message: &'static str,
}

impl Rules {
    /// Refuses values that break the rules with this target and message.
    pub(super) const fn refusing(
        name: &'static str,
        repeated: Repeated,
        target: &'static str,
        message: &'static str,
    ) -> Self {
        Self {
            name,
            repeated,
            violation: Some(Violation { target, message }),
        }
    }

    /// Takes every value, and the first of several.
    pub(super) const fn any(name: &'static str) -> Self {
        Self {
            name,
            repeated: Repeated::First,
            violation: None,
        }
    }

    pub(super) fn violated(&self) -> BadParameter {
        let Violation { target, message } = self.violation.unwrap_or(Violation {
            target: "Request",
            message: "Invalid parameter.",
        });
        BadParameter {
            target,
            message: message.into(),
        }
    }
}

/// What becomes of a parameter that is given more than once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeated {
    /// The first value counts.
    First,
    /// The call is refused.
    Refuse,
}

/// A word that is not one of the known ones.
#[derive(Debug)]
pub(crate) struct UnknownValue;
