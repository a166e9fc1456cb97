//! The clock.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Context, Outcome};
use crate::admin::answer::{AdminError, Answer};
use crate::admin::generated::{AdvanceClock, GetClock};
use crate::clock::Clock;
use crate::date::Timestamp;

/// How far the clock can be moved at once: ten years.
const MOST_SECONDS: f64 = 315_360_000.0;

/// How far the clock is to be moved.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct Advance {
    seconds: f64,
}

pub(in crate::admin) async fn get_clock(context: &Context<'_>, _: GetClock) -> Outcome {
    Ok(shown(context.service.clock()))
}

pub(in crate::admin) async fn advance_clock(
    context: &Context<'_>,
    _: AdvanceClock,
    Advance { seconds }: Advance,
) -> Outcome {
    if !(0.0..=MOST_SECONDS).contains(&seconds) {
        let problem = "expected a number from 0 to 315360000";
        return Err(AdminError::bad_parameter("seconds", problem));
    }
    let clock = context.service.clock();
    clock.advance(Duration::from_secs_f64(seconds));
    tracing::info!(seconds, "the clock was moved forward");
    Ok(shown(clock))
}

fn shown(clock: &Clock) -> Answer {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Shown {
        now: Timestamp,
        advanced_seconds: f64,
        manual: bool,
    }

    Answer::json(&Shown {
        now: Timestamp(clock.now().wall),
        advanced_seconds: clock.advanced().as_secs_f64(),
        manual: clock.is_manual(),
    })
}
