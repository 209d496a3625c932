//! Webhooks that the API server reads from files, as `deploy/static` has them.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use serde_json::json;

use crate::control_plane::{self, ControlPlane};
use crate::kube_api::example;
use crate::pki;
use crate::stage::{Guard, SKIPPED, set_of};

/// The files of `deploy/static`, filled in as its README says.
fn fill_in(folder: &Path, guard: &Guard, ca: &str) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/static");
    let address = format!("https://localhost:{}", guard.webhook.port());
    let bundle = base64::engine::general_purpose::STANDARD.encode(ca);
    for kind in ["validating", "mutating"] {
        let text = fs::read_to_string(source.join(kind).join("stateward.yaml")).unwrap();
        let text = text.replace("https://STATEWARD", &address).replace("CA_BUNDLE", &bundle);
        fs::create_dir(folder.join(kind)).unwrap();
        fs::write(folder.join(kind).join("stateward.yaml"), text).unwrap();
    }
    let file = folder.join("admission-configuration.yaml");
    let text = fs::read_to_string(source.join("admission-configuration.yaml")).unwrap();
    fs::write(&file, text.replace("/etc/kubernetes/stateward", &folder.display().to_string())).unwrap();
    file
}

#[tokio::test]
async fn they_are_in_force_from_the_first_request_and_cannot_be_deleted() {
    control_plane::bound_lifetime();
    let Some(assets) = control_plane::assets() else {
        eprintln!("{SKIPPED}");
        return;
    };
    let ca = pki::Ca::new();
    let pair = ca.issue_for(["localhost", "127.0.0.1"]);
    let own = tempfile::tempdir().unwrap();
    let (certificate, key) = (own.path().join("tls.crt"), own.path().join("tls.key"));
    fs::write(&certificate, pair.certificate).unwrap();
    fs::write(&key, pair.key).unwrap();
    let files = [format!("--cert-file={}", certificate.display()), format!("--key-file={}", key.display())];
    let guard = Guard::standalone(own, &["--bind=127.0.0.1:0", &files[0], &files[1]]).await;

    let folder = tempfile::tempdir().unwrap();
    let configuration = fill_in(folder.path(), &guard, &ca.pem());
    let flags = [
        "--feature-gates=ManifestBasedAdmissionControlConfig=true".to_owned(),
        format!("--admission-control-config-file={}", configuration.display()),
    ];
    let plane = match ControlPlane::start_with_flags(&assets, false, &flags) {
        Ok(plane) => plane,
        Err(error) if error.contains("unrecognized feature gate") => {
            eprintln!("SKIPPED: this API server does not read webhooks from files");
            return;
        }
        Err(error) => panic!("{error}"),
    };
    let api = plane.api();
    let mut set = set_of(&example("zookeeper/zookeeper.yaml", "default")).clone();
    set["spec"]["replicas"] = json!(4);
    api.create(&set).await.denied_by(&["quorum-even"]);

    // The administrator sees no configuration and cannot make one of that name.
    let path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";
    assert_eq!(api.get(path).await.body["items"], json!([]));
    assert_eq!(api.delete(&format!("{path}/stateward.static.k8s.io"), &json!({})).await.status, 404);
    api.create(&set).await.denied_by(&["quorum-even"]);

    // In an emergency the files are moved away.
    for kind in ["validating", "mutating"] {
        let file = folder.path().join(kind).join("stateward.yaml");
        fs::rename(&file, folder.path().join(format!("{kind}.yaml"))).unwrap();
    }
    let end = std::time::Instant::now() + std::time::Duration::from_secs(100);
    while api.create(&set).await.status != 201 {
        assert!(std::time::Instant::now() < end, "still refused: {}", guard.log());
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}
