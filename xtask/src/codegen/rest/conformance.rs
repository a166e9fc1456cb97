//! The conformance list: every operation with its parameters, as plain data for a test to iterate.

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use super::model::{Api, Kind, Location, Operation, Parameter, Segment};

/// `tests/support/operations.rs` of the emulator.
pub(crate) fn list(api: &Api) -> TokenStream {
    let operations = api.operations.iter().map(operation);
    let count = Literal::usize_unsuffixed(api.operations.len());
    quote! {
        //! Every operation of the REST API as data: a test that iterates [`OPERATIONS`] covers all.

        #![allow(dead_code, reason = "each test binary reads a part of it")]

        /// An operation, with what the description promises of it.
        #[derive(Debug)]
        pub(crate) struct Operation {
            /// As the service calls it.
            pub(crate) id: &'static str,
            pub(crate) method: &'static str,
            /// The path with its parameters in braces.
            pub(crate) path: &'static str,
            pub(crate) parameters: &'static [Parameter],
            pub(crate) success: u16,
            /// The status that answers an existence check with "no".
            pub(crate) no: Option<u16>,
            /// All statuses that it may answer with, apart from faults of the service.
            pub(crate) statuses: &'static [u16],
            /// What the body may be; empty when there is none.
            pub(crate) content_types: &'static [&'static str],
            /// Whether it needs a token.
            pub(crate) authenticated: bool,
            /// What `@azure/web-pubsub` calls it, if it offers it.
            pub(crate) javascript: Option<&'static str>,
            /// What `azure-messaging-webpubsubservice` calls it, if it offers it.
            pub(crate) python: Option<&'static str>,
        }

        /// A parameter of an operation.
        #[derive(Debug)]
        pub(crate) struct Parameter {
            pub(crate) name: &'static str,
            /// In the path; otherwise in the query.
            pub(crate) in_path: bool,
            /// Clients must send it. Servers do without `api-version`.
            pub(crate) required: bool,
            /// A value that is fine.
            pub(crate) valid: &'static str,
            /// Where the rules can be broken: how, and what the answer is.
            pub(crate) invalid: Option<Invalid>,
            /// Given twice, the call is refused with the same answer.
            pub(crate) refuse_repeated: bool,
        }

        /// A value that breaks the rules, and the error that answers it.
        #[derive(Debug)]
        pub(crate) struct Invalid {
            /// Not yet percent-encoded.
            pub(crate) value: &'static str,
            pub(crate) target: &'static str,
            pub(crate) message: &'static str,
        }

        /// All operations.
        pub(crate) static OPERATIONS: [Operation; #count] = [#(#operations),*];
    }
}

fn operation(operation: &Operation) -> TokenStream {
    let Operation {
        id,
        template,
        authenticated,
        content_types,
        ..
    } = operation;
    let method = operation.method.wire();
    let in_path = operation.path.iter().filter_map(|segment| match segment {
        Segment::Capture(name) => {
            let is_it = |p: &&Parameter| p.location == Location::Path && p.wire == *name;
            operation.parameters.iter().find(is_it)
        }
        Segment::Literal(_) => None,
    });
    let in_query = operation
        .parameters
        .iter()
        .filter(|p| p.location == Location::Query);
    let parameters = in_path.chain(in_query).map(parameter);
    let success = Literal::u16_unsuffixed(operation.success);
    let no = match operation.no.map(Literal::u16_unsuffixed) {
        Some(no) => quote! { Some(#no) },
        None => quote! { None },
    };
    let javascript = option(operation.javascript.as_deref());
    let python = option(operation.python.as_deref());
    let statuses = operation
        .statuses
        .iter()
        .copied()
        .map(Literal::u16_unsuffixed);
    quote! {
        Operation {
            id: #id,
            method: #method,
            path: #template,
            parameters: &[#(#parameters),*],
            success: #success,
            no: #no,
            statuses: &[#(#statuses),*],
            content_types: &[#(#content_types),*],
            authenticated: #authenticated,
            javascript: #javascript,
            python: #python,
        }
    }
}

fn option(value: Option<&str>) -> TokenStream {
    match value {
        Some(value) => quote! { Some(#value) },
        None => quote! { None },
    }
}

fn parameter(parameter: &Parameter) -> TokenStream {
    let Parameter {
        wire,
        required,
        refuse_repeated,
        ..
    } = parameter;
    let in_path = parameter.location == Location::Path;
    let (valid, invalid) = samples(&parameter.kind);
    let invalid = match (invalid, &parameter.violation) {
        (Some(value), Some(violation)) => {
            let (target, message) = (&violation.target, &violation.message);
            quote! { Some(Invalid { value: #value, target: #target, message: #message }) }
        }
        _ => quote! { None },
    };
    quote! {
        Parameter {
            name: #wire,
            in_path: #in_path,
            required: #required,
            valid: #valid,
            invalid: #invalid,
            refuse_repeated: #refuse_repeated,
        }
    }
}

/// A value that is fine, and one that is not.
fn samples(kind: &Kind) -> (String, Option<String>) {
    match kind {
        Kind::Version { invalid } => ("2024-12-01".to_owned(), Some(invalid.clone())),
        Kind::Parsed { valid, invalid, .. } => (valid.clone(), Some(invalid.clone())),
        Kind::Text { length } => {
            let invalid = length.map(|(_, max)| "a".repeat(max + 1));
            ("a".to_owned(), invalid)
        }
        Kind::Number { min, max, .. } => (min.to_string(), Some((u64::from(*max) + 1).to_string())),
        Kind::Choice(choice) => (choice.values[0].clone(), Some(choice.invalid.clone())),
    }
}
