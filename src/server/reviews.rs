//! What the routes of the webhook port share.

use std::sync::Arc;

use super::{Limits, Metrics};
use crate::guard::Guard;

pub(super) struct Reviews {
    pub(super) guard: Box<dyn Guard>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) limits: Limits,
}
