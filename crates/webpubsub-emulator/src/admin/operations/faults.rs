//! What goes wrong on purpose.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Context, Outcome};
use crate::admin::answer::{AdminError, Answer};
use crate::admin::generated::{AddFault, ClearFaults, ListFaults, RemoveFault, Restart};
use crate::faults::{self, Fault, Faults};

/// What a restart leaves.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct RestartRequest {
    state: Left,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Left {
    Keep,
    Lose,
}

pub(in crate::admin) async fn list_faults(context: &Context<'_>, _: ListFaults) -> Outcome {
    Ok(shown(&faults_of(context)))
}

pub(in crate::admin) async fn add_fault(
    context: &Context<'_>,
    _: AddFault,
    fault: Fault,
) -> Outcome {
    let faults = faults_of(context);
    let added = faults.add(fault);
    let id = added.map_err(|error| AdminError::bad_parameter("fault", &error.to_string()))?;
    let rule = faults.list().into_iter().find(|rule| rule.id == id);
    match rule {
        Some(rule) => {
            tracing::info!(%id, ?rule.fault, "a fault was added");
            Ok(Answer::json(&rule))
        }
        // Somebody has removed it already.
        None => Err(no_rule(id)),
    }
}

pub(in crate::admin) async fn clear_faults(context: &Context<'_>, _: ClearFaults) -> Outcome {
    let faults = faults_of(context);
    faults.clear();
    Ok(shown(&faults))
}

pub(in crate::admin) async fn remove_fault(
    context: &Context<'_>,
    RemoveFault { id }: RemoveFault,
) -> Outcome {
    let faults = faults_of(context);
    match faults.remove(id) {
        true => Ok(shown(&faults)),
        false => Err(no_rule(id)),
    }
}

pub(in crate::admin) async fn restart(
    context: &Context<'_>,
    _: Restart,
    request: RestartRequest,
) -> Outcome {
    faults_of(context).restart(match request.state {
        Left::Keep => faults::Restart::KeepState,
        Left::Lose => faults::Restart::LoseState,
    });
    Ok(Answer::json(&request))
}

fn faults_of(context: &Context<'_>) -> Faults {
    Faults::new(Arc::clone(context.service))
}

fn shown(faults: &Faults) -> Answer {
    Answer::list("faults", &faults.list())
}

fn no_rule(id: faults::FaultId) -> AdminError {
    AdminError::not_found("Fault", format!("There is no rule `{id}`."))
}
