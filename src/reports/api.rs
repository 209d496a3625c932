//! Requests of the reports to the API server, under one rate limiter.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, Preconditions,
};
use kube::core::GroupVersionKind;
use serde_json::Value;

use super::document::{MANAGED_BY, ReportKind};
use crate::api_server::{self, ApiError, RateLimiter, answered, api_resource};
use crate::cluster::{Cluster, Kind};
use crate::lease::Leadership;
use crate::model::KindOrigin;

/// Who owns the fields that are applied.
const MANAGER: &str = "stateward-reports";

/// Objects in one page of a list.
const PAGE: u32 = 250;

/// The API server, for the one that leads.
pub(super) struct ReportsApi {
    pub(super) client: kube::Client,
    pub(super) leadership: Leadership,
    pub(super) rate_limiter: RateLimiter,
    /// How long an answer may take.
    pub(super) patience: Duration,
}

/// The kinds of a namespace that an audit lists beside the watched ones.
#[derive(Default)]
pub(super) struct Listed {
    pub(super) cluster: Cluster,
    /// The kinds that may not be listed, and why.
    pub(super) refused: BTreeMap<Kind, String>,
}

impl ReportsApi {
    /// Lists the kinds that are not watched, in one namespace, but for those in `skip`.
    pub(super) async fn list(&self, namespace: &str, skip: &BTreeSet<Kind>) -> Result<Listed, ApiError> {
        let mut listed = Listed::default();
        let kinds = Kind::ALL.into_iter().filter(|kind| kind.facts().origin == KindOrigin::Listed);
        for kind in kinds.filter(|kind| !skip.contains(kind)) {
            match self.list_kind(namespace, kind, &mut listed.cluster).await {
                Ok(()) => listed.cluster.set_complete(kind, true),
                Err(error) if error.is_refusal() => drop(listed.refused.insert(kind, error.to_string())),
                Err(error) => return Err(error),
            }
        }
        Ok(listed)
    }

    async fn list_kind(&self, namespace: &str, kind: Kind, cluster: &mut Cluster) -> Result<(), ApiError> {
        let api = api_server::Api::new(self.client.clone(), self.patience);
        let mut next = None;
        loop {
            self.rate_limiter.pass().await;
            let page = api.list(kind, Some(namespace), PAGE, next.as_deref()).await?;
            page.items.into_iter().for_each(|item| cluster.insert_read(item));
            next = page.next;
            if next.is_none() {
                return Ok(());
            }
        }
    }

    /// The uids of the objects of a kind in a namespace, by name. The snapshot has no room for them.
    pub(super) async fn uids(
        &self,
        kind: Kind,
        namespace: &str,
    ) -> Result<BTreeMap<String, String>, ApiError> {
        let resource = api_resource(kind);
        let objects = Api::<DynamicObject>::namespaced_with(self.client.clone(), namespace, &resource);
        let (mut uids, mut params) = (BTreeMap::new(), ListParams::default().limit(PAGE));
        loop {
            self.rate_limiter.pass().await;
            let page = answered(self.patience, objects.list_metadata(&params)).await?;
            for meta in page.items.into_iter().map(|item| item.metadata) {
                uids.extend(meta.name.zip(meta.uid));
            }
            params.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
            if params.continue_token.is_none() {
                return Ok(uids);
            }
        }
    }

    /// Whether the API server has this kind of reports.
    pub(super) async fn serves(&self, kind: ReportKind) -> Result<bool, ApiError> {
        let api = Api::<DynamicObject>::all_with(self.client.clone(), &resource(kind));
        self.rate_limiter.pass().await;
        match answered(self.patience, api.list_metadata(&ListParams::default().limit(1))).await {
            Err(error) if error.is_absence() => Ok(false),
            answer => answer.map(|_| true),
        }
    }

    /// Our reports in a namespace, by name.
    pub(super) async fn reports(
        &self,
        kind: ReportKind,
        namespace: &str,
    ) -> Result<BTreeMap<String, Value>, ApiError> {
        let api = self.api(kind, namespace);
        let (key, value) = MANAGED_BY;
        let mut params = ListParams::default().labels(&format!("{key}={value}")).limit(PAGE);
        let mut reports = BTreeMap::new();
        loop {
            self.rate_limiter.pass().await;
            let page = answered(self.patience, api.list(&params)).await?;
            for mut report in page.items {
                report.metadata.managed_fields = None;
                let name = report.metadata.name.clone().unwrap_or_default();
                reports.insert(name, serde_json::to_value(report).unwrap_or_default());
            }
            params.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
            if params.continue_token.is_none() {
                return Ok(reports);
            }
        }
    }

    /// Creates or changes a report.
    pub(super) async fn apply(
        &self,
        kind: ReportKind,
        namespace: &str,
        document: &Value,
    ) -> Result<(), ApiError> {
        let name = document["metadata"]["name"].as_str().unwrap_or_default();
        let api = self.api(kind, namespace);
        self.turn().await;
        let params = PatchParams::apply(MANAGER).force();
        answered(self.patience, api.patch(name, &params, &Patch::Apply(document))).await.map(drop)
    }

    /// Deletes a report, if it is still the same object.
    pub(super) async fn delete(
        &self,
        kind: ReportKind,
        namespace: &str,
        report: &Value,
    ) -> Result<(), ApiError> {
        let text = |field: &str| report["metadata"][field].as_str().map(str::to_owned);
        let preconditions = Some(Preconditions { uid: text("uid"), resource_version: None });
        let params = DeleteParams { preconditions, ..DeleteParams::default() };
        let api = self.api(kind, namespace);
        self.turn().await;
        match answered(self.patience, api.delete(&text("name").unwrap_or_default(), &params)).await {
            Err(error) if error.is_absence() => Ok(()),
            done => done.map(drop),
        }
    }

    /// Waits for one's turn to write, which never comes where this replica does not lead any more: then the work is dropped.
    async fn turn(&self) {
        self.rate_limiter.pass().await;
        self.leadership.gained().await;
    }

    fn api(&self, kind: ReportKind, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, &resource(kind))
    }
}

fn resource(kind: ReportKind) -> ApiResource {
    let (group, version) = kind.api_version().split_once('/').unwrap_or_default();
    let gvk = GroupVersionKind::gvk(group, version, kind.kind());
    ApiResource::from_gvk_with_plural(&gvk, kind.plural())
}
