//! The emulator as a whole.

use serde::Serialize;

use super::{Context, Outcome};
use crate::admin::answer::Answer;
use crate::admin::generated::{GetDescription, GetMetrics, GetStatus};
use crate::counters::Counts;
use crate::date::Timestamp;
use crate::metrics;

pub(in crate::admin) async fn get_description(_: &Context<'_>, _: GetDescription) -> Outcome {
    let document = include_str!("../openapi.json");
    Ok(Answer::text("application/json; charset=utf-8", document))
}

pub(in crate::admin) async fn get_metrics(context: &Context<'_>, _: GetMetrics) -> Outcome {
    let text = metrics::render(context.service);
    Ok(Answer::text(metrics::CONTENT_TYPE, text))
}

pub(in crate::admin) async fn get_status(context: &Context<'_>, _: GetStatus) -> Outcome {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Status<'a> {
        version: &'a str,
        started_at: Timestamp,
        counts: Counts,
    }

    let service = context.service;
    Ok(Answer::json(&Status {
        version: env!("CARGO_PKG_VERSION"),
        started_at: Timestamp(service.started_at()),
        counts: service.counters().counts(),
    }))
}
