//! Why connections end, and what clients and event handlers see of it.
//!
//! The cause says nothing about a protocol. Each protocol renders it: [`End::seen_by`] is the one place that knows close
//! codes, reasons and last frames.

use std::time::Duration;

use bytestring::ByteString;
use webpubsub_protocol::frame::ServerFrame;

use super::message::{Frame, WireForm};
use super::outbox::{CLOSE_DRAIN, Full, SLOW_DRAIN};

/// What the `disconnected` event says when the transport was lost, or closed in a way that is not the client's last
/// word.
pub(crate) const CONNECTION_ENDED: ByteString = ByteString::from_static("The connection ended.");

/// Why a connection ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// A REST call closed it, perhaps for a reason.
    ByServer(Option<String>),
    /// The client broke the rules of its protocol.
    Violation(Violation),
    /// The event handler failed, and the client is a simple one, which cannot be told in any other way. With `normally`
    /// it is closed as if nothing had happened.
    EventFailed { normally: bool },
    /// The client does not take what it is sent, or does not acknowledge it.
    Slow(Full),
    /// The service goes away.
    ServiceReload,
    /// The client closed it for good, with this reason.
    ByClient(ByteString),
    /// The transport was lost, and the connection cannot outlive it.
    Lost,
    /// The transport was lost, and the client did not come back in time.
    NotRecovered,
}

/// A rule that a client broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Violation {
    TooLarge,
    /// Not a frame of the WebSocket protocol.
    InvalidFrame,
    /// Text that is not UTF-8.
    InvalidText,
    TextExpected,
    BinaryExpected,
    MalformedJson,
    MalformedProtobuf,
    /// A simple client may not publish to the group that its frames go to.
    SendForbidden,
}

/// What a client sees of the end of its connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// The last frame, where the protocol has one for this.
    pub(super) last: Option<Frame>,
    /// Of the WebSocket's close frame.
    pub(super) code: u16,
    pub(super) reason: ByteString,
}

impl End {
    /// A REST call; an empty reason is none.
    pub(crate) fn by_server(reason: Option<&str>) -> Self {
        let reason = reason.filter(|reason| !reason.is_empty());
        Self::ByServer(reason.map(str::to_owned))
    }

    /// What a client of this form sees.
    pub(super) fn seen_by(&self, form: WireForm) -> Seen {
        let message = match self {
            Self::ByServer(_) | Self::Slow(_) | Self::ServiceReload => Some(self.reason()),
            _ => None,
        };
        let last = message.and_then(|text| {
            let message = text.to_string();
            Frame::of(form, &ServerFrame::Disconnected { message })
        });
        let (code, reason) = match self {
            Self::ByServer(_) | Self::ByClient(_) | Self::EventFailed { normally: true } => {
                (1000, ByteString::new())
            }
            Self::ServiceReload => (1001, ByteString::new()),
            Self::Violation(violation) => (violation.close_code(), self.reason()),
            Self::EventFailed { normally: false } => (1011, self.reason()),
            Self::Slow(_) => (1008, self.reason()),
            // Nobody is there to see it.
            Self::Lost | Self::NotRecovered => (1006, ByteString::new()),
        };
        Seen { last, code, reason }
    }

    /// The cause in words, as the `disconnected` event has it.
    pub(super) fn reason(&self) -> ByteString {
        match self {
            Self::ByServer(None) => {
                ByteString::from_static("Application server closed the connection.")
            }
            Self::ByServer(Some(reason)) => {
                format!("Application server closed the connection. Reason: {reason}").into()
            }
            Self::Violation(violation) => ByteString::from_static(violation.text()),
            Self::EventFailed { normally: true } => ByteString::new(),
            Self::EventFailed { normally: false } => {
                ByteString::from_static("Internal server error")
            }
            Self::Slow(full) => ByteString::from_static(full.reason()),
            Self::ServiceReload => ByteString::from_static("Service reload"),
            Self::ByClient(reason) => reason.clone(),
            Self::Lost => CONNECTION_ENDED,
            Self::NotRecovered => {
                ByteString::from_static("The connection recovery timeout expired.")
            }
        }
    }

    /// How long queued frames may take to be written.
    pub(super) const fn drain(&self) -> Duration {
        match self {
            Self::Slow(_) => SLOW_DRAIN,
            _ => CLOSE_DRAIN,
        }
    }
}

impl Violation {
    const fn close_code(self) -> u16 {
        match self {
            Self::TooLarge => 1009,
            Self::InvalidFrame => 1002,
            Self::InvalidText | Self::MalformedJson | Self::MalformedProtobuf => 1007,
            Self::TextExpected | Self::BinaryExpected => 1003,
            Self::SendForbidden => 1008,
        }
    }

    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::TooLarge => "The client message is too large.",
            Self::InvalidFrame | Self::InvalidText => "The client frame is invalid.",
            Self::TextExpected => "The JSON subprotocol requires text messages.",
            Self::BinaryExpected => {
                "The protobuf.webpubsub.azure.v1 subprotocol requires binary messages."
            }
            Self::MalformedJson => "The client message is not a valid JSON protocol message.",
            Self::MalformedProtobuf => {
                "The client message is not a valid protobuf.webpubsub.azure.v1 protocol message."
            }
            Self::SendForbidden => "The connection is not authorized for raw sendToGroup mode.",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_renders_a_cause_in_its_own_way() {
        let end = End::by_server(Some("bye"));
        let text = "Application server closed the connection. Reason: bye";
        let json = format!(r#"{{"type":"system","event":"disconnected","message":"{text}"}}"#);
        assert_eq!(end.reason(), text);
        for (form, last) in [
            (WireForm::Raw, None),
            (WireForm::Json, Some(json.as_bytes())),
        ] {
            let seen = end.seen_by(form);
            assert_eq!((seen.code, &*seen.reason), (1000, ""), "{form:?}");
            let last_seen = seen.last.map(crate::hub::WireFrame::from);
            let last_seen = last_seen.map(|frame| frame.payload());
            assert_eq!(last_seen.as_deref(), last, "{form:?}");
        }
        assert!(end.seen_by(WireForm::Protobuf).last.is_some());
        assert_eq!(End::by_server(Some("")), End::ByServer(None));
    }

    #[test]
    fn a_client_that_broke_the_rules_gets_no_last_frame() {
        let seen = End::Violation(Violation::MalformedJson).seen_by(WireForm::Json);
        assert_eq!((seen.last, seen.code), (None, 1007));
    }
}
