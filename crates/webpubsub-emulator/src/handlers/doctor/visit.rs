//! The order in which a handler is examined, and what makes a check pointless.

use bytes::Bytes;
use http::StatusCode;
use webpubsub_protocol::access::AccessKey;
use webpubsub_protocol::cloud_event::{ConnectData, DisconnectedData, EventType};
use webpubsub_protocol::name::HubName;
use webpubsub_protocol::payload::Payload;

use super::Doctor;
use super::diagnosis::{Check, Code, Status};
use super::judge::{self, Finding, Verdict};
use super::subject::{Exchange, SUBPROTOCOL, Subject};
use crate::handlers::request::Event;

/// The checks, in their order.
const CHECKS: [&str; 8] = [
    "preflight",
    "connect",
    "connected",
    "user event with text",
    "user event with JSON",
    "disconnected",
    "wrong signature",
    "other hub",
];

/// The list as far as it is filled in.
#[derive(Default)]
pub(super) struct Checklist {
    pub(super) checks: Vec<Check>,
}

impl Checklist {
    pub(super) fn push(&mut self, verdict: Verdict, exchange: Option<&Exchange>) {
        let Some(&name) = CHECKS.get(self.checks.len()) else {
            return;
        };
        let (status, note, finding) = match verdict {
            Verdict::Passed => (Status::Passed, None, None),
            Verdict::Noted(note) => (Status::Passed, Some(note.to_owned()), None),
            Verdict::Warning(finding) => (Status::Warning, None, Some(finding)),
            Verdict::Failed(finding) => (Status::Failed, None, Some(finding)),
        };
        let (code, why, fix) = match finding {
            Some(Finding { code, why, fix }) => (Some(code), Some(why), Some(fix)),
            None => (None, note, None),
        };
        self.checks.push(Check {
            name,
            status,
            code,
            sent: exchange.map(|exchange| exchange.sent.clone()),
            received: exchange.map(|exchange| exchange.received.clone()),
            why,
            fix,
        });
    }

    fn skip(&mut self, reason: &str) {
        if let Some(&name) = CHECKS.get(self.checks.len()) {
            self.checks.push(Check {
                name,
                status: Status::Skipped,
                code: None,
                sent: None,
                received: None,
                why: Some(reason.to_owned()),
                fix: None,
            });
        }
    }

    pub(super) fn skip_rest(&mut self, reason: &str) {
        while self.checks.len() < CHECKS.len() {
            self.skip(reason);
        }
    }

    fn last_failed_with(&self) -> Option<Code> {
        let last = self.checks.last()?;
        last.code.filter(|_| last.status == Status::Failed)
    }
}

impl Subject {
    /// Goes through the checks; an error is the reason to skip those that are left.
    pub(super) async fn examine(
        &mut self,
        doctor: &Doctor,
        list: &mut Checklist,
    ) -> Result<(), String> {
        let asked = self.ask().await;
        // A redirect or silence is the same for events; for everything else `connect` tells more.
        let is_hopeless = match &asked.heard {
            Ok(answer) => answer.status.is_redirection(),
            Err(_) => true,
        };
        let connect = match is_hopeless {
            true => None,
            false => Some(self.send_event(EventType::Connect, connect_body()).await),
        };
        let heard = connect.as_ref().map(|connect| &connect.heard);
        let verdict = judge::preflight(&asked.heard, heard, &doctor.origin);
        let preflight_passed = verdict == Verdict::Passed;
        list.push(verdict, Some(&asked));
        let Some(connect) = connect else {
            return Err("the preflight shows that no event would arrive".to_owned());
        };
        if list.last_failed_with() == Some(Code::Path) {
            return Err("there is no handler at this path".to_owned());
        }
        self.examine_connection(doctor, &connect, preflight_passed, list)
            .await
    }

    async fn examine_connection(
        &mut self,
        doctor: &Doctor,
        connect: &Exchange,
        preflight_passed: bool,
        list: &mut Checklist,
    ) -> Result<(), String> {
        let is_accepted = is_success(connect);
        if let Ok(answer) = &connect.heard
            && is_accepted
        {
            self.keep_state(answer);
        }
        let connected = match &connect.heard {
            Ok(answer) if answer.status != StatusCode::NOT_FOUND => {
                Some(self.send_event(EventType::Connected, empty_body()).await)
            }
            _ => None,
        };
        let second = connected.as_ref().map(|connected| &connected.heard);
        let verdict = judge::connect(&connect.heard, second, preflight_passed, SUBPROTOCOL);
        list.push(verdict, Some(connect));
        match list.last_failed_with() {
            Some(Code::Signature) => return Err("the handler refuses the signature".to_owned()),
            Some(Code::Hub | Code::Path) => return Err("the handler takes no events".to_owned()),
            _ => {}
        }
        let Some(connected) = connected else {
            return Err("the handler does not answer events".to_owned());
        };
        list.push(judge::notification(&connected.heard), Some(&connected));
        for payload in [
            Payload::text("hello"),
            Payload::Json(r#"{"hello":1}"#.into()),
        ] {
            let event = EventType::User(self.event.as_str().into());
            let exchange = self.send_event(event, Event::body_of(&payload)).await;
            if let Ok(answer) = &exchange.heard
                && is_success(&exchange)
            {
                self.keep_state(answer);
            }
            let verdict = judge::user_event(&exchange.heard);
            list.push(verdict, Some(&exchange));
        }
        let disconnected = self
            .send_event(EventType::Disconnected, disconnected_body())
            .await;
        list.push(
            judge::notification(&disconnected.heard),
            Some(&disconnected),
        );
        if !is_accepted && !is_success(&connected) {
            return Err("the handler refuses events that are right as well".to_owned());
        }
        self.examine_guard(doctor, is_accepted, list).await;
        Ok(())
    }

    /// Events that a careful handler refuses, each of a connection of its own. They are of the kind that it takes.
    async fn examine_guard(&mut self, doctor: &Doctor, is_accepted: bool, list: &mut Checklist) {
        let event = || match is_accepted {
            true => (EventType::Connect, connect_body()),
            false => (EventType::Connected, empty_body()),
        };
        self.begin_connection(&doctor.origin);
        let right = std::mem::replace(&mut self.keys, vec![AccessKey::new(self.ids.token_id())]);
        let (kind, body) = event();
        let exchange = self.send_event(kind, body).await;
        self.keys = right;
        let verdict = judge::wrong_signature(&exchange.heard, doctor.strict);
        list.push(verdict, Some(&exchange));

        self.begin_connection(&doctor.origin);
        let other = HubName::new(format!("doctor_{}", self.ids.token_id()));
        self.hub = other.expect("letters, digits and `_` are the name of a hub");
        let (kind, body) = event();
        let exchange = self.send_event(kind, body).await;
        list.push(judge::other_hub(&exchange.heard), Some(&exchange));
    }
}

fn is_success(exchange: &Exchange) -> bool {
    let answer = exchange.heard.as_ref();
    answer.is_ok_and(|answer| answer.status.is_success())
}

fn connect_body() -> (&'static str, Bytes) {
    let claims = [("sub".to_owned(), vec!["doctor".to_owned()])];
    json(&ConnectData {
        claims: claims.into(),
        subprotocols: vec![SUBPROTOCOL.to_owned()],
        ..ConnectData::default()
    })
}

fn disconnected_body() -> (&'static str, Bytes) {
    json(&DisconnectedData {
        reason: Some("The doctor has finished.".to_owned()),
        mqtt: None,
    })
}

fn empty_body() -> (&'static str, Bytes) {
    ("application/json", Bytes::from_static(b"{}"))
}

fn json(data: &impl serde::Serialize) -> (&'static str, Bytes) {
    let body = serde_json::to_vec(data).expect("texts always serialise");
    ("application/json", body.into())
}
