//! What a client may do, as its access token says.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header;
use http::request::Parts;
use webpubsub_protocol::access::{
    ClientClaims, ClientProtocol, client_audience, verify_client_token,
};
use webpubsub_protocol::cloud_event::Lists;
use webpubsub_protocol::name::{GroupName, HubName, UserId};

use super::query::Query;
use crate::headers::bearer;
use crate::hub::{OPEN_TIMEOUT, OpenRequest, RawMode, WireForm};
use crate::refusal::Refusal;
use crate::service::Service;
use crate::traffic;

/// A connection as its token asks for it, and all that the token says.
pub(super) struct Authorized {
    pub(super) request: OpenRequest,
    pub(super) claims: Lists,
}

/// Checks the token and takes from it what the connection starts with. Without one, the client is anonymous where the
/// hub allows that.
pub(super) fn authorize(
    service: &Service,
    parts: &Parts,
    query: &Query<'_>,
    hub: &HubName,
) -> Result<Authorized, Refusal> {
    let from_query = query.last("access_token").filter(|token| !token.is_empty());
    let Some(token) = from_query.or_else(|| bearer(&parts.headers)) else {
        if service.handlers().admits_anonymous(hub) {
            return Ok(Authorized {
                request: nobody(),
                claims: Lists::new(),
            });
        }
        let expected = "an access token in the query (`access_token`) or in the header `Authorization: Bearer <token>`";
        return Err(Refusal::Unauthorized {
            reason: "no access token".to_owned(),
            token: Box::new(traffic::missing(expected)),
        });
    };

    let settings = service.settings();
    let host = parts
        .headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let audiences = audiences(host, settings.public_endpoints.as_slice(), hub);
    let is_ours = |audience: &str| {
        audiences
            .iter()
            .any(|ours| ours.eq_ignore_ascii_case(audience))
    };
    let at = settings.checked_at(service.clock().now().wall);
    let claims = verify_client_token(token, settings.keys(), &is_ours, at).map_err(|error| {
        Refusal::Unauthorized {
            reason: error.to_string(),
            token: Box::new(traffic::explain(token, error, &audiences, at)),
        }
    })?;
    let all_claims = claims.event_claims();
    let token_expires_at = expiry(&claims);

    let most = settings.limits.groups_per_token;
    if claims.groups.len() > most {
        let text = format!("The token names more than {most} groups.");
        return Err(Refusal::BadRequest(text));
    }
    let groups: Result<Vec<_>, _> = claims.groups.into_iter().map(GroupName::new).collect();
    let groups = groups
        .map_err(|_| Refusal::BadRequest("The token contains an invalid group name.".to_owned()))?;
    let request = OpenRequest {
        // A user id of blanks only cannot be addressed, so it is as good as none.
        user: claims.user_id.and_then(|user| UserId::new(user).ok()),
        token_expires_at,
        roles: claims.roles,
        groups,
        ..nobody()
    };
    Ok(Authorized {
        request,
        claims: all_claims,
    })
}

/// When the token expires, as far as times go.
fn expiry(claims: &ClientClaims) -> Option<SystemTime> {
    let seconds = claims.claims.get("exp")?.as_f64()?;
    let since_1970 = Duration::try_from_secs_f64(seconds).ok()?;
    UNIX_EPOCH.checked_add(since_1970)
}

/// A simple client without user, roles and groups.
fn nobody() -> OpenRequest {
    OpenRequest {
        id: None,
        user: None,
        token_expires_at: None,
        roles: Vec::new(),
        groups: Vec::new(),
        form: WireForm::Raw,
        reliable: false,
        protocol: None,
        raw_mode: RawMode::SendEvent,
        timeout: OPEN_TIMEOUT,
        session: Arc::default(),
    }
}

/// The audiences that open this hub: the address the client used, and every public endpoint, each
/// with either scheme since a proxy may have taken TLS off.
fn audiences(host: Option<&str>, public: &[url::Url], hub: &HubName) -> Vec<String> {
    let own = host.and_then(|host| url::Url::parse(&format!("http://{host}/")).ok());
    let of_url =
        |endpoint: &url::Url| client_audience(endpoint, hub.as_str(), ClientProtocol::Default);
    own.iter()
        .chain(public)
        .map(of_url)
        .flat_map(|audience| {
            let rest = audience
                .split_once("://")
                .map_or("", |(_, rest)| rest)
                .to_owned();
            [format!("http://{rest}"), format!("https://{rest}")]
        })
        .collect()
}
