//! User events: how they are told, and what answers do to each kind of client.
