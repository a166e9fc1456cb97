//! From what a socket received to what it means, or to how that ends the connection.

use bytes::Bytes;
use bytestring::ByteString;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Utf8Bytes};
use webpubsub_protocol::frame::{ClientFrame, DecodeError, json, protobuf};
use webpubsub_protocol::payload::Payload;

use crate::hub::{CONNECTION_ENDED, End, Gone, Received, Violation, WireForm};
use crate::settings::Settings;

/// Reads what one client sends. Each socket has its own, since what a message means may depend on those before it.
#[derive(Debug)]
pub(crate) struct Decoder {
    form: WireForm,
    /// The service's limit in bytes of a message; the transport reads somewhat more, see `task`.
    most: usize,
    /// Whether a close without a status is the client's last word.
    ends_without_status: bool,
}

impl Decoder {
    /// For a client of this form, which has sent nothing yet.
    pub(crate) const fn new(form: WireForm, settings: &Settings) -> Self {
        Self {
            form,
            most: settings.limits.message_bytes,
            ends_without_status: settings.end_on_close_without_status,
        }
    }

    /// A text message.
    ///
    /// # Errors
    ///
    /// What ends the connection.
    pub(crate) fn text(&mut self, text: Utf8Bytes) -> Result<Received, End> {
        self.check_size(text.len())?;
        match self.form {
            WireForm::Raw => ByteString::try_from(Bytes::from(text))
                .map(|text| Received::raw(Payload::Text(text)))
                .map_err(|_| End::Violation(Violation::InvalidText)),
            WireForm::Json => {
                let bytes = text.len();
                frame(json::decode_client(text), bytes, Violation::MalformedJson)
            }
            WireForm::Protobuf => Err(End::Violation(Violation::BinaryExpected)),
        }
    }

    /// A binary message.
    ///
    /// # Errors
    ///
    /// What ends the connection.
    pub(crate) fn binary(&mut self, bytes: Bytes) -> Result<Received, End> {
        self.check_size(bytes.len())?;
        match self.form {
            WireForm::Raw => Ok(Received::raw(Payload::Binary(bytes))),
            WireForm::Json => Err(End::Violation(Violation::TextExpected)),
            WireForm::Protobuf => {
                let len = bytes.len();
                let decoded = protobuf::decode_client(bytes);
                frame(decoded, len, Violation::MalformedProtobuf)
            }
        }
    }

    /// How a client's close frame ends its connection. A normal close ends it for good, reliable or not, and so does a
    /// code that must not be sent. The WebSocket layer has answered that one, and hands it on as its own answer.
    pub(super) fn close(&self, close: Option<&CloseFrame>) -> Gone {
        let Some(close) = close else {
            return match self.ends_without_status {
                true => Gone::ClosedForGood(CONNECTION_ENDED),
                false => Gone::Lost,
            };
        };
        let reason = close.reason.as_str();
        match u16::from(close.code) {
            1000 => Gone::ClosedForGood(reason.into()),
            1002 if reason == "Protocol violation" => {
                Gone::ClosedForGood(Violation::InvalidFrame.text().into())
            }
            _ => Gone::Lost,
        }
    }

    fn check_size(&self, bytes: usize) -> Result<(), End> {
        match bytes > self.most {
            true => Err(End::Violation(Violation::TooLarge)),
            false => Ok(()),
        }
    }
}

/// How a broken socket ends its connection; `None` when it is simply gone.
pub(super) fn broken(error: &Error) -> Option<End> {
    let violation = match error {
        Error::Capacity(_) => Violation::TooLarge,
        Error::Utf8(_) => Violation::InvalidText,
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => return None,
        Error::Protocol(_) => Violation::InvalidFrame,
        _ => return None,
    };
    Some(End::Violation(violation))
}

fn frame(
    decoded: Result<ClientFrame, DecodeError>,
    bytes: usize,
    violation: Violation,
) -> Result<Received, End> {
    let received = decoded.map(|frame| Received::frame(frame, bytes));
    received.map_err(|error| {
        tracing::info!(%error, "a malformed frame: closing with 1007");
        End::Violation(violation)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_is_read_in_its_own_form() {
        let mut settings = Settings::default();
        settings.limits.message_bytes = 15;
        let decoder = |form| Decoder::new(form, &settings);
        let ping = r#"{"type":"ping"}"#;
        let pong = Ok(Received::frame(ClientFrame::Ping, 15));
        assert_eq!(decoder(WireForm::Json).text(ping.into()), pong);
        let raw = Received::raw(Payload::text(ping));
        assert_eq!(decoder(WireForm::Raw).text(ping.into()), Ok(raw));
        for (result, violation) in [
            (
                decoder(WireForm::Raw).text("sixteen letters!".into()),
                Violation::TooLarge,
            ),
            (
                decoder(WireForm::Json).text("{}".into()),
                Violation::MalformedJson,
            ),
            (
                decoder(WireForm::Json).binary("{}".into()),
                Violation::TextExpected,
            ),
            (
                decoder(WireForm::Protobuf).text(ping.into()),
                Violation::BinaryExpected,
            ),
            (
                decoder(WireForm::Protobuf).binary("x".into()),
                Violation::MalformedProtobuf,
            ),
        ] {
            assert_eq!(result, Err(End::Violation(violation)));
        }
    }

    #[test]
    fn whether_a_close_without_status_is_final_is_a_setting() {
        for (is_final, gone) in [
            (true, Gone::ClosedForGood(CONNECTION_ENDED)),
            (false, Gone::Lost),
        ] {
            let mut settings = Settings::default();
            settings.end_on_close_without_status = is_final;
            assert_eq!(Decoder::new(WireForm::Raw, &settings).close(None), gone);
        }
    }
}
