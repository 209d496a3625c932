//! Suggestions for a mistyped word.

/// Longer words are not compared: the cost is the product of both lengths.
const LONGEST: usize = 80;

/// The minimum similarity of two words, from 0 to 1.
const ALIKE: f64 = 0.8;

/// The known word that is most similar to the typed one, if any is similar enough.
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if typed.len() > LONGEST {
        return None;
    }
    let typed = typed.trim().to_lowercase();
    let likeness = |word: &str| strsim::jaro_winkler(&typed, &word.to_lowercase());
    let known =
        known.into_iter().map(|word| (likeness(word), word)).filter(|(likeness, _)| *likeness > ALIKE);
    known.max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, word)| word)
}

/// `; did you mean "quorum-even"?`, or nothing.
pub fn did_you_mean<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(typed, known).map_or_else(String::new, |word| format!("; did you mean {word:?}?"))
}

/// The known word that is certainly meant: the same letters, or one or two letters wrong, missing, added or swapped.
pub fn misspelt<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typed = letters(typed);
    // In a short word two letters are half of it.
    let most = if typed.len() < 6 { 1 } else { 2 };
    let known = known.into_iter().filter(|word| word.len().abs_diff(typed.len()) <= most);
    let distances = known.map(|word| (strsim::osa_distance(&typed, &letters(word)), word));
    let near = distances.filter(|(distance, _)| *distance <= most);
    near.min_by_key(|(distance, _)| *distance).map(|(_, word)| word)
}

/// A word without the differences between naming styles: `service_name`, `serviceName`, `Service-Name`.
fn letters(word: &str) -> String {
    let letters = word.chars().filter(|character| !matches!(character, '_' | '-'));
    letters.flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelling_has_one_or_two_wrong_letters() {
        let known =
            ["env", "replicas", "spec", "serviceName", "ports", "resizePolicy", "volumeClaimTemplates"];
        for (typed, meant) in [
            ("replica", Some("replicas")),
            ("rpelicsa", Some("replicas")),
            ("sepc", Some("spec")),
            ("sec", Some("spec")),
            ("sed", None),
            ("servicename", Some("serviceName")),
            ("service_name", Some("serviceName")),
            ("port", Some("ports")),
            ("volumeClaimTemplate", Some("volumeClaimTemplates")),
            ("resizePolicies", None),
            ("envs", Some("env")),
            ("replication", None),
            ("", None),
            (&"replicas".repeat(20), None),
        ] {
            assert_eq!(misspelt(typed, known), meant, "{typed}");
        }
    }

    #[test]
    fn only_what_looks_alike() {
        let known = ["quorum", "singleton", "replicated"];
        for (typed, meant) in [
            ("quorom", Some("quorum")),
            ("single", Some("singleton")),
            ("REPLICATE ", Some("replicated")),
            ("x", None),
            ("", None),
            (&"quorum".repeat(20), None),
        ] {
            assert_eq!(nearest(typed, known), meant, "{typed}");
        }
        assert_eq!(nearest("x", []), None);
    }
}
