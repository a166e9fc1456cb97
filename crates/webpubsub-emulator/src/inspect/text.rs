//! How the admin API writes names, times and durations.

use std::time::{Duration, SystemTime};

use serde::{Serialize as _, Serializer};

use crate::date::Timestamp;

pub(crate) fn name<S: Serializer>(
    name: &impl AsRef<str>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(name.as_ref())
}

pub(crate) fn optional_name<S: Serializer>(
    name: &Option<impl AsRef<str>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    name.as_ref().map(AsRef::as_ref).serialize(serializer)
}

pub(crate) fn names<S: Serializer>(
    names: &[impl AsRef<str>],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(names.iter().map(AsRef::as_ref))
}

pub(crate) fn time<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    Timestamp(*time).serialize(serializer)
}

pub(crate) fn optional_time<S: Serializer>(
    time: &Option<SystemTime>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    time.map(Timestamp).serialize(serializer)
}

pub(crate) fn seconds<S: Serializer>(
    duration: &Duration,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

pub(crate) fn optional_seconds<S: Serializer>(
    duration: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    duration.map(|it| it.as_secs_f64()).serialize(serializer)
}
