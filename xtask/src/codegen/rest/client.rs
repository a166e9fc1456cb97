//! The client's side: a struct of borrowed parameters for each operation.

use proc_macro2::{Literal, TokenStream};
use quote::{format_ident, quote};

use super::{
    doc,
    model::{Api, Kind, Location, Method, Operation, Parameter, Segment},
};

/// `generated/mod.rs`.
pub(crate) fn module() -> TokenStream {
    quote! {
        //! Operations of the REST API.

        pub(crate) mod operations;
        #[cfg(test)]
        pub(crate) mod vectors;
    }
}

/// `generated/operations.rs`.
pub(crate) fn operations(api: &Api) -> TokenStream {
    let version = &api.version;
    let operations = api.operations.iter().map(operation);
    quote! {
        //! Operations of the REST API: what to call, how, and which answers are successes.

        use azure_core::http::Method;

        use crate::operation::{Operation, Target};

        /// The version of the REST API that these operations are of.
        pub(crate) const API_VERSION: &str = #version;

        #(#operations)*
    }
}

/// `generated/vectors.rs`: makes any operation from JSON, for the shared test vectors.
pub(crate) fn vectors(api: &Api) -> TokenStream {
    let arms = api.operations.iter().map(|operation| {
        let id = &operation.id;
        let name = format_ident!("{}", operation.name);
        let fields = operation.given().map(|parameter| {
            let field = format_ident!("{}", parameter.field);
            let wire = &parameter.wire;
            let value = match (parameter.list, parameter.required, &parameter.kind) {
                (true, _, _) => quote! { &given.texts(#wire) },
                (false, true, _) => quote! { given.text(#wire).unwrap_or_default() },
                (false, false, Kind::Number { .. }) => quote! { given.number(#wire) },
                (false, false, _) => quote! { given.text(#wire) },
            };
            quote! { #field: #value }
        });
        quote! { #id => #name { #(#fields),* }.target(API_VERSION), }
    });
    quote! {
        //! The target of any operation, for parameters given as JSON.

        use super::operations::*;
        use crate::operation::{Operation as _, tests::Given};

        /// The path and query for the operation of this id.
        pub(crate) fn target(id: &str, given: &Given) -> azure_core::Result<String> {
            match id {
                #(#arms)*
                other => panic!("no operation {other}"),
            }
        }
    }
}

fn operation(operation: &Operation) -> TokenStream {
    let name = format_ident!("{}", operation.name);
    let doc = doc(&operation.summary);
    let borrows = operation.given().any(borrows);
    let lifetime = borrows.then(|| quote! { <'a> });
    let elided = borrows.then(|| quote! { <'_> });
    let fields = operation.given().map(field);
    let method = match operation.method {
        Method::Delete => quote! { Delete },
        Method::Get => quote! { Get },
        Method::Head => quote! { Head },
        Method::Post => quote! { Post },
        Method::Put => quote! { Put },
    };
    let success = [Some(operation.success), operation.no];
    let success = success.into_iter().flatten().map(Literal::u16_unsuffixed);
    let accept = match &operation.accept {
        Some(types) => quote! { Some(#types) },
        None => quote! { None },
    };
    let writes = path(operation).chain(operation.parameters.iter().filter_map(query));
    quote! {
        #[doc = #doc]
        #[derive(Debug, Clone, Copy)]
        pub(crate) struct #name #lifetime {
            #(#fields),*
        }

        impl Operation for #name #elided {
            const METHOD: Method = Method::#method;
            const SUCCESS: &'static [u16] = &[#(#success),*];
            const ACCEPT: Option<&'static str> = #accept;

            fn write_target(&self, target: &mut Target) -> azure_core::Result<()> {
                #(#writes)*
                Ok(())
            }
        }
    }
}

fn borrows(parameter: &Parameter) -> bool {
    parameter.list || !matches!(parameter.kind, Kind::Number { .. })
}

fn field(parameter: &Parameter) -> TokenStream {
    let doc = format!(" {}", parameter.description);
    let name = format_ident!("{}", parameter.field);
    let scalar = match parameter.kind {
        Kind::Number { .. } => quote! { u32 },
        _ => quote! { &'a str },
    };
    let ty = match (parameter.list, parameter.required) {
        (true, _) => quote! { &'a [String] },
        (false, true) => scalar,
        (false, false) => quote! { Option<#scalar> },
    };
    quote! {
        #[doc = #doc]
        pub(crate) #name: #ty
    }
}

/// Writes the path: runs of literal text, and captures between them.
fn path(operation: &Operation) -> impl Iterator<Item = TokenStream> {
    let mut writes = Vec::new();
    let mut literal = String::new();
    for segment in &operation.path {
        literal.push('/');
        match segment {
            Segment::Literal(text) => literal.push_str(text),
            Segment::Capture(wire) => {
                let text = std::mem::take(&mut literal);
                writes.push(quote! { target.literal(#text); });
                let parameter = operation.parameters.iter().find(|parameter| {
                    parameter.location == Location::Path && parameter.wire == *wire
                });
                let field = parameter
                    .expect("the reader checked the captures")
                    .field
                    .as_str();
                let field = format_ident!("{field}");
                writes.push(quote! { target.segment(#wire, self.#field)?; });
            }
        }
    }
    if !literal.is_empty() {
        writes.push(quote! { target.literal(#literal); });
    }
    writes.into_iter()
}

/// Writes a query parameter, if it is one.
fn query(parameter: &Parameter) -> Option<TokenStream> {
    if parameter.location == Location::Path {
        return None;
    }
    let wire = &parameter.wire;
    let field = format_ident!("{}", parameter.field);
    if parameter.list {
        return Some(quote! { target.list(#wire, self.#field); });
    }
    let (write, default) = match &parameter.kind {
        Kind::Version { .. } => return Some(quote! { target.api_version(); }),
        Kind::Number { default, .. } => {
            let default = default.map(Literal::u32_unsuffixed);
            (
                quote! { number },
                default.map(|default| quote! { #default }),
            )
        }
        Kind::Parsed { .. } | Kind::Text { .. } | Kind::Choice(_) => (quote! { text }, None),
    };
    let value = match (
        parameter.required,
        default.filter(|_| parameter.always_sent),
    ) {
        (true, _) => quote! { Some(self.#field) },
        (false, Some(default)) => quote! { Some(self.#field.unwrap_or(#default)) },
        (false, None) => quote! { self.#field },
    };
    Some(quote! { target.#write(#wire, #value); })
}
