//! The emulator's side: one table of operations and one of parameters. What a row means is written by hand, in the
//! emulator's `rest/table.rs`.

use std::fmt::Write as _;

use super::{
    doc,
    model::{Api, Choice, Kind, Location, Operation, Parameter, Violation},
    table,
};

/// `rest/generated.rs`.
pub(crate) fn operations(api: &Api) -> String {
    let parameters = table::distinct(api, row);
    let mut code = String::from(
        "//! The REST operations: what they are called, where they are, and which parameters they have.\n\n\
         use super::table::{Parameter, Repeated, Rules, choice, operations};\n",
    );
    for path in types(api) {
        let _ = writeln!(code, "use {path};");
    }
    let _ = write!(
        code,
        "\n\
         /// The versions of the API that are accepted, oldest first.\n\
         pub(crate) const API_VERSIONS: &[&str] = &{versions:?};\n\n\
         /// The same, as the header `api-supported-versions` has them.\n\
         pub(crate) const SUPPORTED_VERSIONS: &str = {joined:?};\n\n\
         /// The version that links to further pages carry.\n\
         pub(crate) const NEWEST_VERSION: &str = {newest:?};\n\n\
         operations! {{\n",
        versions = api.versions,
        joined = api.versions.join(", "),
        newest = api.version,
    );
    for operation in &api.operations {
        write_operation(&mut code, operation, &parameters);
    }
    code.push_str("}\n\n");
    for (name, parameter) in parameters.named() {
        let _ = writeln!(
            code,
            "/// {}\npub(super) const {name}: Parameter<{}> = {};\n",
            parameter.description,
            field_type(parameter),
            row(parameter)
        );
    }
    for choice in choices(api) {
        write_choice(&mut code, choice);
    }
    code
}

fn write_operation(code: &mut String, operation: &Operation, parameters: &table::Names<'_>) {
    let Operation {
        id,
        name,
        template,
        success,
        ..
    } = operation;
    let access = match operation.authenticated {
        true => "Token",
        false => "Anyone",
    };
    let method = operation.method.wire();
    let _ = writeln!(
        code,
        "    ///{}\n    {name} = {id:?}: {method} {template:?} => {success} {access} {{",
        doc(&operation.summary)
    );
    // Checked in this order: those of the path first.
    for parameter in operation.in_order().filter(|it| !it.is_version()) {
        let _ = writeln!(
            code,
            "        {}: {} = {},",
            parameter.field,
            field_type(parameter),
            parameters.of(parameter)
        );
    }
    code.push_str("    }\n");
}

/// A parameter as the emulator reads it.
fn row(parameter: &Parameter) -> String {
    let name = &parameter.wire;
    let rules = match &parameter.violation {
        Some(Violation { target, message }) => {
            let repeated = match parameter.refuse_repeated {
                true => "Refuse",
                false => "First",
            };
            format!("Rules::refusing({name:?}, Repeated::{repeated}, {target:?}, {message:?})")
        }
        None => format!("Rules::any({name:?})"),
    };
    let read = read(parameter);
    format!("Parameter {{\n    rules: {rules},\n    read: |input, rules| {read},\n}}")
}

fn read(parameter: &Parameter) -> String {
    if parameter.location == Location::Path {
        return "input.captured(rules)".to_owned();
    }
    let text = matches!(parameter.kind, Kind::Text { .. });
    match (parameter.list, text) {
        (true, true) => return "input.texts(rules)".to_owned(),
        (true, false) => return "input.list(rules)".to_owned(),
        (false, _) => {}
    }
    let read = match &parameter.kind {
        Kind::Version { .. } => "input.one_of(rules, API_VERSIONS)".to_owned(),
        Kind::Text { length: None } => "input.text(rules)".to_owned(),
        Kind::Text {
            length: Some((min, max)),
        } => format!("input.sized_text(rules, {min}..={max})"),
        Kind::Number { min, max, .. } => format!("input.number(rules, {min}..={max})"),
        Kind::Parsed { .. } | Kind::Choice(_) if parameter.required => {
            "input.required(rules)".to_owned()
        }
        Kind::Parsed { .. } | Kind::Choice(_) => "input.optional(rules)".to_owned(),
    };
    match field_default(parameter) {
        Some(default) => format!("Ok({read}?.unwrap_or({default}))"),
        None => read,
    }
}

fn field_type(parameter: &Parameter) -> String {
    let scalar = match &parameter.kind {
        Kind::Version { .. } => return "()".to_owned(),
        Kind::Parsed { rust_type, .. } => rust_type.rsplit("::").next().unwrap_or(rust_type),
        Kind::Text { .. } => "String",
        Kind::Number { .. } => "u32",
        Kind::Choice(choice) => choice.name.as_str(),
    };
    if parameter.list {
        format!("Vec<{scalar}>")
    } else if parameter.required || field_default(parameter).is_some() {
        scalar.to_owned()
    } else {
        format!("Option<{scalar}>")
    }
}

/// What a server takes when the parameter is absent.
fn field_default(parameter: &Parameter) -> Option<String> {
    match &parameter.kind {
        Kind::Number { default, .. } => Some((*default)?.to_string()),
        Kind::Choice(choice) => Some(format!("{}::{}", choice.name, variant(&choice.default))),
        Kind::Version { .. } | Kind::Parsed { .. } | Kind::Text { .. } => None,
    }
}

/// The types that values are parsed as.
fn types(api: &Api) -> Vec<&str> {
    let parsed = api
        .parameters()
        .filter_map(|parameter| match &parameter.kind {
            Kind::Parsed { rust_type, .. } => Some(rust_type.as_str()),
            _ => None,
        });
    let mut types: Vec<_> = parsed.collect();
    types.sort_unstable();
    types.dedup();
    types
}

fn choices(api: &Api) -> Vec<&Choice> {
    let mut choices: Vec<&Choice> = Vec::new();
    for parameter in api.parameters() {
        if let Kind::Choice(choice) = &parameter.kind
            && choices.iter().all(|known| known.name != choice.name)
        {
            choices.push(choice);
        }
    }
    choices
}

fn write_choice(code: &mut String, choice: &Choice) {
    let variants: Vec<_> = choice
        .values
        .iter()
        .map(|value| format!("{} = {value:?}", variant(value)))
        .collect();
    let _ = writeln!(
        code,
        "choice! {{\n    ///{}\n    {} {{ {} }}\n}}",
        doc(&choice.description),
        choice.name,
        variants.join(", ")
    );
}

/// `MQTT` is `Mqtt` in Rust.
fn variant(value: &str) -> String {
    let (first, rest) = value.split_at(1);
    if rest.chars().any(char::is_lowercase) {
        first.to_uppercase() + rest
    } else {
        first.to_uppercase() + &rest.to_lowercase()
    }
}
