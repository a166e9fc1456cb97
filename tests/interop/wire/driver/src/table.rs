//! The table of calls, as it stands in `tests/interop/wire/calls.json`.

use std::collections::BTreeMap;

use serde::Deserialize;

/// One call.
#[derive(Deserialize)]
pub(crate) struct Call {
    pub(crate) id: String,
    pub(crate) client: Client,
    #[serde(flatten)]
    pub(crate) operation: Operation,
}

/// How the client is made. `{recorder}` stands for the address of the recorder.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Client {
    pub(crate) hub: String,
    #[serde(default)]
    pub(crate) reverse_proxy: Option<String>,
    #[serde(flatten)]
    pub(crate) credential: Credential,
}

#[derive(Deserialize)]
#[serde(tag = "credential", rename_all = "camelCase")]
pub(crate) enum Credential {
    ConnectionString { value: String },
    Key { endpoint: String, key: String },
    Entra { endpoint: String },
}

/// What is called, by the official package's name of it; `group.` are the methods of a group.
#[derive(Deserialize)]
#[serde(tag = "method", content = "args", rename_all = "camelCase")]
pub(crate) enum Operation {
    SendToAll(Send),
    SendToUser {
        user: String,
        #[serde(flatten)]
        send: Send,
    },
    SendToConnection {
        connection: String,
        #[serde(flatten)]
        send: Send,
    },
    #[serde(rename = "group.sendToAll")]
    SendToGroup {
        group: String,
        #[serde(flatten)]
        send: Send,
    },

    ConnectionExists {
        connection: String,
    },
    UserExists {
        user: String,
    },
    GroupExists {
        group: String,
    },

    CloseConnection {
        connection: String,
        #[serde(flatten)]
        close: Close,
    },
    CloseAllConnections(Close),
    CloseUserConnections {
        user: String,
        #[serde(flatten)]
        close: Close,
    },
    #[serde(rename = "group.closeAllConnections")]
    CloseGroupConnections {
        group: String,
        #[serde(flatten)]
        close: Close,
    },

    #[serde(rename = "group.addConnection")]
    AddConnectionToGroup {
        group: String,
        connection: String,
    },
    #[serde(rename = "group.removeConnection")]
    RemoveConnectionFromGroup {
        group: String,
        connection: String,
    },
    #[serde(rename = "group.addUser")]
    AddUserToGroup {
        group: String,
        user: String,
    },
    #[serde(rename = "group.removeUser")]
    RemoveUserFromGroup {
        group: String,
        user: String,
    },
    RemoveUserFromAllGroups {
        user: String,
    },
    RemoveConnectionFromAllGroups {
        connection: String,
    },
    AddConnectionsToGroups(Groups),
    RemoveConnectionsFromGroups(Groups),

    GrantPermission(Permission),
    RevokePermission(Permission),
    HasPermission(Permission),

    #[serde(rename = "group.listConnections")]
    ListConnections(List),
    ClientAccessToken(Token),
}

#[derive(Deserialize)]
pub(crate) struct Send {
    pub(crate) body: Body,
    #[serde(default)]
    pub(crate) excluded: Vec<String>,
    pub(crate) filter: Option<String>,
    pub(crate) ttl: Option<u64>,
    #[serde(default)]
    pub(crate) metadata: BTreeMap<String, String>,
}

/// Bytes are base64; `json` is a document as text, so that nothing rewrites it.
#[derive(Deserialize)]
#[serde(tag = "kind", content = "value", rename_all = "camelCase")]
pub(crate) enum Body {
    Text(String),
    Json(String),
    Binary(String),
    Stream(Vec<String>),
}

#[derive(Deserialize)]
pub(crate) struct Close {
    #[serde(default)]
    pub(crate) excluded: Vec<String>,
    pub(crate) reason: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Groups {
    pub(crate) groups: Vec<String>,
    pub(crate) filter: String,
}

#[derive(Deserialize)]
pub(crate) struct Permission {
    pub(crate) connection: String,
    pub(crate) permission: String,
    pub(crate) target: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct List {
    pub(crate) group: String,
    pub(crate) page_size: Option<u32>,
    pub(crate) top: Option<u32>,
    pub(crate) continuation: Option<String>,
    #[serde(default)]
    pub(crate) by_page: bool,
}

#[derive(Deserialize)]
pub(crate) struct Token {
    pub(crate) user: Option<String>,
    #[serde(default)]
    pub(crate) roles: Vec<String>,
    #[serde(default)]
    pub(crate) groups: Vec<String>,
    pub(crate) minutes: Option<u64>,
    pub(crate) protocol: Option<String>,
}
