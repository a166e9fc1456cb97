#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod admin;
mod clock;
mod counters;
mod date;
mod emulator;
mod faults;
mod gate;
mod handlers;
mod headers;
mod http;
mod hub;
mod hubs;
mod ids;
mod inspect;
mod metrics;
mod refusal;
mod rest;
mod route;
mod saved;
mod service;
mod settings;
mod socket;
mod traffic;

pub use clock::Clock;
pub use counters::Counts;
pub use emulator::{
    AccessKeyError, Emulator, EmulatorBuilder, KeyRole, Limit, StartError, UserEvent,
    UserEventFailed, UserEventReply,
};
pub use faults::{Fault, FaultId, FaultRule, Faults, InvalidFault, Restart};
pub use handlers::{
    AnonymousConnectPolicy, Check, Code, Diagnosis, Doctor, EventHandler, EventPattern, HubOptions,
    InvalidPattern, InvalidPolicy, InvalidTemplate, Status, SystemEvent, Trigger, TriggerError,
    TriggerEvent, Triggered, UnknownSystemEvent, UrlTemplate,
};
#[cfg(feature = "__simulation")]
#[doc(hidden)]
pub use hub::driven;
pub use hub::{ConnectionSnapshot, HubSnapshot, MessageKind, State};
pub use inspect::{
    ConnectionInfo, Fill, GroupInfo, HandlerHealth, HandlerInfo, HubInfo, MemberInfo,
};
pub use saved::{Imported, InvalidState, SavedConnection, SavedHub, SavedState};
pub use settings::WELL_KNOWN_KEY;
pub use traffic::{
    Denial, Direction, Excerpt, FilteredSend, LeftOut, LookedAt, NotSeen, SentEvent, TokenMismatch,
    Traffic, TrafficEntry, TrafficEvent, Verdict,
};
