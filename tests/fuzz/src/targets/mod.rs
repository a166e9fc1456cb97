//! The targets, one module for each part of the workspace.

mod access;
mod cloud_event;
mod config_file;
mod filter;
mod frames;
mod hub;
mod permission;
mod proxy_url;
mod session;
mod simple;

use crate::{Target, seeds};

const JSON: &[&str] = &[
    "\"type\":",
    "\"ackId\":",
    "\"group\":",
    "\"dataType\":",
    "\"data\":",
    "\"event\":",
    "\"stream\":",
    "\"streamId\":",
    "\"streamSequenceId\":",
    "\"metadata\":",
    "\"state\":",
    "\"error\":",
    "\"sequenceId\":",
    "\"ttlSeconds\":",
    "\"noEcho\":",
    "\"invocationId\":",
    "\"joinGroup\"",
    "\"leaveGroup\"",
    "\"sendToGroup\"",
    "\"invoke\"",
    "\"cancelInvocation\"",
    "\"sequenceAck\"",
    "\"ping\"",
    "\"json\"",
    "\"text\"",
    "\"binary\"",
    "\"protobuf\"",
    "\\u0000",
    "\\ud800",
    "null",
    "true",
];

const FILTER: &[&str] = &[
    " and ",
    " or ",
    "not ",
    " eq ",
    " ne ",
    " gt ",
    " in ",
    "userId",
    "connectionId",
    "groups",
    "protocol",
    "null",
    "true",
    "length(",
    "indexof(",
    "contains(",
    "startswith(",
    "endswith(",
    "tolower(",
    "toupper(",
    "trim(",
    "concat(",
    "substring(",
    "''",
    "-2147483648",
];

const HEADERS: &[&str] = &[
    "ce-type: azure.webpubsub.sys.connect\n",
    "ce-type: azure.webpubsub.user.a\n",
    "ce-signature: *\n",
    "ce-connectionState: ",
    "ce-userId: ",
    "ce-subprotocol: mqtt\n",
    "content-type: application/json\n",
    "content-encoding: ",
    "webhook-request-origin: a\n",
    "x-webpubsub-metadata-a: ",
    "\"mqtt\":",
    "\"claims\":",
    "\"protocolVersion\":",
    "azure.webpubsub.sys.disconnected",
    "azure.webpubsub.gp.joined",
];

const CONFIG: &[&str] = &[
    "emulator.toml\n",
    "emulator.json\n",
    "appsettings.json\n",
    "port = ",
    "access-key = ",
    "[hubs.chat]\n",
    "[[hubs.chat.event_handlers]]\n",
    "url = ",
    "user_events = ",
    "system_events = ",
    "anonymous_connect = ",
    "\"hubs\":",
    "\"event_handlers\":",
    "{event}",
    "{hub}",
    "\"Emulator\":",
    "\"\"\"",
    "\\u0000",
];

/// All of them.
pub const TARGETS: &[Target] = &[
    Target {
        name: "json_client",
        about: "frames of clients as JSON",
        run: frames::json_client,
        seeds: || seeds::json_frames("up"),
        words: JSON,
        longest: 4096,
    },
    Target {
        name: "json_server",
        about: "frames of the service as JSON",
        run: frames::json_server,
        seeds: || seeds::json_frames("down"),
        words: JSON,
        longest: 4096,
    },
    Target {
        name: "protobuf_client",
        about: "frames of clients as protobuf",
        run: frames::protobuf_client,
        seeds: || seeds::protobuf_frames("up"),
        words: &[],
        longest: 1024,
    },
    Target {
        name: "protobuf_server",
        about: "frames of the service as protobuf",
        run: frames::protobuf_server,
        seeds: || seeds::protobuf_frames("down"),
        words: &[],
        longest: 1024,
    },
    Target {
        name: "simple_client",
        about: "messages of clients without a subprotocol",
        run: simple::run,
        seeds: simple::seeds,
        words: &[],
        longest: 512,
    },
    Target {
        name: "filter",
        about: "OData filters, and the quoting of texts in them",
        run: filter::run,
        seeds: seeds::filters,
        words: FILTER,
        longest: 1024,
    },
    Target {
        name: "permission",
        about: "roles, patterns and permissions",
        run: permission::run,
        seeds: seeds::roles,
        words: &[
            "webpubsub.joinLeaveGroup",
            "webpubsub.sendToGroups.",
            "webpubsub.setGroupState.",
            "**",
            "\\*",
        ],
        longest: 512,
    },
    Target {
        name: "connection_string",
        about: "connection strings and endpoints",
        run: access::connection_string,
        seeds: seeds::connection_strings,
        words: &[
            "Endpoint=",
            "AccessKey=",
            "Version=1.0",
            "Port=",
            "https://",
            "xn--",
            "[::1]",
        ],
        longest: 512,
    },
    Target {
        name: "token",
        about: "access tokens of clients, of REST calls and of recoveries",
        run: access::token,
        seeds: seeds::tokens,
        words: &[
            "{\"alg\":\"HS256\"}",
            "\"aud\":",
            "\"exp\":",
            "\"nbf\":",
            "\"role\":",
            "\"webpubsub.group\":",
            "1e999",
        ],
        longest: 1024,
    },
    Target {
        name: "cloud_event",
        about: "requests to event handlers: headers, signature and body",
        run: cloud_event::run,
        seeds: Vec::new,
        words: HEADERS,
        longest: 2048,
    },
    Target {
        name: "proxy_url",
        about: "URLs of proxies",
        run: proxy_url::run,
        seeds: proxy_url::seeds,
        words: &[
            "http://",
            "https://",
            "socks5://",
            "socks5h://",
            "@",
            "[::1]",
            "%00",
        ],
        longest: 256,
    },
    Target {
        name: "config_file",
        about: "the emulator's configuration file in its three forms",
        run: config_file::run,
        seeds: Vec::new,
        words: CONFIG,
        longest: 2048,
    },
    Target {
        name: "session",
        about: "the client's session: any calls and frames in any order",
        run: session::run,
        seeds: seeds::noise,
        words: &[],
        longest: 2048,
    },
    Target {
        name: "hub",
        about: "the emulator's hub: any clients, frames and REST calls in any order",
        run: hub::run,
        seeds: seeds::noise,
        words: &[],
        longest: 2048,
    },
];

/// The target of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
