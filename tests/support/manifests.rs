//! The manifests in `deploy/`, and the tools that others render them with.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use stateward::manifest;
use stateward::manifest::Source;
use stateward::manifest::SourceOrigin;

pub fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy")
}

/// Every object of a text; nothing in it may be left over.
pub fn parse(name: &str, text: &str) -> Vec<Value> {
    let source = Source::new(name, text, SourceOrigin::Named);
    let (manifests, notes) = manifest::read(&source, text);
    assert!(notes.is_empty(), "{name}: {notes:?}");
    manifests.into_iter().map(|manifest| manifest.node.to_json()).collect()
}

/// The objects in a file of `deploy/`, in its order.
pub fn objects(file: &str) -> Vec<Value> {
    parse(file, &std::fs::read_to_string(deploy().join(file)).unwrap())
}

/// What `deploy/base` installs, in its order, without the policies of a cluster.
pub fn installation() -> Vec<Value> {
    let kustomization = objects("base/kustomization.yaml").remove(0);
    let files = kustomization["resources"].as_array().unwrap().iter();
    files.flat_map(|file| objects(&format!("base/{}", file.as_str().unwrap()))).collect()
}

/// The objects in a file of `deploy/examples`, in its order, in another namespace.
pub fn example(file: &str, namespace: &str) -> Vec<Value> {
    let mut objects = objects(&format!("examples/{file}"));
    for object in &mut objects {
        object["metadata"]["namespace"] = namespace.into();
    }
    objects
}

/// A tool beside the binaries of the control plane, or on the path; says so where it is not to be had.
pub fn tool(name: &str) -> Option<PathBuf> {
    let folders = env::var_os("KUBEBUILDER_ASSETS").into_iter().chain(env::var_os("PATH"));
    let found = folders.flat_map(|folders| env::split_paths(&folders).collect::<Vec<_>>());
    let found = found.map(|folder| folder.join(name)).find(|path| path.is_file());
    let found = found.or_else(|| if name == "helm" { helm_sdk() } else { None });
    if found.is_none() {
        eprintln!("SKIPPED: there is no {name} in KUBEBUILDER_ASSETS or PATH");
    }
    found
}

/// Helm's own engine behind the part of its command line that the tests use, where the Python package helm-python-sdk is.
fn helm_sdk() -> Option<PathBuf> {
    let import = Command::new("python3").args(["-c", "import helm_python"]).output().ok()?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/helm.py");
    import.status.success().then_some(script)
}

/// What a tool prints in `deploy/`.
pub fn output(tool: &Path, arguments: &[&str]) -> String {
    let output = Command::new(tool).args(arguments).current_dir(deploy()).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} {arguments:?}: {error}", tool.display());
    String::from_utf8(output.stdout).unwrap()
}
