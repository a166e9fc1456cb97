//! Users, identified by a random cookie that is set on the first visit.

use std::convert::Infallible;
use std::fmt::Write as _;

use aws_lc_rs::digest;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use rand::Rng as _;

const COOKIE: &str = "session";
const SECRET_DIGITS: usize = 32;

/// The user of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    /// A hash of the cookie. The service and its logs see only the hash, from which the cookie cannot be derived.
    pub(crate) id: String,
    /// The cookie to set, on a first visit.
    pub(crate) new_cookie: Option<HeaderValue>,
}

impl<S: Sync> FromRequestParts<S> for User {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(match secret(&parts.headers) {
            Some(secret) => Self {
                id: id(secret),
                new_cookie: None,
            },
            None => Self::new(),
        })
    }
}

impl User {
    fn new() -> Self {
        let secret = hex(&rand::rng().random::<[u8; SECRET_DIGITS / 2]>());
        // Strict: no other site can start or cancel jobs in the user's name.
        let cookie = format!("{COOKIE}={secret}; HttpOnly; SameSite=Strict; Path=/");
        Self {
            id: id(&secret),
            new_cookie: Some(HeaderValue::try_from(cookie).expect("digits and fixed words")),
        }
    }
}

fn secret(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter();
    let mut pairs = cookies
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'));
    pairs.find_map(|pair| {
        let (name, secret) = pair.trim().split_once('=')?;
        let ours = name == COOKIE
            && secret.len() == SECRET_DIGITS
            && secret.bytes().all(|byte| byte.is_ascii_hexdigit());
        ours.then_some(secret)
    })
}

fn id(secret: &str) -> String {
    hex(&digest::digest(&digest::SHA256, secret.as_bytes()).as_ref()[..12])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes everything");
        text
    })
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    async fn user(cookie: &str) -> User {
        let request = Request::get("/")
            .header(header::COOKIE, cookie)
            .body(())
            .unwrap();
        let Ok(user) = User::from_request_parts(&mut request.into_parts().0, &()).await;
        user
    }

    #[tokio::test]
    async fn a_cookie_is_one_user_and_anything_else_a_new_one() {
        let secret = "0123456789abcdef0123456789abcdef";
        let one = user(&format!("other=1; session={secret}")).await;
        assert_eq!(one, user(&format!("session={secret}")).await);
        assert_eq!(one.new_cookie, None);
        assert!(!one.id.contains(&secret[..8]), "the secret is not the name");
        for cookie in [
            "",
            "session=",
            "session=short",
            "session",
            &format!("xsession={secret}"),
        ] {
            let other = user(cookie).await;
            assert!(other.new_cookie.is_some() && other.id != one.id, "{cookie}");
        }
    }
}
