//! The syntax of label names and values in Kubernetes.
//!
//! From `k8s.io/apimachinery/pkg/util/validation`: `IsQualifiedName`, `IsValidLabelValue`, `IsDNS1123Subdomain`.

/// The longest label value, and the longest name part of a label's key.
const LONGEST: usize = 63;
/// The longest prefix of a label's key.
const LONGEST_PREFIX: usize = 253;

/// Whether this is a valid key of a label or an annotation: `app`, `example.com/app`.
pub fn is_label_key(text: &str) -> bool {
    match text.split_once('/') {
        Some((prefix, name)) => is_subdomain(prefix) && is_name_part(name),
        None => is_name_part(text),
    }
}

/// Whether this is a valid label value. An empty value is valid.
pub fn is_label_value(text: &str) -> bool {
    text.is_empty() || is_name_part(text)
}

/// Whether a namespace and a Service can have this name (RFC 1123). Before Kubernetes 1.36 a Service's name had to begin with a letter
/// (KEP-5311): of such a cluster it is the API server that refuses `0zk`.
pub fn is_dns_label(text: &str) -> bool {
    is_subdomain(text) && text.len() <= LONGEST && !text.contains('.')
}

fn is_name_part(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    text.len() <= LONGEST && is_between_alphanumerics(text) && text.bytes().all(inner)
}

fn is_subdomain(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_part = |part: &str| is_between_alphanumerics(part) && part.bytes().all(inner);
    text.len() <= LONGEST_PREFIX && text.split('.').all(is_part)
}

/// Whether the first and the last character are letters or digits.
fn is_between_alphanumerics(text: &str) -> bool {
    let mut bytes = text.bytes();
    let Some(first) = bytes.next() else { return false };
    first.is_ascii_alphanumeric() && bytes.next_back().unwrap_or(first).is_ascii_alphanumeric()
}

/// Whether a label changes with each version of a chart or an application, by its key and value: `app.kubernetes.io/version`, or
/// `helm.sh/chart`, `chart` or `version` with a version as value. The version in `helm.sh/chart` may be cut off.
pub fn is_version_label(key: &str, value: &str) -> bool {
    match key {
        "app.kubernetes.io/version" => true,
        "helm.sh/chart" => value.split('-').any(|part| {
            part.strip_prefix('v').unwrap_or(part).starts_with(|first: char| first.is_ascii_digit())
        }),
        "chart" => value.split('-').any(is_version),
        "version" => is_version(value),
        _ => false,
    }
}

/// `1.2`, `v1.2.3`, `1.2.3_build.4`.
fn is_version(text: &str) -> bool {
    let text = text.strip_prefix('v').unwrap_or(text);
    let mut numbers = text.split('.').take_while(|part| part.starts_with(|c: char| c.is_ascii_digit()));
    numbers.next().is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
        && numbers.next().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_services() {
        let long = "a".repeat(64);
        for (text, is_name) in [
            ("zk", true),
            ("zk-0", true),
            ("0zk", true),
            ("zk-", false),
            ("", false),
            ("zk.a", false),
            ("ZK", false),
            ("${X}", false),
            (&long, false),
        ] {
            assert_eq!(is_dns_label(text), is_name, "{text:?}");
        }
    }

    #[test]
    fn keys_and_values_as_the_api_server_takes_them() {
        let (long, longer) = ("a".repeat(63), "a".repeat(64));
        for (text, key, value) in [
            ("app", true, true),
            ("Pod_Name.1", true, true),
            ("example.com/app", true, false),
            ("statefulset.kubernetes.io/pod-name", true, false),
            ("", false, true),
            ("/app", false, false),
            ("example.com/", false, false),
            ("Example.com/app", false, false),
            ("a..b/app", false, false),
            ("a/b/c", false, false),
            ("-app", false, false),
            ("app-", false, false),
            ("ap p", false, false),
            ("größe", false, false),
            (&long, true, true),
            (&longer, false, false),
        ] {
            assert_eq!((is_label_key(text), is_label_value(text)), (key, value), "{text:?}");
        }
        assert!(is_label_key(&format!("{}/app", "a".repeat(253))));
        assert!(!is_label_key(&format!("{}/app", "a".repeat(254))));
    }

    #[test]
    fn version_labels() {
        for (key, value, expected) in [
            ("helm.sh/chart", "zk-1", true),
            ("helm.sh/chart", "ibm-db2", false),
            ("app.kubernetes.io/version", "3", true),
            ("chart", "zk-4.1.0", true),
            ("chart", "zk-ha-v0.3.2-rc.1", true),
            ("chart", "zk-1.2.3_build.7", true),
            ("chart", "zk", false),
            ("chart", "zk-2", false),
            ("version", "v1.2", true),
            ("version", "8.13.0", true),
            ("version", "v1", false),
            ("version", "stable", false),
            ("app", "zk-1.2.3", false),
        ] {
            assert_eq!(is_version_label(key, value), expected, "{key}={value}");
        }
    }
}
