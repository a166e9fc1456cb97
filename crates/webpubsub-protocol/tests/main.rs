//! The tests of the public API, in one binary: linking one is much faster than linking twelve.

mod filter_limits;
mod filter_odata;
mod filter_prop;
mod filter_vectors;
mod json_frames;
mod permission_prop;
mod permission_vectors;
mod prop_frames;
mod prop_protobuf;
mod protobuf_frames;
mod protobuf_server_frames;
mod protobuf_vectors;
mod strategies;
