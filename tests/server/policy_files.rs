//! Policy files of a running server, in a folder as a mounted ConfigMap is one.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::support::served::Served;

/// Of a set with four members, which the shipped profile denies.
const REVIEW: &str = "tests/captures/consul-scale-5-to-4.validate.json";
const GOOD: &str = "quorum-even";
const MISTYPED: &str = "quorum-evne";

fn policy(rule: &str, level: &str) -> String {
    format!(
        "apiVersion: stateward.dev/v1alpha1\nkind: StatefulSetPolicy\nmetadata: {{name: ours}}\nspec:\n  rules:\n  - {{rule: {rule}, level: '{level}'}}\n"
    )
}

/// The folder's files from now on, changed as the kubelet does it: a new folder, and one link that is replaced.
fn mount(folder: &Path, version: &str, text: &str) {
    let data = folder.join(format!("..{version}"));
    fs::create_dir(&data).unwrap();
    fs::write(data.join("policy.yaml"), text).unwrap();
    symlink(format!("..{version}"), folder.join("..data_tmp")).unwrap();
    fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
    if !folder.join("policy.yaml").is_symlink() {
        symlink("..data/policy.yaml", folder.join("policy.yaml")).unwrap();
    }
}

struct Guard(Served);

impl Guard {
    async fn start(text: &str) -> Self {
        let set_up = |folder: &TempDir| {
            let policies = folder.path().join("policies");
            fs::create_dir(&policies).unwrap();
            mount(&policies, "1", text);
            let objects = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/examples");
            let flags = [
                "--standalone".to_owned(),
                format!("--objects={}", objects.display()),
                format!("--policies={}", policies.display()),
            ];
            (flags.to_vec(), Vec::new())
        };
        Self(Served::listening(set_up).await)
    }

    fn policies(&self) -> PathBuf {
        self.0.folder.path().join("policies")
    }

    async fn errors_of(&self, policy: &str) -> Option<String> {
        let name = format!("stateward_policy_errors{{policy=\"{policy}\"}} ");
        let text = self.0.get("/metrics").await.text();
        text.lines().find_map(|line| line.strip_prefix(&name).map(str::to_owned))
    }

    async fn allows(&self) -> bool {
        let review = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(REVIEW)).unwrap();
        self.0.review(&review).await["allowed"] == true
    }
}

#[tokio::test]
async fn a_policy_that_cannot_be_used_keeps_a_new_server_from_being_ready() {
    let guard = Guard::start(&policy(MISTYPED, "warn")).await;
    let answer = guard.0.get("/readyz").await;
    assert_eq!(answer.status, 503);
    let said = answer.text();
    assert!(said.starts_with("not ready: policies"), "{said}");
    assert!(
        said.contains("policy.yaml:6:6: there is no rule \"quorum-evne\"; did you mean \"quorum-even\"?"),
        "{said}"
    );
    assert_eq!(guard.errors_of("ours").await.as_deref(), Some("1"));
    assert!(!guard.allows().await, "the shipped profile is in force");

    mount(&guard.policies(), "2", &policy(GOOD, "warn"));
    guard.0.until("it is ready", async || guard.0.get("/readyz").await.status == 200).await;
    assert!(guard.allows().await);
    assert_eq!(guard.errors_of("ours").await.as_deref(), Some("0"));
    assert_eq!(guard.0.get("/readyz").await.text(), "ok\n");
}

#[tokio::test]
async fn the_last_good_version_stays() {
    let guard = Guard::start(&policy(GOOD, "warn")).await;
    assert_eq!(guard.0.get("/readyz").await.text(), "ok\n");
    assert!(guard.allows().await);

    for (version, broken, error_of) in
        [("2", policy(MISTYPED, "off"), "ours"), ("3", "spec: [\n".to_owned(), "policy.yaml")]
    {
        mount(&guard.policies(), version, &broken);
        let file = guard.policies().join("policy.yaml").display().to_string();
        let error_of = if error_of == "ours" { error_of } else { &*file };
        let is_counted = async || guard.errors_of(error_of).await.as_deref() == Some("1");
        guard.0.until("the error is counted", is_counted).await;
        assert!(guard.allows().await, "{broken}");
        let answer = guard.0.get("/readyz").await;
        assert_eq!(answer.status, 200);
        assert!(answer.text().contains("the last good versions are in force"), "{}", answer.text());
    }

    mount(&guard.policies(), "4", &policy(GOOD, "deny"));
    guard.0.until("the change is in force", async || !guard.allows().await).await;
    assert_eq!(guard.0.get("/readyz").await.text(), "ok\n");
    mount(&guard.policies(), "5", &policy(GOOD, "warn"));
    guard.0.until("the next change is in force", async || guard.allows().await).await;

    // Deleted is not broken.
    fs::remove_file(guard.policies().join("policy.yaml")).unwrap();
    guard.0.until("the shipped profile is in force again", async || !guard.allows().await).await;
    // A folder that is gone is.
    fs::write(guard.policies().join("again.yaml"), policy(GOOD, "warn")).unwrap();
    guard.0.until("another file is read", async || guard.allows().await).await;
    fs::rename(guard.policies(), guard.0.folder.path().join("elsewhere")).unwrap();
    let folder = guard.policies().display().to_string();
    guard.0.until("the folder is missed", async || guard.errors_of(&folder).await.is_some()).await;
    assert!(guard.allows().await);
    assert!(guard.0.log().contains("policy not used: "), "{}", guard.0.log());
}
