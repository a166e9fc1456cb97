//! Who may use the admin API.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use http::HeaderMap;
use webpubsub_protocol::access::Token;

use super::answer::AdminError;
use crate::headers::bearer;
use crate::http::Origins;
use crate::ids::Ids;

/// The shortest token that is taken. A drawn one has 32 characters.
const SHORTEST: usize = 16;

/// What a caller must have. `Debug` does not show the token.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    token: Token,
    origins: Origins,
}

/// A token that cannot be used: shorter than 16 characters, or with others than visible ASCII.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InvalidToken;

impl Access {
    /// With this token, or one that is drawn now: never from a seed, since what can be guessed protects nothing.
    pub(crate) fn new(token: Option<String>, origins: Origins) -> Result<Self, InvalidToken> {
        let token = match token {
            None => Ids::new(None, "admin").token_id(),
            Some(token) if token.len() >= SHORTEST && is_visible(&token) => token,
            Some(_) => return Err(InvalidToken),
        };
        Ok(Self {
            token: Token::new(token),
            origins,
        })
    }

    pub(crate) fn token(&self) -> &Token {
        &self.token
    }

    /// Lets a request pass, or says what it lacks. The time that this takes says nothing about the token.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), AdminError> {
        self.origins
            .check(headers)
            .map_err(|foreign| AdminError::foreign_origin(foreign.origin()))?;
        let given = bearer(headers).ok_or_else(AdminError::no_token)?;
        verify_slices_are_equal(given.as_bytes(), self.token.as_str().as_bytes())
            .map_err(|_| AdminError::wrong_token())
    }
}

fn is_visible(token: &str) -> bool {
    token.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, StatusCode, header};

    use super::*;
    use crate::settings::Settings;

    fn access(token: Option<&str>) -> Result<Access, InvalidToken> {
        let origins = Origins::of_admin(&Settings::default());
        Access::new(token.map(str::to_owned), origins)
    }

    #[test]
    fn a_token_is_drawn_or_checked_and_never_shown() {
        let (one, two) = (access(None).unwrap(), access(None).unwrap());
        assert_eq!(one.token().as_str().len(), 32);
        assert_ne!(one.token().as_str(), two.token().as_str());
        assert!(!format!("{one:?}").contains(one.token().as_str()));
        for (token, fits) in [
            ("0123456789abcdef", true),
            ("0123456789abcde", false),
            ("0123456789 abcdef", false),
            ("0123456789abcdefä", false),
            ("", false),
        ] {
            assert_eq!(access(Some(token)).is_ok(), fits, "{token}");
        }
    }

    #[test]
    fn only_the_whole_token_in_the_header_opens() {
        let access = access(Some("0123456789abcdef")).unwrap();
        for (value, status) in [
            (Some("Bearer 0123456789abcdef"), None),
            (Some("bearer  0123456789abcdef "), None),
            (Some("Bearer 0123456789abcdeF"), Some(401)),
            (Some("Bearer 0123456789abcde"), Some(401)),
            (Some("Bearer 0123456789abcdef0"), Some(401)),
            (Some("Bearer "), Some(401)),
            (Some("Basic 0123456789abcdef"), Some(401)),
            (None, Some(401)),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(value) = value {
                headers.insert(header::AUTHORIZATION, HeaderValue::from_static(value));
            }
            let refused = access.check(&headers).err();
            let expected = status.map(|status| StatusCode::from_u16(status).unwrap());
            assert_eq!(refused.map(|error| error.status()), expected, "{value:?}");
        }
    }
}
