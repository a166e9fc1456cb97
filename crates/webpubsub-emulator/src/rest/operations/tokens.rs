//! Client access tokens, made by the service for callers that cannot sign.

use std::time::Duration;

use serde::Serialize;
use webpubsub_protocol::access::{ClientProtocol, ClientTokenOptions, issue_client_token};

use super::super::answer::Outcome;
use super::super::generated::{ClientType, GenerateClientToken};
use super::Context;

/// Issues a token for the endpoint that the caller used.
///
/// Whoever may call this also holds the key or passes for an Entra principal: unlike Microsoft's
/// emulator, which takes Entra tokens only, this takes both.
pub(super) fn generate(context: &Context<'_>, call: GenerateClientToken) -> Outcome {
    #[derive(Serialize)]
    struct Document<'a> {
        token: &'a str,
    }

    let protocol = match call.client_type {
        ClientType::Default => ClientProtocol::Default,
        ClientType::Mqtt => ClientProtocol::Mqtt,
        ClientType::SocketIO => ClientProtocol::SocketIo,
    };
    let lifetime = Duration::from_secs(u64::from(call.minutes_to_expire) * 60);
    let mut options = ClientTokenOptions::default()
        .lifetime(lifetime)
        .protocol(protocol);
    options.user_id = call.user_id;
    options.roles = call.roles;
    options.groups = call.groups.iter().map(ToString::to_string).collect();
    let token = issue_client_token(
        &context.origin.endpoint(),
        call.hub.as_str(),
        context.service.settings().access_key(),
        &options,
        context.service.clock().now().wall,
    );
    Outcome::document(&Document {
        token: token.as_str(),
    })
}
