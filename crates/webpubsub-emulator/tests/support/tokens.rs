//! Tokens that no SDK would make.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// The machine's time, for tokens that the emulator checks by the same clock.
#[expect(
    clippy::disallowed_methods,
    reason = "tests start from the machine's time, once"
)]
pub(crate) fn machine_time() -> SystemTime {
    SystemTime::now()
}

/// Seconds since 1970.
pub(crate) fn unix(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since: Duration| since.as_secs())
}

/// A JWT of any header and claims, with an HS256 signature whatever the header says.
pub(crate) fn jwt(header: &Value, claims: &Value, key: &str) -> String {
    jwt_with(hmac::HMAC_SHA256, header, claims, key)
}

/// The same with another signature.
pub(crate) fn jwt_with(
    algorithm: hmac::Algorithm,
    header: &Value,
    claims: &Value,
    key: &str,
) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    let key = hmac::Key::new(algorithm, key.as_bytes());
    let signature = hmac::sign(&key, signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// The claims of a JWT, unchecked.
pub(crate) fn claims(token: &str) -> Value {
    part(token, 1)
}

/// The header of a JWT, unchecked.
pub(crate) fn header(token: &str) -> Value {
    part(token, 0)
}

fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).expect("a JWT has three parts");
    let bytes = URL_SAFE_NO_PAD.decode(part).expect("base64url");
    serde_json::from_slice(&bytes).expect("JSON")
}
