//! Makes one call with the `webpubsub` crate.

use std::time::Duration;

use azure_core::{Error, error::ErrorKind};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use webpubsub::action::{Closing, Excluding, Filtered, Sending};
use webpubsub::{
    Call, ClientProtocol, GroupConnection, Message, Permission, Streamed, WebPubSubServiceClient,
    payload,
};

use crate::stream::Parts;
use crate::table::{self, Body, Close, Operation, Send};

/// Makes the call and gives what the official package would: null, a boolean, or data.
pub(crate) async fn make(
    client: &WebPubSubServiceClient,
    operation: &Operation,
) -> azure_core::Result<Value> {
    match operation {
        Operation::SendToAll(send) => {
            let call = client.send_to_all(message(&send.body)?);
            done(excluding(filtered(sending(call, send), send), &send.excluded).await)
        }
        Operation::SendToUser { user, send } => done(
            filtered(
                sending(client.send_to_user(user, message(&send.body)?), send),
                send,
            )
            .await,
        ),
        Operation::SendToConnection { connection, send } => done(
            sending(
                client.send_to_connection(connection, message(&send.body)?),
                send,
            )
            .await,
        ),
        Operation::SendToGroup { group, send } => {
            let call = client.group(group).send_to_all(message(&send.body)?);
            done(excluding(filtered(sending(call, send), send), &send.excluded).await)
        }

        Operation::ConnectionExists { connection } => {
            answer(client.connection_exists(connection).await)
        }
        Operation::UserExists { user } => answer(client.user_exists(user).await),
        Operation::GroupExists { group } => answer(client.group_exists(group).await),

        Operation::CloseConnection { connection, close } => {
            done(closing(client.close_connection(connection), close).await)
        }
        Operation::CloseAllConnections(close) => done(
            excluding(
                closing(client.close_all_connections(), close),
                &close.excluded,
            )
            .await,
        ),
        Operation::CloseUserConnections { user, close } => done(
            excluding(
                closing(client.close_user_connections(user), close),
                &close.excluded,
            )
            .await,
        ),
        Operation::CloseGroupConnections { group, close } => {
            let call = client.group(group).close_all_connections();
            done(excluding(closing(call, close), &close.excluded).await)
        }

        Operation::AddConnectionToGroup { group, connection } => {
            done(client.group(group).add_connection(connection).await)
        }
        Operation::RemoveConnectionFromGroup { group, connection } => {
            done(client.group(group).remove_connection(connection).await)
        }
        Operation::AddUserToGroup { group, user } => done(client.group(group).add_user(user).await),
        Operation::RemoveUserFromGroup { group, user } => {
            done(client.group(group).remove_user(user).await)
        }
        Operation::RemoveUserFromAllGroups { user } => {
            done(client.remove_user_from_all_groups(user).await)
        }
        Operation::RemoveConnectionFromAllGroups { connection } => {
            done(client.remove_connection_from_all_groups(connection).await)
        }
        Operation::AddConnectionsToGroups(table::Groups { groups, filter }) => {
            done(client.add_connections_to_groups(groups, filter).await)
        }
        Operation::RemoveConnectionsFromGroups(table::Groups { groups, filter }) => {
            done(client.remove_connections_from_groups(groups, filter).await)
        }

        Operation::GrantPermission(table::Permission {
            connection,
            permission,
            target,
        }) => done(
            client
                .grant_permission(connection, parse(permission)?, target)
                .await,
        ),
        Operation::RevokePermission(table::Permission {
            connection,
            permission,
            target,
        }) => done(
            client
                .revoke_permission(connection, parse(permission)?, target)
                .await,
        ),
        Operation::HasPermission(table::Permission {
            connection,
            permission,
            target,
        }) => answer(
            client
                .has_permission(connection, parse(permission)?, target)
                .await,
        ),

        Operation::ListConnections(list) => list_connections(client, list).await,
        Operation::ClientAccessToken(token) => client_access_token(client, token).await,
    }
}

async fn list_connections(
    client: &WebPubSubServiceClient,
    table::List {
        group,
        page_size,
        top,
        continuation,
        by_page,
    }: &table::List,
) -> azure_core::Result<Value> {
    let mut list = client.group(group).list_connections();
    if let Some(size) = page_size {
        list = list.page_size(*size);
    }
    if let Some(top) = top {
        list = list.top(*top);
    }
    if let Some(token) = continuation {
        list = list.continuation_token(token);
    }
    let member = |GroupConnection {
                      connection_id,
                      user_id,
                      ..
                  }: GroupConnection| {
        json!({ "connectionId": connection_id, "userId": user_id })
    };
    if *by_page {
        let page = |page: webpubsub::ConnectionPage| {
            page.connections.into_iter().map(member).collect::<Value>()
        };
        list.into_pages()
            .map_ok(page)
            .try_collect::<Vec<_>>()
            .await
            .map(Value::from)
    } else {
        list.into_stream()
            .map_ok(member)
            .try_collect::<Vec<_>>()
            .await
            .map(Value::from)
    }
}

async fn client_access_token(
    client: &WebPubSubServiceClient,
    table::Token {
        user,
        roles,
        groups,
        minutes,
        protocol,
    }: &table::Token,
) -> azure_core::Result<Value> {
    let mut call = client.client_access_token().roles(roles).groups(groups);
    if let Some(user) = user {
        call = call.user_id(user);
    }
    if let Some(minutes) = minutes {
        call = call.lifetime(Duration::from_secs(minutes * 60));
    }
    if let Some(protocol) = protocol {
        call = call.protocol(match protocol.as_str() {
            "default" => ClientProtocol::Default,
            "mqtt" => ClientProtocol::Mqtt,
            "socketio" => ClientProtocol::SocketIo,
            other => return Err(bad_table(format!("unknown protocol {other}"))),
        });
    }
    let access = call.await?;
    Ok(
        json!({ "token": access.token().as_str(), "baseUrl": access.base_url(), "url": access.url() }),
    )
}

fn message(body: &Body) -> azure_core::Result<Message> {
    Ok(match body {
        Body::Text(text) => text.into(),
        Body::Json(document) => {
            payload::Json(RawValue::from_string(document.clone()).map_err(bad_table)?).into()
        }
        Body::Binary(base64) => bytes(base64)?.into(),
        Body::Stream(parts) => {
            let parts = parts
                .iter()
                .map(|part| bytes(part))
                .collect::<azure_core::Result<_>>()?;
            Streamed::new(Parts::new(parts)).into()
        }
    })
}

fn bytes(base64: &str) -> azure_core::Result<Bytes> {
    BASE64_STANDARD
        .decode(base64)
        .map(Bytes::from)
        .map_err(bad_table)
}

fn sending<A: Sending>(mut call: Call<A>, send: &Send) -> Call<A> {
    if let Some(seconds) = send.ttl {
        call = call.ttl(Duration::from_secs(seconds));
    }
    for (key, value) in &send.metadata {
        call = call.metadata(key, value);
    }
    call
}

fn filtered<A: Filtered>(call: Call<A>, send: &Send) -> Call<A> {
    match &send.filter {
        Some(filter) => call.filter(filter),
        None => call,
    }
}

fn excluding<A: Excluding>(call: Call<A>, excluded: &[String]) -> Call<A> {
    call.exclude_all(excluded)
}

fn closing<A: Closing>(call: Call<A>, close: &Close) -> Call<A> {
    match &close.reason {
        Some(reason) => call.reason(reason),
        None => call,
    }
}

fn parse(permission: &str) -> azure_core::Result<Permission> {
    permission.parse().map_err(bad_table)
}

fn done(result: azure_core::Result<()>) -> azure_core::Result<Value> {
    result.map(|()| Value::Null)
}

fn answer(result: azure_core::Result<bool>) -> azure_core::Result<Value> {
    result.map(Value::from)
}

fn bad_table(error: impl Into<Box<dyn std::error::Error + std::marker::Send + Sync>>) -> Error {
    Error::new(ErrorKind::DataConversion, error)
}
