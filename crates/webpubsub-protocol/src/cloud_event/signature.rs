//! `ce-signature`: the proof that a request comes from the service.
//!
//! It is the HMAC-SHA256 of the **connection id only**, once for each access key. It does not cover the body, the other
//! headers or the time, so whoever has seen one request of a connection can forge others for that connection. Use HTTPS.

use std::fmt::{self, Write as _};

use aws_lc_rs::hmac;

use crate::access::AccessKey;

const PREFIX: &str = "sha256=";

/// The header for a connection: `sha256={hex}` for each key, the primary one first, joined by commas.
#[must_use]
pub fn sign(keys: &[AccessKey], connection_id: &str) -> String {
    let mut header = String::with_capacity(keys.len() * (PREFIX.len() + 65));
    for (index, key) in keys.iter().enumerate() {
        if index > 0 {
            header.push(',');
        }
        header.push_str(PREFIX);
        let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose().as_bytes());
        for byte in hmac::sign(&key, connection_id.as_bytes()).as_ref() {
            write!(header, "{byte:02x}").expect("a string takes everything");
        }
    }
    header
}

/// Whether any signature in the header was made with any of the keys. How long this takes reveals nothing about the keys.
/// To check many headers, make a [`Verifier`] once.
#[must_use]
pub fn verify(header: &str, keys: &[AccessKey], connection_id: &str) -> bool {
    Verifier::new(keys).verify(header, connection_id)
}

/// Checks signatures with the same keys again and again. `Debug` shows how many keys there are, never the keys.
#[derive(Clone)]
pub struct Verifier {
    /// Half of the work of a signature depends on the key alone; these hold it.
    keys: Vec<hmac::Key>,
}

impl Verifier {
    /// Prepares the keys. Without any, no signature is valid.
    #[must_use]
    pub fn new(keys: &[AccessKey]) -> Self {
        let keys = keys
            .iter()
            .map(|key| hmac::Key::new(hmac::HMAC_SHA256, key.expose().as_bytes()))
            .collect();
        Self { keys }
    }

    /// Whether any signature in the header was made with any of the keys. Only the first 8 signatures are looked at; the
    /// service writes one for each key, so two at most.
    #[must_use]
    pub fn verify(&self, header: &str, connection_id: &str) -> bool {
        // Each one costs a computation per key, and anybody can send a long list.
        const MOST: usize = 8;
        let mut valid = false;
        let listed = header.as_bytes().split(|byte| matches!(byte, b',' | b' '));
        let listed = listed.filter(|value| !value.is_empty());
        for tag in listed.take(MOST).filter_map(tag) {
            for key in &self.keys {
                valid |= hmac::verify(key, connection_id.as_bytes(), &tag).is_ok();
            }
        }
        valid
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verifier({} keys)", self.keys.len())
    }
}

/// The 32 bytes of one value; hexadecimal digits of either case.
fn tag(value: &[u8]) -> Option<[u8; 32]> {
    let hex = value.trim_ascii().strip_prefix(PREFIX.as_bytes())?;
    let mut tag = [0; 32];
    if hex.len() != 2 * tag.len() {
        return None;
    }
    for (byte, pair) in tag.iter_mut().zip(hex.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(tag)
}

const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "conn-0001";
    const PRIMARY: &str = "3576d3aade02b7dccb6e532cd447b27437287c4f3f699af7ae1a257422b3dcd6";
    const SECONDARY: &str = "b929ac135afccd3cc126e842190d7193496a664ba29000f8f1f2a85ce6ec0c7c";

    fn keys() -> [AccessKey; 2] {
        [
            AccessKey::new("primary-access-key"),
            AccessKey::new("secondary-access-key"),
        ]
    }

    #[test]
    fn both_keys_sign_primary_first() {
        assert_eq!(
            sign(&keys(), ID),
            format!("sha256={PRIMARY},sha256={SECONDARY}")
        );
        assert_eq!(sign(&keys()[..1], ID), format!("sha256={PRIMARY}"));
        assert_eq!(sign(&[], ID), "");
    }

    #[test]
    fn any_listed_value_by_any_key_will_do() {
        let keys = keys();
        for header in [
            sign(&keys, ID),
            format!("sha256={}", "0".repeat(64)) + ", " + &sign(&keys[1..], ID),
            format!("sha256={}", PRIMARY.to_uppercase()),
            format!("junk sha256={SECONDARY} "),
        ] {
            assert!(verify(&header, &keys, ID), "{header}");
        }
        assert!(
            verify(&sign(&keys, ID), &keys[1..], ID),
            "a handler may know one key only"
        );
    }

    #[test]
    fn nothing_else_will() {
        let keys = keys();
        let good = sign(&keys, ID);
        for (header, keys, id) in [
            (good.as_str(), &keys[..], "conn-0002"),
            (&good, &keys[..0], ID),
            (&good, &[AccessKey::new("other")][..], ID),
            (&good[..70], &keys[..], ID),
            (&good.replace("sha256=", ""), &keys[..], ID),
            (&good.replace("sha256=", "SHA256="), &keys[..], ID),
            ("", &keys[..], ID),
            ("sha256=", &keys[..], ID),
            (&"sha256=+1".repeat(32), &keys[..], ID),
            (&format!("sha256={}é", &PRIMARY[..62]), &keys[..], ID),
        ] {
            assert!(!verify(header, keys, id), "{header}");
        }
        let late = format!("{}sha256={PRIMARY}", "sha256=00,".repeat(8));
        assert!(!verify(&late, &keys, ID), "a long list is not searched");
    }
}
