//! What a person may have meant by a word that is not known.

/// Longer words are not compared: the comparison takes as many steps as both words have letters, multiplied.
const LONGEST: usize = 80;

/// How alike two words must be, from 0 to 1.
const ALIKE: f64 = 0.8;

/// The known word that looks most like the typed one, if one does.
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

#[cfg(test)]
mod tests {
    use super::*;

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
