//! Slices of quotas on the wire: a part of what is left, handed to one instance.

use serde::{Deserialize, Serialize};
use tenure_core::Quantity;
use utoipa::ToSchema;

use crate::quota::Quota;

/// A part of a quota that an instance may use without asking again.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Slice {
    /// The name that the instance gave it.
    #[schema(example = "01932f3ea1b27c3d9e4f5a6b7c8d9e0f")]
    pub id: String,
    /// Id of the meter.
    #[schema(example = "agent_runs")]
    pub meter: String,
    /// All of it, in the unit of the meter's events; what was used of it included.
    #[schema(example = "250")]
    pub quantity: Quantity,
    /// It may be used for so many seconds from now.
    #[schema(example = 3600)]
    pub ends_in_seconds: u32,
    /// The quota as it stands after this.
    pub quota: Quota,
}

/// What came of a request.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Sliced {
    /// The slice that was asked for, if one was.
    pub slice: Option<Slice>,
}
