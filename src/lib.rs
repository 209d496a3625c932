//! Stateward: an admission guard for stateful applications on Kubernetes.
//!
//! A validating webhook reviews every change that can break a StatefulSet - to the set itself, its replica count, its governing
//! Service, its disruption budget, its autoscaler, its pods - and the same judgement runs offline, over manifests in CI, and over
//! a live cluster. A mutating webhook fills in what one Service per pod needs. One binary, `stateward`, over this library.
//!
//! # The flow
//!
//! ```text
//! AdmissionReview bytes ─ admission::decode ─▶ Change ─┐
//! YAML / JSON manifests ─ cluster::files ───▶ Change* ─┼─▶ evaluate(&Change, &Cluster, &Policies, now) ─▶ Verdict
//! live cluster ────────── cluster::live ────▶ Cluster ─┘                                                   │
//!                                     AdmissionResponse ◀─ admission::encode ──────────────────────────────┤
//!                                     Events ◀─ webhook::Events ───────────────────────────────────────────┤
//!                                     report (human, JSON) ◀─ audit ───────────────────────────────────────┘
//!
//! AdmissionReview bytes ─ admission::decode ─▶ Change ─▶ mutate(&Change, &Cluster, &Policies) ─▶ Mutation
//!                                     AdmissionResponse ◀─ admission::encode_mutation ─ patch ◀──────┘
//!
//! annotated StatefulSets, and the Services there are ─▶ controller::plan ─▶ Services, one a pod
//! ```
//!
//! In a cluster the snapshot is a little behind, so a verdict that would refuse a change for what the snapshot says of *other*
//! objects is not sent: those objects are read live, within the request's own time, and the change is judged again
//! ([`cluster::confirm`], `webhook/confirmation.rs`). What cannot be confirmed becomes a warning.
//!
//! - [`change::Change`]: what is about to happen (create, update, delete, scale), who asks, and whether it is a dry run.
//! - [`cluster::Cluster`]: what else exists, an immutable snapshot with indexed lookups. A lookup answers *present*, *absent* or
//!   *unknown*.
//! - [`policy::Policies`]: which rules apply, at which level, with which parameters, and who is exempt until when.
//! - [`verdict::Verdict`]: findings, each with rule, level, object, JSON pointer, message and remedy.
//!
//! [`evaluate::evaluate`] is the only way to a verdict; webhook, audit and reports all call it, so they cannot disagree.
//!
//! # The modules
//!
//! | module | | what it is |
//! |---|---|---|
//! | [`model`] | pure | what the rules read of Kubernetes objects, and the arithmetic of quorums, budgets and selectors |
//! | [`change`] | pure | what is about to happen |
//! | [`cluster`] | pure | what else exists; [`cluster::files`] fills it from manifests |
//! | [`cluster::live`], [`cluster::confirm`] | shell | what else exists by watching an API server, and by asking it once more before a denial |
//! | [`rules`] | pure | one file a rule, and the registry |
//! | [`policy`] | pure | levels, matching, exemptions, and the class of an application |
//! | [`evaluate`](mod@evaluate), [`verdict`] | pure | the judgement and its result |
//! | [`mutate`](mod@mutate) | pure | what is filled in, as explicit operations |
//! | [`admission`] | pure | the bytes of a review, in and out |
//! | [`registration`] | pure | the webhook configurations, from what the rules look at |
//! | [`manifest`] | pure but for [`manifest::sources`] | YAML and JSON as kubectl reads them, with positions |
//! | [`audit`] | | the judgement of manifests and live clusters, and its reports |
//! | [`controller`] | pure but for its watches and [`controller::Controller`] | a Service for each pod, and Metacontroller's hooks |
//! | [`webhook`] | shell | HTTPS: limits, certificates, health, metrics, drain |
//! | [`lease`] | shell but for its `candidate` | one replica at a time leads |
//! | [`certs::managed`], [`certs::authority`], [`certs::x509`], [`certs::inspect`] | pure | certificates of our own: when to make which, and what is wrong with one |
//! | [`certs::keeper`] | shell | one certificate for all replicas, in a Secret and the webhook configurations |
//! | [`cli`], [`logging`] | shell | the command line |
//!
//! # The invariants
//!
//! Each has a test.
//!
//! 1. Pure modules use no tokio, axum, kube client, file system, environment or clock (`tests/invariants.rs`).
//! 2. A rule is data and one function. It does not choose its level, does not know the other rules and cannot fail
//!    (`tests/invariants.rs`, `tests/rules.rs`).
//! 3. All violations are reported at once, ordered.
//! 4. Every finding names the object, the field, what was seen, why it matters and the edit that fixes it (the snapshots in
//!    `tests/rules`).
//! 5. Unknown never denies, and what denies is confirmed (`tests/captures.rs`, `tests/properties.rs`, `tests/confirm.rs`).
//! 6. Updates ratchet: a violation that was there before is a warning, unless the update makes it worse.
//! 7. What is being deleted is never held up: an object with a `deletionTimestamp`, one in a namespace that has one, nor
//!    the controllers that clean up.
//! 8. Mutations are idempotent, lose nothing, never touch `spec.selector`, and never edit a pod template on an update that did
//!    not already change it, which would restart every pod (`tests/mutation.rs`).
//! 9. A patch is built from explicit operations on known fields, never by diffing against a typed object, which would remove what
//!    the type does not know (`tests/mutation.rs`).
//! 10. One malformed policy, object or request disables only itself and says so (`tests/cli.rs`, `tests/webhook_http.rs`,
//!     `tests/live.rs`).

pub mod admission;
pub mod audit;
pub mod certs;
pub mod change;
pub mod cli;
pub mod cluster;
pub mod controller;
pub mod evaluate;
pub mod lease;
pub mod logging;
pub mod manifest;
pub mod model;
pub mod mutate;
pub mod policy;
pub mod registration;
pub mod rules;
pub mod verdict;
pub mod webhook;
