#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod clock;
mod counters;
mod hub;
mod ids;
mod rest;
mod service;
mod settings;
mod socket;
mod tap;
