//! The object fields that rules read, and nothing else.
//!
//! The types keep Kubernetes' own names and nesting, so that `set.spec.template.spec.containers` reads as in a manifest. They are
//! deserialized from JSON in one pass. Fields that no rule reads (managedFields, status, most of a pod) are skipped and not stored. An
//! explicit `null` means absent everywhere, as for the API server.

mod annotations;
mod arbiter;
mod autoscaler;
mod claim;
mod class;
mod config_map;
mod container;
mod created;
mod data_folder;
mod dialled;
mod disruption_budget;
mod environment;
mod eviction;
mod fields;
mod group_name;
mod int_or_percent;
mod kind;
mod labels;
mod majority_probes;
mod metadata;
mod names;
mod namespace;
mod nearest;
mod node_pins;
mod nullable;
mod object;
mod objects_only;
mod own_voters;
mod per_pod;
mod pod;
mod pod_template;
mod policy_document;
mod printable;
mod reason;
mod recognised;
mod release;
mod run_time_labels;
mod selector;
mod service;
mod shell_words;
mod stateful_set;
mod text;
mod workload;

pub mod quorum;

pub use annotations::{
    CLASS, DOMAIN, ENSEMBLE, EXEMPT, EXEMPT_REASON, MOST_PER_POD_SERVICES, OWN_ANNOTATIONS, PER_POD_APPLIED,
    PER_POD_LABEL, PER_POD_PORTS, PER_POD_SETTINGS, PER_POD_TYPE, POD_NAME_ANNOTATION, PROTECTED,
    TOLERATE_UNREADY, annotation_pointer,
};
pub use autoscaler::{Autoscaler, ScaleTarget};
pub use claim::{Claim, OneMount};
pub use class::{Because, Class, Classified, Confidence, Software};
pub use config_map::ConfigMap;
pub use container::{ConfigMapKey, Container, EnvFrom, EnvVar, MountedFile, Probe, VolumeMount};
pub use data_folder::{data_variables, names_data_folder};
pub use dialled::{DialledName, OwnNames, mentions_host};
pub use disruption_budget::DisruptionBudget;
pub use environment::{TakenFromConfigMaps, WhatToTake};
pub use eviction::Eviction;
pub use fields::{Fields, KUBERNETES_VERSION};
pub use group_name::{group_variables, names_group};
pub use int_or_percent::IntOrPercent;
pub use kind::{Kind, KindFacts, KindOrigin};
pub use labels::Labels;
pub use majority_probes::MajorityProbes;
pub use metadata::{Annotations, Metadata, Owner};
pub use names::{is_dns_label, is_label_key, is_label_value, is_version_label};
pub use namespace::Namespace;
pub use nearest::{did_you_mean, misspelt, nearest};
pub use node_pins::{NODE_NAME, NodeAffinity, NodeProperty};
pub use nullable::LIST_TOO_LONG;
pub use object::{Object, ObjectRef};
pub use objects_only::{ObjectsOnly, may_be_object};
pub use own_voters::AbsentVoters;
pub use per_pod::{PerPodType, PortPair, port_pairs};
pub use pod::Pod;
pub use pod_template::{
    AffinityTerm, ConfigMapFiles, PodSpec, PodTemplate, SpreadConstraint, Volume, WhenUnsatisfiable,
};
pub use policy_document::PolicyDocument;
pub use printable::{is_deceptive, printable, printable_lines, push_printable};
pub use reason::reason;
pub use recognised::Recognised;
pub use release::release_labels;
pub use run_time_labels::is_given_by_controller;
pub use selector::{Coverage, LabelSelector, Requirement, SelectorOperator};
pub use service::Service;
pub use stateful_set::{
    ClaimRetention, POD_INDEX_LABEL, POD_NAME_LABEL, Scale, StatefulSet, StatefulSetStatus,
};
pub use text::{cut, field_path, pointer_key, pointer_keys, pointer_step};
pub use workload::{DeploymentRollingUpdate, DeploymentStrategy, Rollout, Workload, WorkloadSpec};
