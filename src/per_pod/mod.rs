//! One Service for each pod: what a StatefulSet asks for, whose a Service is, and what is to be done. Pure.

pub mod adoption;
pub mod owned;
pub mod plan;
pub mod pods;
pub mod problem;
pub mod service;
pub mod set;
pub mod settings;
pub mod template;
