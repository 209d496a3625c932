//! One Service for each pod of a StatefulSet that asks for them.

pub mod adoption;
pub mod metacontroller;
pub mod owned;
pub mod plan;
pub mod problem;
pub mod service;
pub mod set;
pub mod template;
