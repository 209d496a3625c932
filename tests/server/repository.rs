//! A folder of files, and the command that is run in it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

pub struct Repository(tempfile::TempDir);

impl Repository {
    pub fn of(files: &[(&str, &str)]) -> Self {
        let repository = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            repository.write(name, text);
        }
        repository
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Runs the command in the repository, with only these programs on the path.
    pub fn run_with(&self, programs: &Path, arguments: &[&str]) -> Output {
        self.run_in("", programs, arguments)
    }

    /// The same in a folder of the repository.
    pub fn run_in(&self, folder: &str, programs: &Path, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stateward"));
        command
            .args(arguments)
            .current_dir(self.path().join(folder))
            .env("PATH", programs)
            .env_remove("GITHUB_STEP_SUMMARY");
        command.output().unwrap()
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.run_with(Path::new("/nowhere"), arguments)
    }

    pub fn audit(&self, arguments: &[&str]) -> (Option<i32>, Value) {
        let output = self.run(&[&["audit", "--format", "json"], arguments].concat());
        let report = serde_json::from_slice(&output.stdout);
        (output.status.code(), report.unwrap_or_else(|_| panic!("{}", text(&output.stderr))))
    }

    pub fn git(&self, arguments: &[&str]) {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false"]);
        assert!(
            command.args(arguments).current_dir(self.path()).output().unwrap().status.success(),
            "{arguments:?}"
        );
    }
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

pub fn rules(report: &Value) -> Vec<&str> {
    report["findings"].as_array().unwrap().iter().map(|finding| finding["rule"].as_str().unwrap()).collect()
}

pub fn note_kinds(report: &Value) -> Vec<&str> {
    report["notes"].as_array().unwrap().iter().map(|note| note["kind"].as_str().unwrap()).collect()
}

pub fn fake(folder: &Path, name: &str, script: &str) {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A kustomize that prints this object, with the origin that it has in `file`.
pub fn fake_kustomize(repository: &Repository, rendered: &str, file: &str) {
    let bin = repository.path().join("bin");
    let below = repository.path().canonicalize().unwrap().join(file).display().to_string();
    let origin =
        format!("annotations: {{config.kubernetes.io/origin: 'path: UP{}'}}", below.trim_start_matches('/'));
    repository
        .write("bin/origin.yaml", &rendered.replacen("metadata:\n", &format!("metadata:\n  {origin}\n"), 1));
    let up = "up=$(cd \"$2\" && pwd -P | /usr/bin/sed 's#/[^/]*#../#g')";
    fake(&bin, "kustomize", &format!("{up}\n/usr/bin/sed \"s#UP#$up#\" {}/origin.yaml", bin.display()));
}
