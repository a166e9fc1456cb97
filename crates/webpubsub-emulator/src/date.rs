//! Dates as text: RFC 3339 in UTC.

use std::time::{Duration, SystemTime};

use serde::{Serialize, Serializer};

/// A time that is written with milliseconds, as the admin API has all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Timestamp(pub(crate) SystemTime);

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&in_millis(self.0))
    }
}

/// With whole seconds; times before 1970 count as 1970.
pub(crate) fn in_seconds(time: SystemTime) -> String {
    format!("{}Z", date_and_time(since_1970(time)))
}

/// With milliseconds; times before 1970 count as 1970.
pub(crate) fn in_millis(time: SystemTime) -> String {
    let since = since_1970(time);
    format!("{}.{:03}Z", date_and_time(since), since.subsec_millis())
}

fn since_1970(time: SystemTime) -> Duration {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}

fn date_and_time(since_1970: Duration) -> String {
    let seconds = since_1970.as_secs();
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Days since 0000-03-01, so that leap days end their years (Howard Hinnant, "chrono-compatible date algorithms").
    let day = days + 719_468;
    let (era, day) = (day / 146_097, day % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00"),
            (951_782_399, "2000-02-28T23:59:59"),
            (951_782_400, "2000-02-29T00:00:00"),
            (1_709_251_199, "2024-02-29T23:59:59"),
            (1_709_251_200, "2024-03-01T00:00:00"),
            (1_735_689_599, "2024-12-31T23:59:59"),
            (4_107_542_400, "2100-03-01T00:00:00"),
        ] {
            let time = SystemTime::UNIX_EPOCH + Duration::from_millis(seconds * 1000 + 999);
            assert_eq!(in_seconds(time), format!("{expected}Z"));
            assert_eq!(in_millis(time), format!("{expected}.999Z"));
        }
    }
}
