//! Writes rule names in the form of Kubernetes' reasons.

/// `quorum-even` becomes `QuorumEven`.
pub fn reason(id: &str) -> String {
    let mut text = String::with_capacity(id.len());
    for word in id.split('-') {
        let mut letters = word.chars();
        text.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        text.push_str(letters.as_str());
    }
    text
}
