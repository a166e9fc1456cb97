//! Authentication: connection strings, access keys, and the three kinds of tokens.
//!
//! | kind | signed by | `aud` | skew | functions |
//! |---|---|---|---|---|
//! | client | a server, or the service for it | `http(s)://host/client/hubs/{hub}` | 5 min | [`sign_client_token`], [`verify_client_token`] |
//! | REST | the service client, per try | the URL of the call | 5 min | [`sign_rest_token`], [`verify_rest_token`] |
//! | reconnection | the service | the connection id | none | [`sign_reconnection_token`], [`verify_reconnection_token`] |
//!
//! All tokens are JWTs, signed with HS256. The key is the UTF-8 bytes of the access key exactly as in the connection string:
//! it looks like base64 but is not decoded. Functions that depend on the time take it as the argument `now`. A token of one
//! kind is refused where another is expected, even if the audience check of the caller would accept it.
//!
//! Nothing in this module prints a key or a token: `Debug` is redacted, there is no `Display`, and errors name only the
//! check that failed.

#[cfg(feature = "tokens")]
mod client_token;
mod client_url;
mod connection_string;
#[cfg(feature = "tokens")]
mod issued_token;
#[cfg(feature = "tokens")]
mod jwt;
mod key;
#[cfg(feature = "tokens")]
mod reconnection_token;
#[cfg(feature = "tokens")]
mod rest_token;

#[cfg(feature = "tokens")]
#[cfg_attr(docsrs, doc(cfg(feature = "tokens")))]
pub use client_token::{
    ClientAccessToken, ClientClaims, ClientTokenOptions, sign_client_token, verify_client_token,
};
pub use client_url::{ClientProtocol, UnknownClientProtocol, client_audience, client_url};
pub use connection_string::{ConnectionString, ConnectionStringError, parse_endpoint};
#[cfg(feature = "tokens")]
#[cfg_attr(docsrs, doc(cfg(feature = "tokens")))]
pub use issued_token::issue_client_token;
#[cfg(feature = "tokens")]
#[cfg_attr(docsrs, doc(cfg(feature = "tokens")))]
pub use jwt::{CheckedAt, TokenError};
pub use key::{AccessKey, Token};
#[cfg(feature = "tokens")]
#[cfg_attr(docsrs, doc(cfg(feature = "tokens")))]
pub use reconnection_token::{sign_reconnection_token, verify_reconnection_token};
#[cfg(feature = "tokens")]
#[cfg_attr(docsrs, doc(cfg(feature = "tokens")))]
pub use rest_token::{EntraTokens, sign_rest_token, verify_rest_token};

/// The issuer of the tokens that the service itself signs: reconnection tokens, and those of `:generateToken`.
pub const SERVICE_ISSUER: &str = "https://webpubsub.azure.com";

/// The audience of Microsoft Entra ID tokens for the service.
pub const ENTRA_AUDIENCE: &str = "https://webpubsub.azure.com";
