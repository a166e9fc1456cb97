//! The conformance list: every operation with its parameters, as plain data for a test to iterate.

use std::fmt::Write as _;

use super::{
    model::{Api, Kind, Location, Parameter},
    table,
};

/// `tests/support/operations.rs` of the emulator.
pub(crate) fn list(api: &Api) -> String {
    let parameters = table::distinct(api, row);
    let mut code = HEAD.to_owned();
    let _ = writeln!(
        code,
        "\n/// All operations.\npub(crate) static OPERATIONS: [Operation; {}] = [",
        api.operations.len()
    );
    for operation in &api.operations {
        let given: Vec<&str> = operation
            .in_order()
            .map(|parameter| parameters.of(parameter))
            .collect();
        let _ = writeln!(
            code,
            "    Operation {{\n        id: {:?},\n        method: {:?}, path: {:?},\n        parameters: &[{}],\n        \
             success: {}, no: {:?}, statuses: &{:?}, content_types: &{:?}, authenticated: {},\n        \
             javascript: {:?}, python: {:?},\n    }},",
            operation.id,
            operation.method.wire(),
            operation.template,
            given.join(", "),
            operation.success,
            operation.no,
            operation.statuses,
            operation.content_types,
            operation.authenticated,
            operation.javascript,
            operation.python,
        );
    }
    code.push_str("];\n");
    for (name, parameter) in parameters.named() {
        let _ = writeln!(code, "\nconst {name}: Parameter = {};", row(parameter));
    }
    code
}

const HEAD: &str = "\
//! Every operation of the REST API as data: a test that iterates [`OPERATIONS`] covers all.

#![allow(dead_code, reason = \"tests read a part of it\")]

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
    /// The status that answers an existence check with \"no\".
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
";

fn row(parameter: &Parameter) -> String {
    let (valid, invalid) = samples(&parameter.kind);
    let invalid = match (invalid, &parameter.violation) {
        (Some(value), Some(violation)) => format!(
            "Some(Invalid {{ value: {value:?}, target: {:?}, message: {:?} }})",
            violation.target, violation.message
        ),
        _ => "None".to_owned(),
    };
    format!(
        "Parameter {{ name: {:?}, in_path: {}, required: {}, valid: {valid:?}, invalid: {invalid}, refuse_repeated: {} }}",
        parameter.wire,
        parameter.location == Location::Path,
        parameter.required,
        parameter.refuse_repeated,
    )
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
