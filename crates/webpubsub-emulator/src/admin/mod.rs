//! The admin API: looks into the emulator and directs it, over HTTP.
//!
//! `spec/admin.yaml` describes it. From it come the table of operations and the reading of their parameters
//! ([`generated`]); what an operation does is a function in [`operations`], without which the table does not compile.
//!
//! Every call passes the same checks, in this order: the origin of a page, the token, path and method, the parameters.

mod access;
mod answer;
#[rustfmt::skip]
mod generated;
mod operations;
mod table;

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use http::Request;
use http::request::Parts;

pub(crate) use access::{Access, InvalidToken};
use answer::{AdminError, Answer};
use generated::OPERATIONS;
use operations::Context;
use table::Input;

use crate::route::{self, Route};
use crate::service::Service;

/// The first segment of every path of the API.
pub(crate) const SEGMENT: &str = "_emulator";

/// Answers a request whose path starts with [`SEGMENT`].
pub(crate) async fn handle(service: &Arc<Service>, request: Request<Body>) -> Response {
    let (head, body) = request.into_parts();
    match answer(service, &head, body).await {
        Ok(response) => response,
        Err(error) => {
            let (method, path) = (&head.method, head.uri.path());
            let status = error.status().as_u16();
            tracing::debug!(%method, path, status, "{}", error.message());
            error.into_response()
        }
    }
}

async fn answer(service: &Arc<Service>, head: &Parts, body: Body) -> Result<Response, AdminError> {
    let Some(access) = service.settings().admin.as_ref() else {
        return Err(AdminError::off());
    };
    access.check(&head.headers)?;
    let (operation, captures) = match route::route(OPERATIONS, &head.method, head.uri.path()) {
        Route::Found(operation, captures) => (operation, captures),
        Route::WrongMethod(allow) => return Err(AdminError::unknown_method(allow)),
        Route::NotFound => return Err(AdminError::unknown_path()),
    };
    let input = Input::new(&captures, head.uri.query());
    let context = Context {
        service,
        watch: head.extensions.get().cloned(),
    };
    let answer: Answer = generated::run(operation.id, &context, &input, body).await?;
    Ok(answer.into_response(operation.success))
}
