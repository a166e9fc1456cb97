//! Sends requests to handlers, over HTTP or to a service in this process, and tries again where that may help.

use std::error::Error;
use std::panic::AssertUnwindSafe;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use axum::body::Body;
use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{HeaderValue, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tower::ServiceExt as _;

use super::answer::Answer;
use super::interception::Interception;
use super::request::Unsendable;
use super::settings::{HandlerService, Target};
use crate::clock::Clock;

/// The largest answer that is read.
pub(super) const ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// Pauses before the second, third and fourth try.
const PAUSES: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(5),
];

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoAnswer {
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    #[error("it did not answer within {} s", .0.as_secs_f32())]
    TimedOut(Duration),
    #[error("its answer is longer than 16 MiB")]
    TooLarge,
    #[error("its answer broke off")]
    BrokenOff,
    #[error(transparent)]
    Unsendable(#[from] Unsendable),
}

/// The HTTP clients, made when they are first needed. They call handlers directly, without a proxy, follow no redirects
/// and ask for no compression.
pub(super) struct Client {
    clock: Clock,
    /// For `http`. Knows no certificates, so that a machine without any can use it.
    plain: OnceLock<Result<reqwest::Client, String>>,
    secure: OnceLock<Result<reqwest::Client, String>>,
}

/// Whether a request is sent again when that may help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tries {
    One,
    Several,
}

impl Client {
    pub(super) const fn new(clock: Clock) -> Self {
        Self {
            clock,
            plain: OnceLock::new(),
            secure: OnceLock::new(),
        }
    }

    /// Sends a request until it is answered: again after 1, 3 and 5 s when the handler cannot be reached or answers with
    /// 408 or 5xx. Sets no time limit itself. Each try may be intercepted.
    pub(super) async fn send(
        &self,
        target: &Target,
        request: &Request<Bytes>,
        tries: Tries,
        interception: Option<Interception<'_>>,
    ) -> Result<Response<Body>, NoAnswer> {
        let pauses = match tries {
            Tries::One => &PAUSES[..0],
            Tries::Several => &PAUSES,
        };
        for pause in pauses {
            let answer = self.try_once(target, request, interception).await;
            match &answer {
                Ok(response) if !is_transient(response.status()) => return answer,
                Ok(response) => {
                    let status = response.status();
                    tracing::debug!(handler = ?target, %status, ?pause, "trying again");
                }
                Err(error) => tracing::debug!(handler = ?target, %error, ?pause, "trying again"),
            }
            // Gives the connection back before the pause.
            drop(answer);
            self.clock.sleep_until(self.clock.now().mono + *pause).await;
        }
        self.try_once(target, request, interception).await
    }

    async fn try_once(
        &self,
        target: &Target,
        request: &Request<Bytes>,
        interception: Option<Interception<'_>>,
    ) -> Result<Response<Body>, NoAnswer> {
        if let Some(interception) = interception
            && let Some(answer) = interception.answer().await
        {
            return answer;
        }
        let request = request.clone();
        match target {
            Target::Url(_) => self.over_http(request).await,
            Target::Service { service, .. } => in_process(service.clone(), request).await,
        }
        .map_err(NoAnswer::Unreachable)
    }

    async fn over_http(&self, request: Request<Bytes>) -> Result<Response<Body>, String> {
        let client = match request.uri().scheme_str() {
            Some("https") => self
                .secure
                .get_or_init(|| build(reqwest::Client::builder())),
            _ => self
                .plain
                .get_or_init(|| build(reqwest::Client::builder().tls_certs_only([]))),
        };
        let client = client.as_ref().map_err(Clone::clone)?;
        let request = reqwest::Request::try_from(request).map_err(describe)?;
        let response = client.execute(request).await.map_err(describe)?;
        Ok(Response::from(response).map(Body::new))
    }

    /// Reads an answer to its end.
    pub(super) async fn read(
        &self,
        response: Response<Body>,
        within: Duration,
    ) -> Result<Answer, NoAnswer> {
        let (head, body) = response.into_parts();
        let reading = Limited::new(body, ANSWER_BYTES).collect();
        let deadline = self.clock.now().mono + within;
        let body = self.before(deadline, reading).await;
        match body.ok_or(NoAnswer::TimedOut(within))? {
            Ok(body) => Ok(Answer {
                status: head.status,
                headers: head.headers,
                body: body.to_bytes(),
            }),
            Err(error) if error.is::<LengthLimitError>() => Err(NoAnswer::TooLarge),
            Err(_) => Err(NoAnswer::BrokenOff),
        }
    }

    /// Runs `work` until the deadline; `None` when it was not done by then.
    pub(super) async fn before<F: Future>(&self, deadline: Instant, work: F) -> Option<F::Output> {
        tokio::select! {
            biased;
            done = work => Some(done),
            () = self.clock.sleep_until(deadline) => None,
        }
    }
}

fn build(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, String> {
    builder
        .http1_only()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .no_gzip()
        .no_deflate()
        .no_brotli()
        .no_zstd()
        .build()
        .map_err(describe)
}

/// The causes as one line, without the URL, whose query may hold a key.
fn describe(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Calls a service as a server would: with a path, and the host in a header. A panic counts as a failure.
async fn in_process(
    service: HandlerService,
    request: Request<Bytes>,
) -> Result<Response<Body>, String> {
    let mut request = request.map(Body::from);
    if let Some(authority) = request.uri().authority()
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        request.headers_mut().insert(header::HOST, host);
    }
    if let Some(path) = request.uri().path_and_query() {
        *request.uri_mut() = Uri::from(path.clone());
    }
    match AssertUnwindSafe(service.oneshot(request))
        .catch_unwind()
        .await
    {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(never)) => match never {},
        Err(_) => Err("it panicked".to_owned()),
    }
}

/// Whether the same request may get another answer a moment later.
fn is_transient(status: StatusCode) -> bool {
    status == StatusCode::REQUEST_TIMEOUT || status.is_server_error()
}
