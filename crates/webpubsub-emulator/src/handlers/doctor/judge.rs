//! What answers say about a handler. Without IO.

use http::StatusCode;
use webpubsub_protocol::cloud_event::header::WEBHOOK_ALLOWED_ORIGIN;
use webpubsub_protocol::cloud_event::{AllowedOrigin, allowed_origin};

use super::diagnosis::Code;
use crate::handlers::answer::{self, Answer, Unusable};
use crate::handlers::client::NoAnswer;

/// What came back for a request.
pub(super) type Heard = Result<Answer, NoAnswer>;

/// What one answer, or several together, come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Passed,
    /// Passed, and something is worth knowing.
    Noted(&'static str),
    Warning(Finding),
    Failed(Finding),
}

/// What is wrong and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) code: Code,
    pub(super) why: String,
    pub(super) fix: String,
}

fn failed(code: Code, why: impl Into<String>, fix: impl Into<String>) -> Verdict {
    Verdict::Failed(Finding {
        code,
        why: why.into(),
        fix: fix.into(),
    })
}

/// The request before the first event, seen together with the answer to `connect`: that tells a path that does not exist
/// from one that only knows no preflight.
pub(super) fn preflight(asked: &Heard, connect: Option<&Heard>, origin: &str) -> Verdict {
    let answer = match asked {
        Ok(answer) => answer,
        Err(error) => return no_answer(error),
    };
    let status = answer.status;
    if status.is_redirection() {
        return redirect(status);
    }
    let respond = format!(
        "answer OPTIONS with 200 and the header `WebHook-Allowed-Origin: *` (or `{origin}`); libraries for event handlers do \
         so when OPTIONS is routed to them"
    );
    if status == StatusCode::NOT_FOUND && connect.is_none_or(is_not_found) {
        return failed(
            Code::Path,
            "there is nothing at this path: 404 for OPTIONS, GET and POST",
            "compare the path with the one that the handler serves, including prefixes of routers, and whether `{event}` \
             stands where the handler expects it",
        );
    }
    if !status.is_success() {
        let why = format!(
            "the service sends events only after a 2xx for OPTIONS, and the handler answered {status} (Azure logs \
             AbuseProtectionResponseInvalidStatusCode)"
        );
        return failed(Code::Preflight, why, respond);
    }
    let lines = answer.headers.get_all(WEBHOOK_ALLOWED_ORIGIN).iter();
    let lines: Vec<&str> = lines.filter_map(|line| line.to_str().ok()).collect();
    match allowed_origin(lines.iter().copied(), origin) {
        AllowedOrigin::Yes => Verdict::Passed,
        AllowedOrigin::InList => failed(
            Code::Preflight,
            "`WebHook-Allowed-Origin` holds a list, which Azure does not split at commas (it logs \
             AbuseProtectionResponseMissingAllowedOrigin)",
            "send one header line for each origin, or only the one that asks",
        ),
        AllowedOrigin::No if lines.is_empty() => failed(
            Code::Preflight,
            "the answer has no `WebHook-Allowed-Origin` (Azure logs AbuseProtectionResponseMissingAllowedOrigin)",
            respond,
        ),
        AllowedOrigin::No => {
            let why = format!(
                "`WebHook-Allowed-Origin` is `{}`, which is neither `*` nor `{origin}` (Azure logs \
                 AbuseProtectionResponseMissingAllowedOrigin)",
                lines.join("`, `")
            );
            let fix = format!(
                "allow the host of your service; to play it, give its name with `--origin` (now `{origin}`)"
            );
            failed(Code::Preflight, why, fix)
        }
    }
}

/// The answer to `connect`, seen together with the answer to `connected` when the client was refused: that tells a wrong
/// key from a decision of the handler.
pub(super) fn connect(
    heard: &Heard,
    connected: Option<&Heard>,
    preflight_passed: bool,
    offered: &str,
) -> Verdict {
    let answer = match heard {
        Ok(answer) => answer,
        Err(error) => return no_answer(error),
    };
    match answer.status {
        StatusCode::NOT_FOUND if preflight_passed => failed(
            Code::Hub,
            "the path exists, but its handler does not take events of this hub",
            "give the hub that the handler is made for with `--hub`; if it is this one, check that the route takes any \
             `{event}`, not only `validate`",
        ),
        StatusCode::NOT_FOUND => failed(
            Code::Path,
            "there is nothing for POST at this path",
            "route POST and OPTIONS of the path to the handler",
        ),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => match connected {
            Some(Ok(answer)) if answer.status.is_success() => Verdict::Noted(
                "the handler refuses this client, as it may; the signature is fine, since it takes `connected`",
            ),
            _ => failed(
                Code::Signature,
                "the signature was right for the key of this command, and the handler refused it",
                "let both have the same key: `--key` or `--connection-string` here, the connection string of the resource \
                 (or of the emulator) there",
            ),
        },
        _ => match answer::connect(answer) {
            Err(error) => unusable(error),
            Ok(accepted) => match accepted.subprotocol {
                Some(chosen) if !chosen.eq_ignore_ascii_case(offered) => failed(
                    Code::Reply,
                    format!("it chose the subprotocol `{chosen}`, which the client did not offer"),
                    "choose one of `subprotocols` in the request, or leave it out",
                ),
                _ => state(answer),
            },
        },
    }
}

/// The answer to an event that is only told.
pub(super) fn notification(heard: &Heard) -> Verdict {
    match heard {
        Err(error) => no_answer(error),
        Ok(answer) if answer.status.is_success() => Verdict::Passed,
        Ok(answer) if answer.status.is_redirection() => redirect(answer.status),
        Ok(answer) => status(answer.status),
    }
}

/// The answer to a user event.
pub(super) fn user_event(heard: &Heard) -> Verdict {
    let answer = match heard {
        Ok(answer) => answer,
        Err(error) => return no_answer(error),
    };
    let copy = Answer {
        status: answer.status,
        headers: answer.headers.clone(),
        body: answer.body.clone(),
    };
    match answer::user_event(copy) {
        Ok(_) => state(answer),
        Err(error) => unusable(error),
    }
}

/// The answer to an event whose signature is wrong.
pub(super) fn wrong_signature(heard: &Heard, strict: bool) -> Verdict {
    let answer = match heard {
        Ok(answer) => answer,
        Err(error) => return no_answer(error),
    };
    if answer.status.is_server_error() {
        return status(answer.status);
    }
    if !answer.status.is_success() {
        return Verdict::Passed;
    }
    let finding = |code| {
        Finding {
        code,
        why: "the event was signed with another key, and the handler accepted it: whoever reaches the URL can pretend to \
              be the service"
            .to_owned(),
        fix: "compare `ce-signature` with the HMAC-SHA256 of `ce-connectionId` under your access keys, and answer 401 when \
              none matches; the official library for \
              express leaves this check to you"
            .to_owned(),
    }
    };
    match strict {
        true => Verdict::Failed(finding(Code::Signature)),
        false => Verdict::Warning(finding(Code::SignatureUnchecked)),
    }
}

/// The answer to an event of a hub that the handler is not made for.
pub(super) fn other_hub(heard: &Heard) -> Verdict {
    match heard {
        Err(error) => no_answer(error),
        Ok(answer) if answer.status.is_success() => {
            Verdict::Noted("it takes events of other hubs as well")
        }
        Ok(answer) if answer.status.is_server_error() => status(answer.status),
        Ok(_) => Verdict::Passed,
    }
}

fn is_not_found(heard: &Heard) -> bool {
    heard
        .as_ref()
        .is_ok_and(|answer| answer.status == StatusCode::NOT_FOUND)
}

fn no_answer(error: &NoAnswer) -> Verdict {
    match error {
        NoAnswer::Unreachable(cause) if is_about_tls(cause) => failed(
            Code::Tls,
            cause.clone(),
            "use a certificate that this machine trusts and that names the host, or `http` when the handler speaks plain \
             http",
        ),
        NoAnswer::Unreachable(cause) => failed(
            Code::Unreachable,
            cause.clone(),
            "start the handler, compare host and port with the address that it listens on, and `http` with `https`; in \
             a container, `localhost` is the container itself",
        ),
        NoAnswer::TimedOut(_) => failed(
            Code::Timeout,
            error.to_string(),
            "look for what the handler waits for, and answer before long work; `--timeout` sets the limit of this command",
        ),
        NoAnswer::TooLarge => failed(Code::Reply, error.to_string(), "answer with less"),
        NoAnswer::BrokenOff => failed(
            Code::Reply,
            error.to_string(),
            "look into the handler's log for a crash while it answered",
        ),
        NoAnswer::Unsendable(_) => failed(
            Code::Url,
            error.to_string(),
            "use a shorter URL, and the ASCII form of host names",
        ),
    }
}

/// The HTTP client tells causes as text only.
fn is_about_tls(cause: &str) -> bool {
    let cause = cause.to_ascii_lowercase();
    // The words of rustls and of the verifiers behind it.
    ["certificate", "tls", "fatal alert", "corrupt message"]
        .iter()
        .any(|word| cause.contains(word))
}

fn redirect(status: StatusCode) -> Verdict {
    failed(
        Code::Redirect,
        format!("the handler answered {status}, and the service does not follow redirects"),
        "give the URL that the redirect leads to: mind `https`, slashes at the end, and pages for signing in",
    )
}

fn status(status: StatusCode) -> Verdict {
    let fix = match status {
        status if status.is_server_error() => "look into the handler's log: it failed inside",
        _ => {
            "look into the handler's log; when it only takes other user events, name one of them with `--event`"
        }
    };
    failed(
        Code::Status,
        format!(
            "the handler answered {status}, so the event counts as failed (Azure logs HttpHandlerUnexpectedResponse)"
        ),
        fix,
    )
}

fn unusable(error: Unusable) -> Verdict {
    match error {
        Unusable::Redirect(code) => redirect(code),
        Unusable::Status(code) => status(code),
        Unusable::ContentType(_) | Unusable::Body(_) => failed(
            Code::Reply,
            error.to_string(),
            "let the Content-Type say what the body is: text/plain, application/json or application/octet-stream",
        ),
        error => failed(
            Code::Reply,
            error.to_string(),
            "answer as the documentation of CloudEvents for Web PubSub says, or with an empty body",
        ),
    }
}

/// The state that an answer leaves is sent back with each later event, so it has to fit into a header.
fn state(answer: &Answer) -> Verdict {
    match answer::state(&answer.headers) {
        Some(state) if !state.as_bytes().is_ascii() => failed(
            Code::Reply,
            "its header `ce-connectionState` is not ASCII, so no later event of the connection could be sent",
            "encode the state, as the libraries do with base64 of JSON",
        ),
        _ => Verdict::Passed,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn code_of(verdict: Verdict) -> Option<Code> {
        match verdict {
            Verdict::Failed(finding) | Verdict::Warning(finding) => Some(finding.code),
            Verdict::Passed | Verdict::Noted(_) => None,
        }
    }

    #[test]
    fn silence_has_several_causes() {
        let unreachable = |cause: &str| NoAnswer::Unreachable(cause.to_owned());
        for (error, expected) in [
            (
                unreachable("client error (Connect): tcp connect error: Connection refused"),
                Code::Unreachable,
            ),
            (
                unreachable("client error (Connect): dns error: failed to lookup address"),
                Code::Unreachable,
            ),
            (
                unreachable("client error (Connect): invalid peer certificate: UnknownIssuer"),
                Code::Tls,
            ),
            (
                unreachable(
                    "client error (Connect): received corrupt message of type InvalidContentType",
                ),
                Code::Tls,
            ),
            (
                unreachable("client error (Connect): received fatal alert: HandshakeFailure"),
                Code::Tls,
            ),
            (NoAnswer::TimedOut(Duration::from_secs(1)), Code::Timeout),
            (NoAnswer::TooLarge, Code::Reply),
            (NoAnswer::BrokenOff, Code::Reply),
        ] {
            assert_eq!(code_of(no_answer(&error)), Some(expected), "{error}");
            assert_eq!(code_of(notification(&Err(error))), Some(expected));
        }
    }

    #[test]
    fn a_refused_client_may_mean_two_things() {
        let answer = |status: u16| {
            Ok(Answer {
                status: StatusCode::from_u16(status).unwrap(),
                headers: http::HeaderMap::new(),
                body: bytes::Bytes::new(),
            })
        };
        let judged = |connected: Option<Heard>| {
            code_of(connect(&answer(401), connected.as_ref(), true, "p"))
        };
        assert_eq!(judged(Some(answer(200))), None);
        assert_eq!(judged(Some(answer(403))), Some(Code::Signature));
        assert_eq!(
            judged(Some(Err(NoAnswer::BrokenOff))),
            Some(Code::Signature)
        );
        assert_eq!(judged(None), Some(Code::Signature));
    }
}
