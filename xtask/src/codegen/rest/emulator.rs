//! The emulator's side: the route table, and a struct of parsed parameters for each operation.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Literal, TokenStream};
use quote::{format_ident, quote};

use super::{
    doc,
    model::{Api, Choice, Kind, Location, Operation, Parameter, Segment, Violation},
};

/// `rest/generated.rs`.
pub(crate) fn operations(api: &Api) -> TokenStream {
    let imports = imports(api);
    let ids = ids(api);
    let versions = versions(api);
    let routes = routes(api);
    let choices = choices(api);
    let parameters = api.operations.iter().map(parameters);
    let call = call(api);
    let parse = parse(api);
    quote! {
        //! The REST operations: routes, parameters, and the checks that come before the token.

        #imports
        #ids
        #versions
        #routes
        #call
        #parse
        #(#parameters)*
        #choices
    }
}

fn imports(api: &Api) -> TokenStream {
    let all = api
        .operations
        .iter()
        .flat_map(|operation| &operation.parameters);
    let types: BTreeSet<&str> = all
        .filter_map(|parameter| match &parameter.kind {
            Kind::Parsed { rust_type, .. } => Some(rust_type.as_str()),
            _ => None,
        })
        .collect();
    let types = types.into_iter().map(|path| {
        let path: TokenStream = path.parse().expect("a path is made of tokens");
        quote! { use #path; }
    });
    quote! {
        use std::str::FromStr;

        use http::Method;
        #(#types)*

        use super::params::{BadParameter, Input, Repeated, UnknownValue, Violation};
        use super::route::{Segment, Template};
    }
}

fn ids(api: &Api) -> TokenStream {
    let count = Literal::usize_unsuffixed(api.operations.len());
    let variants = api.operations.iter().map(|operation| {
        let name = format_ident!("{}", operation.name);
        let doc = doc(&operation.summary);
        quote! { #[doc = #doc] #name }
    });
    let infos = api.operations.iter().map(|operation| {
        let Operation {
            id,
            authenticated,
            template,
            ..
        } = operation;
        let variant = format_ident!("{}", operation.name);
        let method = format_ident!("{}", operation.method.wire());
        let success = Literal::u16_unsuffixed(operation.success);
        quote! {
            OperationInfo {
                name: #id,
                success: #success,
                authenticated: #authenticated,
                #[cfg(test)]
                route: (OperationId::#variant, Method::#method, #template),
            }
        }
    });
    quote! {
        /// An operation of the REST API.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub(crate) enum OperationId { #(#variants),* }

        /// What is fixed for an operation.
        #[derive(Debug)]
        pub(crate) struct OperationInfo {
            /// As the service calls it.
            pub(crate) name: &'static str,
            /// The status of the answer when it succeeds.
            pub(crate) success: u16,
            /// Whether it needs a token.
            pub(crate) authenticated: bool,
            /// How to reach it, for the tests of the route table.
            #[cfg(test)]
            pub(super) route: (OperationId, Method, &'static str),
        }

        /// All operations, in the order of [`OperationId`].
        pub(crate) static OPERATIONS: [OperationInfo; #count] = [#(#infos),*];

        impl OperationId {
            /// What is fixed for this operation.
            pub(crate) fn info(self) -> &'static OperationInfo {
                &OPERATIONS[self as usize]
            }
        }
    }
}

fn versions(api: &Api) -> TokenStream {
    let versions = &api.versions;
    let joined = versions.join(", ");
    let newest = &api.version;
    quote! {
        /// The versions of the API that are accepted, oldest first.
        pub(crate) const API_VERSIONS: &[&str] = &[#(#versions),*];

        /// The same, as the header `api-supported-versions` has them.
        pub(crate) const SUPPORTED_VERSIONS: &str = #joined;

        /// The version that links to further pages carry.
        pub(crate) const NEWEST_VERSION: &str = #newest;
    }
}

fn routes(api: &Api) -> TokenStream {
    let mut templates: Vec<(&str, Vec<&Operation>)> = Vec::new();
    for operation in &api.operations {
        match templates.last_mut() {
            Some((path, operations)) if *path == operation.template => operations.push(operation),
            _ => templates.push((&operation.template, vec![operation])),
        }
    }
    let captures = api
        .operations
        .iter()
        .map(|operation| operation.captures().count())
        .max();
    let captures = Literal::usize_unsuffixed(captures.unwrap_or_default());
    let count = Literal::usize_unsuffixed(templates.len());
    let templates = templates.into_iter().map(|(_, operations)| {
        let segments = operations[0].path.iter().map(|segment| match segment {
            Segment::Literal(text) => quote! { Segment::Literal(#text) },
            Segment::Capture(_) => quote! { Segment::Capture },
        });
        let mut methods: Vec<_> = operations.iter().map(|o| o.method.wire()).collect();
        methods.sort_unstable();
        let allow = methods.join(", ");
        let operations = operations.iter().map(|operation| {
            let method = format_ident!("{}", operation.method.wire());
            let name = format_ident!("{}", operation.name);
            quote! { (Method::#method, OperationId::#name) }
        });
        quote! {
            Template {
                segments: &[#(#segments),*],
                operations: &[#(#operations),*],
                allow: #allow,
            }
        }
    });
    quote! {
        /// The most parameters that a path has.
        pub(crate) const MAX_CAPTURES: usize = #captures;

        /// All paths. No two match the same request.
        pub(crate) static TEMPLATES: [Template; #count] = [#(#templates),*];
    }
}

fn call(api: &Api) -> TokenStream {
    let names: Vec<_> = api
        .operations
        .iter()
        .map(|o| format_ident!("{}", o.name))
        .collect();
    let described = api.operations.iter().map(|operation| {
        let name = format_ident!("{}", operation.name);
        let members = operation.given().map(|parameter| {
            let wire = &parameter.wire;
            let field = format_ident!("{}", parameter.field);
            let optional = !parameter.list && field_default(parameter).is_none();
            let value = match &parameter.kind {
                Kind::Number { .. } => quote! { call.#field },
                Kind::Choice(_) => quote! { format!("{:?}", call.#field).to_lowercase() },
                _ if parameter.list => {
                    quote! { call.#field.iter().map(ToString::to_string).collect::<Vec<_>>() }
                }
                _ if optional && !parameter.required => quote! { call.#field },
                _ => quote! { call.#field.to_string() },
            };
            quote! { #wire: #value }
        });
        let binding = if operation.given().next().is_some() {
            quote! { call }
        } else {
            quote! { _ }
        };
        quote! { Self::#name(#binding) => serde_json::json!({ #(#members),* }), }
    });
    quote! {
        /// A call: an operation with its parameters, all of them checked.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub(crate) enum Call { #(#names(#names)),* }

        #[cfg(test)]
        impl Call {
            /// The parameters by the names that they travel under, for the shared test vectors.
            pub(crate) fn describe(&self) -> serde_json::Value {
                match self { #(#described)* }
            }
        }
    }
}

fn parse(api: &Api) -> TokenStream {
    let names = api
        .operations
        .iter()
        .map(|operation| format_ident!("{}", operation.name));
    let version = api
        .operations
        .iter()
        .flat_map(|operation| &operation.parameters)
        .find(|parameter| matches!(parameter.kind, Kind::Version { .. }));
    let version = version.map(|parameter| {
        let wire = &parameter.wire;
        let violation = violation(parameter);
        let repeated = repeated(parameter);
        quote! { input.one_of(#wire, #repeated, #violation, API_VERSIONS)?; }
    });
    quote! {
        /// Checks the parameters of a call: the version first, then those in the path, then those
        /// in the query.
        pub(super) fn parse(
            operation: OperationId,
            input: &mut Input<'_>,
        ) -> Result<Call, BadParameter> {
            #version
            Ok(match operation {
                #(OperationId::#names => Call::#names(#names::parse(input)?),)*
            })
        }
    }
}

fn parameters(operation: &Operation) -> TokenStream {
    let name = format_ident!("{}", operation.name);
    let doc = format!(" Parameters of `{}`.", operation.id);
    let order: BTreeMap<&str, usize> = operation
        .captures()
        .enumerate()
        .map(|(index, name)| (name, index))
        .collect();
    let mut given: Vec<_> = operation.given().collect();
    given.sort_by_key(|parameter| match parameter.location {
        Location::Path => order[parameter.wire.as_str()],
        Location::Query => usize::MAX,
    });
    let fields = given.iter().map(|parameter| {
        let doc = format!(" {}", parameter.description);
        let field = format_ident!("{}", parameter.field);
        let ty = field_type(parameter);
        quote! { #[doc = #doc] pub(crate) #field: #ty }
    });
    let values = given.iter().map(|parameter| {
        let field = format_ident!("{}", parameter.field);
        let value = field_value(parameter, order.get(parameter.wire.as_str()).copied());
        quote! { #field: #value }
    });
    let input = if given.is_empty() {
        quote! { _ }
    } else {
        quote! { input }
    };
    quote! {
        #[doc = #doc]
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub(crate) struct #name { #(#fields),* }

        impl #name {
            fn parse(#input: &mut Input<'_>) -> Result<Self, BadParameter> {
                Ok(Self { #(#values),* })
            }
        }
    }
}

fn scalar_type(kind: &Kind) -> TokenStream {
    match kind {
        Kind::Parsed { rust_type, .. } => {
            let name = rust_type.rsplit("::").next().unwrap_or(rust_type);
            let name = format_ident!("{name}");
            quote! { #name }
        }
        Kind::Version { .. } | Kind::Text { .. } => quote! { String },
        Kind::Number { .. } => quote! { u32 },
        Kind::Choice(choice) => {
            let name = format_ident!("{}", choice.name);
            quote! { #name }
        }
    }
}

fn field_type(parameter: &Parameter) -> TokenStream {
    let scalar = scalar_type(&parameter.kind);
    if parameter.list {
        quote! { Vec<#scalar> }
    } else if parameter.required || field_default(parameter).is_some() {
        scalar
    } else {
        quote! { Option<#scalar> }
    }
}

/// What a server takes when the parameter is absent.
fn field_default(parameter: &Parameter) -> Option<TokenStream> {
    match &parameter.kind {
        Kind::Number { default, .. } => {
            let default = Literal::u32_unsuffixed((*default)?);
            Some(quote! { #default })
        }
        Kind::Choice(choice) => {
            let name = format_ident!("{}", choice.name);
            let variant = format_ident!("{}", variant(&choice.default));
            Some(quote! { #name::#variant })
        }
        Kind::Version { .. } | Kind::Parsed { .. } | Kind::Text { .. } => None,
    }
}

fn field_value(parameter: &Parameter, capture: Option<usize>) -> TokenStream {
    let wire = &parameter.wire;
    let violation = violation(parameter);
    if parameter.location == Location::Path {
        let index = Literal::usize_unsuffixed(capture.expect("the reader checked the captures"));
        return quote! { input.captured(#index, #wire, #violation)? };
    }
    let text = matches!(parameter.kind, Kind::Text { .. });
    match (parameter.list, text) {
        (true, true) => return quote! { input.texts(#wire)? },
        (true, false) => return quote! { input.list(#wire, #violation)? },
        (false, _) => {}
    }
    let repeated = repeated(parameter);
    let value = match &parameter.kind {
        Kind::Text { length: None } => quote! { input.text(#wire)? },
        Kind::Text {
            length: Some((min, max)),
        } => {
            let (min, max) = (
                Literal::usize_unsuffixed(*min),
                Literal::usize_unsuffixed(*max),
            );
            quote! { input.sized_text(#wire, #repeated, #violation, #min..=#max)? }
        }
        Kind::Number { min, max, .. } => {
            let (min, max) = (Literal::u32_unsuffixed(*min), Literal::u32_unsuffixed(*max));
            quote! { input.number(#wire, #repeated, #violation, #min..=#max)? }
        }
        _ if parameter.required => {
            return quote! { input.required(#wire, #repeated, #violation)? };
        }
        _ => quote! { input.optional(#wire, #repeated, #violation)? },
    };
    match field_default(parameter) {
        Some(default) => quote! { #value.unwrap_or(#default) },
        None => value,
    }
}

fn repeated(parameter: &Parameter) -> TokenStream {
    if parameter.refuse_repeated {
        quote! { Repeated::Refuse }
    } else {
        quote! { Repeated::First }
    }
}

/// Nothing when every value is fine.
fn violation(parameter: &Parameter) -> Option<TokenStream> {
    let Violation { target, message } = parameter.violation.as_ref()?;
    Some(quote! { Violation { target: #target, message: #message } })
}

fn choices(api: &Api) -> TokenStream {
    let all = api
        .operations
        .iter()
        .flat_map(|operation| &operation.parameters);
    let choices: BTreeMap<&str, &Choice> = all
        .filter_map(|parameter| match &parameter.kind {
            Kind::Choice(choice) => Some((choice.name.as_str(), choice)),
            _ => None,
        })
        .collect();
    choices.into_values().map(choice).collect()
}

fn choice(choice: &Choice) -> TokenStream {
    let doc = doc(&choice.description);
    let name = format_ident!("{}", choice.name);
    let variants: Vec<_> = choice
        .values
        .iter()
        .map(|value| format_ident!("{}", variant(value)))
        .collect();
    let values = &choice.values;
    let docs = values.iter().map(|value| format!(" `{value}`."));
    quote! {
        #[doc = #doc]
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum #name { #(#[doc = #docs] #variants),* }

        impl FromStr for #name {
            type Err = UnknownValue;

            fn from_str(text: &str) -> Result<Self, UnknownValue> {
                #(if text.eq_ignore_ascii_case(#values) { return Ok(Self::#variants); })*
                Err(UnknownValue)
            }
        }
    }
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
