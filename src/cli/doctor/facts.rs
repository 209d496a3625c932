//! The facts that are read from an installation.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use k8s_openapi::ByteString;
use kube::client::Body;
use serde_json::{Value, json};

use super::rights::{Right, rights};
use crate::api_server::{ApiError, answered, checked};
use crate::certs::x509::Certificate;

/// How long an answer may take: longer than any webhook.
const PATIENCE: Duration = Duration::from_secs(40);

/// How often the creation of a set is tried.
const PROBES: usize = 5;

/// An answer of the API server, or why there is none.
pub(super) type ReadResult = Result<Value, ApiError>;

/// The namespace and names of the installation.
pub(super) struct InstallationPlace {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) probe_namespace: String,
}

/// The facts that were read.
pub(super) struct InstallationFacts {
    pub(super) place: InstallationPlace,
    pub(super) version: Value,
    pub(super) deployment: ReadResult,
    pub(super) pods: ReadResult,
    pub(super) service: ReadResult,
    pub(super) slices: ReadResult,
    pub(super) validating: ReadResult,
    pub(super) mutating: ReadResult,
    /// The public part of the Secret of the certificate.
    pub(super) certificates: Result<Certificates, ApiError>,
    /// The data of the ConfigMap with the policies; null where there is none.
    pub(super) policies: ReadResult,
    /// The `StatefulSetPolicy` objects; null where the kind is not served.
    pub(super) policy_objects: ReadResult,
    pub(super) namespaces: ReadResult,
    /// Names and namespaces of all StatefulSets.
    pub(super) sets: ReadResult,
    /// The rights that are needed, and whether the service account has each.
    pub(super) rights: Vec<(Right, Result<bool, ApiError>)>,
    pub(super) probe: ProbeAnswer,
    /// By pod, the end of its log; only for a bundle.
    pub(super) logs: Vec<(String, Result<String, ApiError>)>,
}

/// Certificates of a Secret, without keys.
#[derive(Default)]
pub(super) struct Certificates {
    pub(super) secret: String,
    pub(super) authorities: Vec<Certificate>,
    pub(super) leaf: Option<Certificate>,
}

/// The API server's answer to the creation of a set that every profile refuses.
#[derive(Default)]
pub(super) struct ProbeAnswer {
    pub(super) status: u16,
    pub(super) message: String,
    pub(super) warnings: Vec<String>,
    /// How long each answer took, the shortest first.
    pub(super) took: Vec<Duration>,
}

impl InstallationFacts {
    /// Reads everything. An error only where not even the version can be read.
    pub(super) async fn gather(
        client: kube::Client,
        place: InstallationPlace,
        with_logs: bool,
    ) -> Result<Self, ApiError> {
        checked(&place.namespace)?;
        checked(&place.name)?;
        checked(&place.probe_namespace)?;
        let asker = Asker { client };
        let version = asker.get("/version").await?;
        let InstallationPlace { namespace, name, .. } = &place;
        let deployment = asker.get(&format!("/apis/apps/v1/namespaces/{namespace}/deployments/{name}")).await;
        let selector = deployment.as_ref().map(selector_of).unwrap_or_default();
        let pods = asker.get(&format!("/api/v1/namespaces/{namespace}/pods?labelSelector={selector}")).await;
        let slices = format!(
            "/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices?labelSelector=kubernetes.io/service-name={name}"
        );
        let registration = "/apis/admissionregistration.k8s.io/v1";
        let spec = deployment
            .as_ref()
            .map(|deployment| deployment["spec"]["template"]["spec"].clone())
            .unwrap_or_default();
        Ok(Self {
            version,
            service: asker.get(&format!("/api/v1/namespaces/{namespace}/services/{name}")).await,
            slices: asker.get(&slices).await,
            validating: asker.get(&format!("{registration}/validatingwebhookconfigurations/{name}")).await,
            mutating: asker.get(&format!("{registration}/mutatingwebhookconfigurations/{name}")).await,
            certificates: asker.certificates(namespace, &secret_of(&spec)).await,
            policies: asker.policies(namespace, &spec).await,
            policy_objects: asker.policy_objects().await,
            namespaces: asker.get("/api/v1/namespaces").await,
            sets: asker.metadata("/apis/apps/v1/statefulsets").await,
            rights: asker.rights(&place, &spec).await,
            probe: asker.probe(&place.probe_namespace).await?,
            logs: if with_logs { asker.logs(namespace, &pods).await } else { Vec::new() },
            deployment,
            pods,
            place,
        })
    }
}

/// The labels that a Deployment selects by, as a query.
fn selector_of(deployment: &Value) -> String {
    let labels = deployment["spec"]["selector"]["matchLabels"].as_object().into_iter().flatten();
    let pairs = labels.map(|(key, value)| format!("{key}%3D{}", value.as_str().unwrap_or_default()));
    pairs.collect::<Vec<_>>().join("%2C")
}

/// The arguments of the container.
pub(super) fn arguments(pod_spec: &Value) -> Vec<&str> {
    let arguments = pod_spec["containers"][0]["args"].as_array().into_iter().flatten();
    arguments.filter_map(Value::as_str).collect()
}

/// The Secret with the certificate: that of the flag, or the one that is mounted.
fn secret_of(pod_spec: &Value) -> String {
    let flag = arguments(pod_spec).into_iter().find_map(|argument| argument.strip_prefix("--cert-secret="));
    let mut volumes = pod_spec["volumes"].as_array().into_iter().flatten();
    let mounted = volumes.find_map(|volume| volume["secret"]["secretName"].as_str());
    flag.or(mounted).unwrap_or("stateward-tls").to_owned()
}

/// Asks the API server.
struct Asker {
    client: kube::Client,
}

impl Asker {
    async fn get(&self, path: &str) -> ReadResult {
        self.ask(Request::get(path), Vec::new()).await
    }

    /// A list of names only.
    async fn metadata(&self, path: &str) -> ReadResult {
        let accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
        self.ask(Request::get(path).header("accept", accept), Vec::new()).await
    }

    async fn ask(&self, request: http::request::Builder, body: Vec<u8>) -> ReadResult {
        let request = request.body(body).map_err(|error| ApiError::Malformed(error.to_string()))?;
        answered(PATIENCE, self.client.request(request)).await
    }

    async fn certificates(&self, namespace: &str, name: &str) -> Result<Certificates, ApiError> {
        let secret = self.get(&format!("/api/v1/namespaces/{namespace}/secrets/{name}")).await?;
        // Only these two values of the data are read; private keys are dropped with the answer.
        let pem = |key: &str| {
            let data = serde_json::from_value::<ByteString>(secret["data"][key].clone());
            data.map(|data| data.0).unwrap_or_default()
        };
        let leaf = Certificate::read_all(&pem("tls.crt")).unwrap_or_default().into_iter().next();
        let authorities = Certificate::read_all(&pem("ca.crt")).unwrap_or_default();
        Ok(Certificates { secret: name.to_owned(), authorities, leaf })
    }

    async fn policies(&self, namespace: &str, pod_spec: &Value) -> ReadResult {
        let volumes = pod_spec["volumes"].as_array().into_iter().flatten();
        let mut names = volumes.filter_map(|volume| volume["configMap"]["name"].as_str());
        let Some(name) = names.next() else { return Ok(Value::Null) };
        match self.get(&format!("/api/v1/namespaces/{namespace}/configmaps/{name}")).await {
            Err(ApiError::Status { code: 404, .. }) => Ok(Value::Null),
            config_map => config_map.map(|config_map| config_map["data"].clone()),
        }
    }

    async fn policy_objects(&self) -> ReadResult {
        match self.get("/apis/stateward.dev/v1alpha1/statefulsetpolicies").await {
            Err(ApiError::Status { code: 404, .. }) => Ok(Value::Null),
            list => list.map(|list| list["items"].clone()),
        }
    }

    async fn rights(
        &self,
        place: &InstallationPlace,
        pod_spec: &Value,
    ) -> Vec<(Right, Result<bool, ApiError>)> {
        let account = pod_spec["serviceAccountName"].as_str().unwrap_or("stateward");
        let mut found = Vec::new();
        for right in rights(place, &arguments(pod_spec)) {
            let answer = self.may(&place.namespace, account, &right).await;
            let is_refused = matches!(answer, Err(ApiError::Status { code: 403, .. }));
            found.push((right, answer));
            if is_refused {
                break;
            }
        }
        found
    }

    async fn may(&self, namespace: &str, account: &str, right: &Right) -> Result<bool, ApiError> {
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
            "spec": {
                "user": format!("system:serviceaccount:{namespace}:{account}"),
                "groups": [
                    "system:serviceaccounts", format!("system:serviceaccounts:{namespace}"), "system:authenticated",
                ],
                "resourceAttributes": right.attributes(),
            },
        });
        let request = Request::post("/apis/authorization.k8s.io/v1/subjectaccessreviews")
            .header("content-type", "application/json");
        let answer = self.ask(request, review.to_string().into_bytes()).await?;
        Ok(answer["status"]["allowed"] == true)
    }

    /// Tries to create a set with a name that is too long, which every profile refuses, again and again.
    async fn probe(&self, namespace: &str) -> Result<ProbeAnswer, ApiError> {
        let labels = json!({"app": "stateward-doctor"});
        let set = json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet",
            "metadata": {"name": format!("stateward-doctor-{}", "x".repeat(40)), "namespace": namespace},
            "spec": {
                "replicas": 1, "serviceName": "stateward-doctor", "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "a", "image": "a"}]}},
            },
        });
        let path = format!("/apis/apps/v1/namespaces/{namespace}/statefulsets?dryRun=All");
        let mut probe = ProbeAnswer::default();
        for _ in 0..PROBES {
            let request = Request::post(&path)
                .header("content-type", "application/json")
                .body(Body::from(set.to_string().into_bytes()))
                .map_err(|error| ApiError::Malformed(error.to_string()))?;
            let start = Instant::now();
            let (response, body) = answered(PATIENCE, self.send(request)).await?;
            probe.took.push(start.elapsed());
            probe.take(&response, &body);
        }
        probe.took.sort();
        Ok(probe)
    }

    async fn send(&self, request: Request<Body>) -> Result<(Response<()>, Bytes), kube::Error> {
        let (parts, body) = self.client.send(request).await?.into_parts();
        Ok((Response::from_parts(parts, ()), body.collect().await?.to_bytes()))
    }

    async fn logs(&self, namespace: &str, pods: &ReadResult) -> Vec<(String, Result<String, ApiError>)> {
        let mut logs = Vec::new();
        let pods = pods.as_ref().ok().and_then(|pods| pods["items"].as_array()).into_iter().flatten();
        for name in pods.filter_map(|pod| pod["metadata"]["name"].as_str()) {
            let path =
                format!("/api/v1/namespaces/{namespace}/pods/{name}/log?tailLines=500&limitBytes=500000");
            let request = Request::get(path).body(Vec::new());
            let text = match request {
                Ok(request) => answered(PATIENCE, self.client.request_text(request)).await,
                Err(error) => Err(ApiError::Malformed(error.to_string())),
            };
            logs.push((name.to_owned(), text));
        }
        logs
    }
}

impl ProbeAnswer {
    fn take(&mut self, response: &Response<()>, body: &[u8]) {
        self.status = response.status().as_u16();
        let answer: Value = serde_json::from_slice(body).unwrap_or_default();
        answer["message"].as_str().unwrap_or_default().clone_into(&mut self.message);
        let warnings = response.headers().get_all("warning").iter();
        self.warnings =
            warnings.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect();
    }
}
