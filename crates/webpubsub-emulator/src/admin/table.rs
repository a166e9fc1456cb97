//! What the rows of the [generated table](super::generated) are, and how the parameters of a call are read.

use std::borrow::Cow;
use std::fmt::Display;
use std::str::FromStr;

use axum::body::Body;
use http::Method;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use url::form_urlencoded;

use super::answer::AdminError;
use super::generated::OperationId;
use crate::route::{Captures, Routed};

/// The largest body of a request.
const BODY_BYTES: usize = 64 * 1024 * 1024;

/// Makes the table of operations, a struct of the parameters of each, and the call of the function that carries it out.
macro_rules! operations {
    ($(
        $(#[doc = $doc:literal])*
        $name:ident($function:ident $(, $body:ident)?): $method:ident $path:literal => $success:literal {
            $($field:ident: $type:ty = $read:ident($wire:literal $(, $bound:literal)*),)*
        }
    )*) => {
        /// An operation of the admin API.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum OperationId {
            $($(#[doc = $doc])* $name,)*
        }

        pub(super) static OPERATIONS: &[$crate::admin::table::Operation] = &[
            $($crate::admin::table::Operation {
                id: OperationId::$name,
                method: http::Method::$method,
                path: $path,
                success: $success,
            },)*
        ];

        /// Reads the parameters of a call and carries it out.
        pub(super) async fn run(
            operation: OperationId,
            context: &$crate::admin::operations::Context<'_>,
            input: &$crate::admin::table::Input<'_>,
            body: axum::body::Body,
        ) -> Result<$crate::admin::answer::Answer, $crate::admin::answer::AdminError> {
            match operation {
                $(OperationId::$name => {
                    input.refuse_others(&[$($wire),*])?;
                    let parameters = $name { $($field: input.$read($wire $(, $bound)*)?,)* };
                    $crate::admin::operations::$function(
                        context,
                        parameters,
                        $($crate::admin::table::$body(body).await?,)?
                    )
                    .await
                })*
            }
        }

        $(
            #[doc = concat!("Parameters of `", stringify!($name), "`.")]
            #[derive(Debug)]
            pub(super) struct $name {
                $(pub(super) $field: $type,)*
            }
        )*
    };
}
pub(super) use operations;

/// A row of the table.
#[derive(Debug)]
pub(super) struct Operation {
    pub(super) id: OperationId,
    pub(super) method: Method,
    pub(super) path: &'static str,
    /// The status of the answer when it succeeds.
    pub(super) success: u16,
}

impl Routed for Operation {
    fn method(&self) -> &Method {
        &self.method
    }

    fn path(&self) -> &'static str {
        self.path
    }
}

/// The parameters of a call as they were sent.
#[derive(Debug)]
pub(super) struct Input<'a> {
    captures: &'a Captures<'a>,
    query: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Input<'a> {
    pub(super) fn new(captures: &'a Captures<'a>, query: Option<&'a str>) -> Self {
        let query = form_urlencoded::parse(query.unwrap_or_default().as_bytes()).collect();
        Self { captures, query }
    }

    /// Parameters that an operation does not have are mistakes, and so are those that are given twice.
    pub(super) fn refuse_others(&self, known: &[&str]) -> Result<(), AdminError> {
        for (index, (name, _)) in self.query.iter().enumerate() {
            if !known.contains(&&**name) {
                let known = match known {
                    [] => "it has none".to_owned(),
                    known => format!("it has {}", known.join(", ")),
                };
                let problem = format!("this operation has no such parameter; {known}");
                return Err(AdminError::bad_parameter(
                    name.clone().into_owned(),
                    &problem,
                ));
            }
            if self.query[..index]
                .iter()
                .any(|(earlier, _)| earlier == name)
            {
                let name = name.clone().into_owned();
                return Err(AdminError::bad_parameter(name, "given more than once"));
            }
        }
        Ok(())
    }

    /// A name in the path.
    pub(super) fn captured<T: FromStr<Err: Display>>(
        &self,
        name: &'static str,
    ) -> Result<T, AdminError> {
        let raw = self.captures.get(name);
        let text = percent_decode_str(raw)
            .decode_utf8()
            .map_err(|_| AdminError::bad_parameter(name, "this is no percent-encoded UTF-8"))?;
        parse(name, &text)
    }

    /// A value that may be absent. An empty one counts as absent.
    pub(super) fn optional<T: FromStr<Err: Display>>(
        &self,
        name: &'static str,
    ) -> Result<Option<T>, AdminError> {
        let text = self.text(name).filter(|text| !text.is_empty());
        text.map(|text| parse(name, text)).transpose()
    }

    /// `true` when it stands there alone.
    pub(super) fn flag(&self, name: &'static str) -> Result<bool, AdminError> {
        match self.text(name) {
            None | Some("false" | "0") => Ok(false),
            Some("" | "true" | "1") => Ok(true),
            Some(_) => Err(AdminError::bad_parameter(
                name,
                "expected `true` or `false`",
            )),
        }
    }

    /// A whole number in a range.
    pub(super) fn number(
        &self,
        name: &'static str,
        min: u64,
        max: u64,
    ) -> Result<Option<u64>, AdminError> {
        match self.optional(name)? {
            Some(number) if !(min..=max).contains(&number) => {
                let problem = format!("expected a number from {min} to {max}");
                Err(AdminError::bad_parameter(name, &problem))
            }
            number => Ok(number),
        }
    }

    /// Items separated by commas.
    pub(super) fn list(&self, name: &'static str) -> Result<Vec<String>, AdminError> {
        let items = self
            .text(name)
            .unwrap_or_default()
            .split(',')
            .map(str::trim);
        Ok(items
            .filter(|item| !item.is_empty())
            .map(str::to_owned)
            .collect())
    }

    fn text(&self, wanted: &str) -> Option<&str> {
        let mut query = self.query.iter();
        let (_, value) = query.find(|(name, _)| name == wanted)?;
        Some(value)
    }
}

fn parse<T: FromStr<Err: Display>>(name: &'static str, text: &str) -> Result<T, AdminError> {
    text.parse()
        .map_err(|error: T::Err| AdminError::bad_parameter(name, &error.to_string()))
}

/// Reads a body of JSON, whatever its content type says.
pub(super) async fn json<T: DeserializeOwned>(body: Body) -> Result<T, AdminError> {
    let body = match Limited::new(body, BODY_BYTES).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            return Err(AdminError::too_large(BODY_BYTES));
        }
        Err(_) => {
            return Err(AdminError::bad_request(
                "The body of the request broke off.",
            ));
        }
    };
    serde_json::from_slice(&body).map_err(|error| {
        // serde quotes names and the kinds of values; what stands in a body is no secret of the emulator's.
        AdminError::bad_request(format!("The body of the request cannot be read: {error}."))
    })
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::super::generated::OPERATIONS;
    use super::*;
    use crate::route::{Route, route};

    fn input(query: &str, check: impl FnOnce(&Input<'_>)) {
        let path = OPERATIONS[0].path;
        let Route::Found(_, captures) = route(OPERATIONS, &Method::GET, path) else {
            panic!("the first operation is not found")
        };
        check(&Input::new(&captures, Some(query)));
    }

    #[test]
    fn every_operation_has_its_route() {
        for operation in OPERATIONS {
            let path = operation.path.replace(['{', '}'], "");
            match route(OPERATIONS, &operation.method, &path) {
                Route::Found(found, _) => assert_eq!(found.id, operation.id),
                other => panic!("{path}: {other:?}"),
            }
            assert!(path.starts_with("/_emulator/"), "{path}");
        }
    }

    #[test]
    fn mistakes_in_parameters_are_named() {
        let refused = |query: &str| {
            let mut message = None;
            input(query, |input| {
                message = input
                    .refuse_others(&["a", "b"])
                    .err()
                    .map(|error| error.message().to_owned());
            });
            message
        };
        assert_eq!(refused("a=1&b"), None);
        assert_eq!(
            refused("c=1").as_deref(),
            Some("`c`: this operation has no such parameter; it has a, b")
        );
        assert_eq!(
            refused("a=1&a=2").as_deref(),
            Some("`a`: given more than once")
        );
        input("a&b=maybe&n=x&e=&m=7&l=one,%20two,", |input| {
            assert!(input.flag("a").unwrap());
            assert!(!input.flag("absent").unwrap());
            assert!(input.flag("b").is_err());
            assert_eq!(input.number("m", 1, 7).unwrap(), Some(7));
            assert!(input.number("m", 1, 6).is_err());
            assert_eq!(input.list("l").unwrap(), ["one", "two"]);
            assert!(input.optional::<u8>("n").is_err());
            assert_eq!(input.optional::<u8>("e").unwrap(), None);
        });
    }
}
