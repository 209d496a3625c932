//! What a server logs while the API server is away, or will not say.

use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;
use tokio::time::sleep;

use crate::support::api_server::{ApiServer, Fault};
use crate::support::served::Served;

async fn serve(api: &ApiServer) -> Served {
    let set_up = |folder: &TempDir| {
        let kubeconfig = api.kubeconfig(folder.path()).display().to_string();
        (vec!["--controller".to_owned()], vec![("KUBECONFIG".to_owned(), kubeconfig)])
    };
    Served::listening(set_up).await
}

fn complaints(log: &str) -> Vec<&str> {
    log.lines().filter(|line| line.contains(" WARN ") || line.contains(" ERROR ")).collect()
}

#[tokio::test]
async fn an_api_server_that_is_away_is_told_of_once() {
    let api = ApiServer::start().await;
    let served = serve(&api).await;
    served.until("it is ready", async || served.get("/readyz").await.status == 200).await;
    served.until("it leads", async || served.log().contains("controller started")).await;
    assert_eq!(complaints(&served.log()), [""; 0]);
    api.stop();
    served.until("it is told", async || served.log().contains("cannot watch, trying again")).await;
    sleep(Duration::from_secs(4)).await;
    let log = served.log();
    // The watches, those of the controller, and the election.
    let lines = complaints(&log);
    assert!(lines.len() <= 6, "{lines:#?}");
    assert!(lines.iter().all(|line| !line.contains("kube_")), "{lines:#?}");
    api.restart().await;
    served.until("it is over", async || served.log().contains("the API server answers again")).await;
}

#[tokio::test]
async fn a_right_that_is_missing_is_told_of_once_and_asked_for_ever_less() {
    let api = ApiServer::start().await;
    let annotations = json!({"service-per-pod-label": "pod-name", "service-per-pod-ports": "80:8080"});
    let set = json!({"metadata": {"uid": "s", "annotations": annotations}, "spec": {"replicas": 1}});
    api.put_object("statefulsets", "n", "web", set);
    api.fail("services", Fault::Status(403));
    let served = serve(&api).await;
    let asked = || api.requests("/services?&labelSelector") + api.requests("/services?labelSelector");
    served.until("it leads", async || served.log().contains("a watch for per-pod Services failed")).await;
    sleep(Duration::from_secs(6)).await;
    let log = served.log();
    let lines: Vec<&str> = complaints(&log).into_iter().filter(|line| line.contains("403")).collect();
    assert_eq!(lines.len(), 2, "that of the snapshot and that of the controller: {lines:#?}");
    assert!((1..=5).contains(&asked()), "{}", asked());
    api.heal("services");
    served.until("it goes on", async || api.object("services", "n", "web-0").is_some()).await;
}
