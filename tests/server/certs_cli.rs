//! Certificates issued and looked at by hand.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
};

fn certs(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stateward"));
    command.arg("certs").args(arguments).current_dir(folder).output().unwrap()
}

/// How it ended, what it printed, and what it complained of.
fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn what_is_issued_fits_together_and_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let issued =
        certs(folder.path(), &["issue", "--dir", "new/tls", "--host", "guard.example", "--host", "10.0.0.1"]);
    let (code, shown, _) = said(&issued);
    assert_eq!(code, Some(0), "{issued:?}");
    assert!(
        shown.starts_with("wrote new/tls/ca.crt, new/tls/tls.crt, new/tls/ca.key, new/tls/tls.key; "),
        "{shown}"
    );
    let read = |name: &str| fs::read_to_string(folder.path().join("new/tls").join(name)).unwrap();
    for name in ["ca.key", "tls.key"] {
        let mode = fs::metadata(folder.path().join("new/tls").join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let files = ["ca.crt", "ca.key", "tls.crt", "tls.key"].map(|name| format!("new/tls/{name}"));
    let inspect: Vec<&str> = ["inspect"].into_iter().chain(files.iter().map(String::as_str)).collect();
    let (code, shown, complaint) = said(&certs(folder.path(), &inspect));
    assert_eq!((code, &*complaint), (Some(0), ""), "{shown}");
    let names =
        "names      10.0.0.1, 127.0.0.1, ::1, guard.example, localhost, stateward, stateward.stateward.svc";
    for line in
        [names, "issued by  CN=stateward self-signed CA (in new/tls/ca.crt)", "key        new/tls/tls.key"]
    {
        assert!(shown.contains(line), "{shown}");
    }
    assert!(!shown.contains("PRIVATE"));

    let before = read("tls.crt");
    let (code, _, complaint) = said(&certs(folder.path(), &["issue", "--dir", "new/tls"]));
    assert_eq!(code, Some(2));
    assert_eq!(complaint, "stateward: new/tls/ca.crt is there already (--force replaces it)\n");
    assert_eq!(read("tls.crt"), before);
    assert_eq!(said(&certs(folder.path(), &["issue", "--dir", "new/tls", "--force"])).0, Some(0));
    assert_ne!(read("tls.crt"), before);
}

#[test]
fn what_is_wrong_is_found_and_what_is_none_is_told() {
    let folder = tempfile::tempdir().unwrap();
    for dir in ["one", "other"] {
        certs(folder.path(), &["issue", "--dir", dir, "--days", "20"]);
    }
    let (code, shown, _) = said(&certs(
        folder.path(),
        &["inspect", "one/ca.crt", "one/tls.crt", "other/tls.crt", "other/ca.key"],
    ));
    assert_eq!(code, Some(1));
    for wrong in [
        "wrong: one/tls.crt: expires soon, at ",
        "wrong: other/tls.crt: is signed by none of these CAs",
        "wrong: other/ca.key: the key belongs to none of these certificates",
    ] {
        assert!(shown.contains(wrong), "{shown}");
    }
    fs::write(folder.path().join("rubbish"), "rubbish").unwrap();
    let (code, shown, complaint) =
        said(&certs(folder.path(), &["inspect", "one/ca.crt", "missing", "rubbish"]));
    assert_eq!(code, Some(2));
    assert!(shown.contains("one/ca.crt: a CA"), "what can be read is shown: {shown}");
    assert!(complaint.contains("missing: No such file"), "{complaint}");
    assert!(complaint.contains("rubbish: no certificate in PEM, and no key either"), "{complaint}");
    assert_eq!(
        said(&certs(folder.path(), &["inspect", "one/tls.key"])).0,
        Some(2),
        "a key alone says nothing"
    );
    assert_eq!(said(&certs(folder.path(), &["inspect"])).0, Some(2));
    assert_eq!(said(&certs(folder.path(), &["inspect", "--secret", "a/b/c"])).0, Some(2));
    for host in ["größe", "", "a b", "https://guard.example"] {
        let (code, _, complaint) = said(&certs(folder.path(), &["issue", "--dir", "x", "--host", host]));
        assert_eq!(code, Some(2));
        assert!(complaint.contains("neither a DNS name") && complaint.contains(host), "{complaint}");
    }
    let key = std::fs::read_to_string(folder.path().join("one/tls.key")).unwrap();
    let broken = key + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    std::fs::write(folder.path().join("broken.pem"), broken).unwrap();
    let (code, _, complaint) = said(&certs(folder.path(), &["inspect", "broken.pem"]));
    assert_eq!(code, Some(2), "a key beside it does not make up for a certificate that is none");
    assert!(complaint.contains("broken.pem: not a certificate"), "{complaint}");
    assert!(!folder.path().join("x").exists());
}
