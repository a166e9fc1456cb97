//! What is sent: the text of an argument, a file or stdin, and of which type it is.

use std::fs;
use std::io::{self, Read as _};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::value::RawValue;
use webpubsub_protocol::payload::Payload;

use super::Stop;

/// The flags of a message. Its text belongs to whoever sends it, so it has no `Debug`.
#[derive(Args)]
pub(super) struct Content {
    /// Text of the message; `-` for what stdin holds
    #[arg(
        value_name = "MESSAGE",
        required_unless_present = "file",
        conflicts_with = "file",
        allow_hyphen_values = true
    )]
    message: Option<String>,

    /// File with the message
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,

    /// What the message is
    #[arg(long, value_name = "TYPE", default_value = "text")]
    r#type: DataType,
}

/// The types of a message that can be written on a command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum DataType {
    Text,
    Json,
    Binary,
}

impl Content {
    pub(super) fn payload(self) -> Result<Payload, Stop> {
        let bytes = match (self.file, self.message) {
            (Some(file), _) => fs::read(&file)
                .map_err(|error| Stop::failed(format!("{}: {error}", file.display())))?,
            (None, Some(message)) if message == "-" => {
                let mut bytes = Vec::new();
                let read = io::stdin().lock().read_to_end(&mut bytes);
                read.map_err(|error| Stop::failed(format!("cannot read stdin: {error}")))?;
                bytes
            }
            (None, message) => message.unwrap_or_default().into_bytes(),
        };
        self.r#type.payload(bytes).map_err(Stop::usage)
    }
}

impl DataType {
    /// A payload of this type; the error quotes nothing.
    pub(super) fn payload(self, bytes: Vec<u8>) -> Result<Payload, String> {
        match self {
            Self::Binary => Ok(Payload::binary(bytes)),
            Self::Text => match String::from_utf8(bytes) {
                Ok(text) => Ok(Payload::text(text)),
                Err(_) => Err("the message is not UTF-8: send it with `--type binary`".to_owned()),
            },
            Self::Json => {
                // As it is written: neither the order of members nor the digits of numbers change.
                let json: Box<RawValue> = serde_json::from_slice(&bytes)
                    .map_err(|error| format!("the message is not JSON: {error}"))?;
                Payload::json(&*json).map_err(|error| error.to_string())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_decides_what_bytes_mean() {
        let json = r#"{"b":1.00,"a":2}"#;
        let payload = DataType::Json.payload(json.into()).unwrap();
        assert_eq!(payload.as_bytes(), json.as_bytes());
        let text = DataType::Text.payload(b"hi".to_vec()).unwrap();
        assert!(text == Payload::text("hi"));
        let binary = DataType::Binary.payload(vec![0xff]).unwrap();
        assert!(binary == Payload::binary(vec![0xff]));
        assert!(DataType::Text.payload(vec![0xff]).is_err());
        let error = DataType::Json.payload(b"sEcReT".to_vec()).unwrap_err();
        assert!(!error.contains("sEcReT"), "{error}");
    }
}
