//! Stateward: an admission guard for stateful applications on Kubernetes.
//!
//! A validating webhook reviews every change that can break a StatefulSet: to the set itself, its replica count, its governing
//! Service, its disruption budget, its autoscaler, its pods. The same evaluation runs offline over manifests in CI, and over a
//! live cluster. A mutating webhook fills in what one Service per pod needs. One binary, `stateward`, over this library.
//!
//! # The flow
//!
//! ```text
//! AdmissionReview bytes ─ admission::decode ──▶ Change ─┐
//! YAML / JSON manifests ─ cluster::inventory ─▶ Change* ─┼─▶ evaluate(&Change, &Cluster, &Policies, now) ─▶ Verdict
//! live cluster ────────── watch ──────────────▶ Cluster ─┘                                                   │
//!                                     AdmissionResponse ◀─ admission::encode ◀─ guard ───────────────────────┤
//!                                     Kubernetes Events ◀─ events ◀─────────────────────────────────────────┤
//!                                     formats ◀─ report ◀─ audit ◀──────────────────────────────────────────┘
//! ```
//!
//! [`evaluate::evaluate`] is the only way to a verdict: webhook, audit and reports call it, so they cannot disagree. In a cluster
//! the snapshot is a little behind, so a verdict that would deny a change for what the snapshot says of *other* objects is
//! confirmed by live reads first ([`guard`]).
//!
//! # The rooms
//!
//! A room imports only what stands below it in this list; `tests/library/invariants.rs` holds that.
//!
//! | room | what it is |
//! |---|---|
//! | [`cli`] | one file a command |
//! | [`controller`] | makes, changes and deletes per-pod Services |
//! | [`companions`] | what new StatefulSets still lack, by an Event |
//! | [`reports`] | judges what exists and publishes it as reports and metrics |
//! | [`policy_status`] | writes `status` of policies and exemptions |
//! | [`server`] | TLS, connections, limits, routes: bytes only |
//! | [`guard`] | the path of a review: decode, evaluate, confirm by live reads, encode |
//! | [`certs`] | certificates of our own: one for all replicas, renewed, and put into `caBundle` |
//! | [`lease`] | leadership: one replica at a time |
//! | [`events`] | Kubernetes Events |
//! | [`watch`] | list-and-watch into a [`cluster::Cluster`], one engine for every kind |
//! | [`api_server`] | requests, errors, time-outs, waits, the rate limiter: for all that talk to an API server |
//! | [`process`] | readiness, shutdown, logging |
//! | | **pure from here on**: no tokio, kube client, file system, environment, clock |
//! | [`show`] | one application at a glance, and what a drain of nodes would take |
//! | [`audit`] | the evaluation of all objects of manifests or of a listed cluster |
//! | [`fix`] | the edits of findings, made in the files that were read |
//! | [`report`] | findings with their places, and the formats |
//! | [`metacontroller`] | Metacontroller's hooks: its wire format, answered with the per-pod template |
//! | [`per_pod`] | what per-pod Services a set asks for, and what is to be done |
//! | [`crds`] | CustomResourceDefinitions and schemas for editors, made from the types of policies |
//! | [`webhook_config`] | the webhook configurations, made from what the rules look at |
//! | [`admission`] | the wire format of AdmissionReviews, in and out |
//! | [`mutate`](mod@mutate) | what is filled in, as explicit operations |
//! | [`evaluate`](mod@evaluate) | from a change to a verdict: which rules run, at which level, with which exemptions |
//! | [`policy`] | documents, matching, levels, exemptions, the class of a set |
//! | [`cel`] | the Common Expression Language: parsed, typed and metered |
//! | [`rules`] | one file a rule; typed parameters, the registry |
//! | [`software`] | the catalogue of software: images, command lines, patterns |
//! | [`cluster`] | the snapshot, its indexes, the view with a pending change |
//! | [`manifest`] | YAML and JSON as kubectl reads them, with positions |
//! | [`change`] | what is about to happen, and who asks |
//! | [`verdict`] | levels, findings, exemptions |
//! | [`model`] | facts about objects; the arithmetic of quorums, budgets and selectors |
//!
//! Levels and findings stand below the rules because a rule speaks in them.
//!
//! # The invariants
//!
//! Each has a test.
//!
//! 1. Pure rooms use no tokio, axum, kube client, file system, environment or clock (`tests/library/invariants.rs`).
//! 2. A rule is data and one function. It does not choose its level, does not know the other rules and cannot fail
//!    (`tests/library/invariants.rs`, `tests/library/rules.rs`).
//! 3. All violations are reported at once, ordered.
//! 4. Every finding names the object, the field, what was seen, why it matters and the edit that fixes it (the snapshots in
//!    `tests/rules`).
//! 5. Unknown never denies, and a denial that rests on other objects is confirmed (`tests/library/captures.rs`,
//!    `tests/library/properties.rs`, `tests/server/confirm.rs`).
//! 6. Updates ratchet: a violation that was there before is a warning, unless the update makes it worse.
//! 7. An object with a `deletionTimestamp`, one in a namespace that has one, and the controllers that clean up are never denied.
//! 8. Mutations are idempotent, lose nothing, never touch `spec.selector`, and never edit a pod template on an update that did
//!    not already change it, which would restart every pod (`tests/library/mutation.rs`).
//! 9. A patch is built from explicit operations on known fields, never by diffing against a typed object, which would remove the
//!    fields that the type does not know (`tests/library/mutation.rs`).
//! 10. One malformed policy, object or request disables only itself and says so (`tests/server/cli.rs`,
//!     `tests/server/webhook_http.rs`, `tests/server/watch.rs`).

pub mod admission;
pub mod api_server;
pub mod audit;
pub mod cel;
pub mod certs;
pub mod change;
pub mod cli;
pub mod cluster;
pub mod companions;
pub mod controller;
pub mod crds;
pub mod evaluate;
pub mod events;
pub mod fix;
pub mod guard;
pub mod lease;
pub mod manifest;
pub mod metacontroller;
pub mod model;
pub mod mutate;
pub mod per_pod;
pub mod policy;
pub mod policy_status;
pub mod process;
pub mod report;
pub mod reports;
pub mod rules;
pub mod server;
pub mod show;
pub mod software;
pub mod verdict;
pub mod watch;
pub mod webhook_config;
