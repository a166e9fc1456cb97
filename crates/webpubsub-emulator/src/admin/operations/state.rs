//! Groups, permissions and states of groups as a file.

use super::{Context, Outcome};
use crate::admin::answer::{AdminError, Answer};
use crate::admin::generated::{GetState, PutState};
use crate::saved::SavedState;

pub(in crate::admin) async fn get_state(context: &Context<'_>, _: GetState) -> Outcome {
    Ok(Answer::json(&context.service.export()))
}

pub(in crate::admin) async fn put_state(
    context: &Context<'_>,
    _: PutState,
    state: SavedState,
) -> Outcome {
    let imported = context.service.import(state);
    let imported = imported.map_err(|error| AdminError::bad_request(error.to_string()))?;
    Ok(Answer::json(&imported))
}
