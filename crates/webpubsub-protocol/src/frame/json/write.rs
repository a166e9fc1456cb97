//! Compact JSON objects, member by member, in the order they are written.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::plain_len;
use crate::metadata::Metadata;
use crate::payload::Payload;

/// Writes one object. Members that the service leaves out when they are empty have `_if` methods.
pub(super) struct ObjectWriter {
    out: String,
    empty: bool,
}

impl ObjectWriter {
    pub(super) fn new(capacity: usize) -> Self {
        let mut out = String::with_capacity(capacity);
        out.push('{');
        Self { out, empty: true }
    }

    /// An object that begins with the member `type`.
    pub(super) fn frame(kind: &'static str) -> Self {
        Self::new(128).text("type", kind)
    }

    /// The same with room for a payload, so that it does not move while it grows.
    pub(super) fn frame_with(kind: &'static str, payload: &Payload) -> Self {
        Self::new(160 + payload.as_bytes().len()).text("type", kind)
    }

    pub(super) fn finish(mut self) -> String {
        self.out.push('}');
        self.out
    }

    // Inlined, its parts become a few stores, since names are literals.
    #[inline]
    fn name(&mut self, name: &'static str) {
        if !self.empty {
            self.out.push(',');
        }
        self.empty = false;
        self.out.push('"');
        self.out.push_str(name);
        self.out.push_str("\":");
    }

    #[inline]
    pub(super) fn raw(mut self, name: &'static str, json: &str) -> Self {
        self.name(name);
        self.out.push_str(json);
        self
    }

    #[inline]
    pub(super) fn text(mut self, name: &'static str, text: &str) -> Self {
        self.name(name);
        push_string(&mut self.out, text);
        self
    }

    pub(super) fn text_if(self, name: &'static str, text: Option<&str>) -> Self {
        match text {
            Some(text) => self.text(name, text),
            None => self,
        }
    }

    /// A string, or `null` where the service writes it instead of leaving the member out.
    pub(super) fn text_or_null(self, name: &'static str, text: Option<&str>) -> Self {
        match text {
            Some(text) => self.text(name, text),
            None => self.raw(name, "null"),
        }
    }

    pub(super) fn display(mut self, name: &'static str, value: impl std::fmt::Display) -> Self {
        use std::fmt::Write as _;
        self.name(name);
        // Writing to a String cannot fail.
        let _ = write!(self.out, "{value}");
        self
    }

    pub(super) fn boolean(self, name: &'static str, value: bool) -> Self {
        self.raw(name, if value { "true" } else { "false" })
    }

    pub(super) fn display_if(
        self,
        name: &'static str,
        value: Option<impl std::fmt::Display>,
    ) -> Self {
        match value {
            Some(value) => self.display(name, value),
            None => self,
        }
    }

    pub(super) fn payload(mut self, payload: &Payload) -> Self {
        self.out.reserve(payload.as_bytes().len() + 48);
        let written = self.text("dataType", payload.data_type().as_str());
        match payload {
            Payload::Text(text) => written.text("data", text),
            Payload::Json(json) => written.raw("data", json),
            Payload::Binary(bytes) | Payload::Protobuf(bytes) => written.base64("data", bytes),
        }
    }

    fn base64(mut self, name: &'static str, bytes: &[u8]) -> Self {
        self.name(name);
        self.out.push('"');
        STANDARD.encode_string(bytes, &mut self.out);
        self.out.push('"');
        self
    }

    pub(super) fn metadata_if(self, metadata: &Metadata) -> Self {
        if metadata.is_empty() {
            self
        } else {
            self.map("metadata", metadata.iter())
        }
    }

    pub(super) fn map<'a>(
        mut self,
        name: &'static str,
        entries: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        self.name(name);
        self.out.push('{');
        for (index, (key, value)) in entries.enumerate() {
            if index > 0 {
                self.out.push(',');
            }
            push_string(&mut self.out, key);
            self.out.push(':');
            push_string(&mut self.out, value);
        }
        self.out.push('}');
        self
    }
}

/// Appends a JSON string. Plain UTF-8: only what JSON itself demands is escaped.
fn push_string(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    loop {
        let (plain, escaped) = rest.split_at(plain_len(rest.as_bytes()));
        out.push_str(plain);
        let Some(&byte) = escaped.as_bytes().first() else {
            break;
        };
        push_escape(out, byte);
        rest = &escaped[1..];
    }
    out.push('"');
}

fn push_escape(out: &mut String, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let escape = match byte {
        b'"' => "\\\"",
        b'\\' => "\\\\",
        b'\n' => "\\n",
        b'\r' => "\\r",
        b'\t' => "\\t",
        0x08 => "\\b",
        0x0c => "\\f",
        _ => {
            out.push_str("\\u00");
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 0xf)]));
            return;
        }
    };
    out.push_str(escape);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped_as_serde_json_does() {
        for text in [
            "",
            "a",
            "\"\\/\n\r\t\u{8}\u{c}\u{0}\u{1f}\u{7f}",
            "é漢😀<&>'",
        ] {
            let mut out = String::new();
            push_string(&mut out, text);
            assert_eq!(Some(out), serde_json::to_string(text).ok());
        }
    }
}
