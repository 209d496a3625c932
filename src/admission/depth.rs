//! How deeply JSON may be nested.

/// Kubernetes objects nest about 20 deep; no real object needs more than this.
pub(super) const MAX_DEPTH: usize = 512;

/// Whether arrays and objects nest deeper than [`MAX_DEPTH`]. The parser bounds the depth of what it reads, but not of what it
/// skips.
pub(super) fn is_too_deep(json: &[u8]) -> bool {
    // `[` and `{` differ in one bit. A body with fewer of them than the limit cannot nest that deep, and nearly all
    // bodies are such; counting is many times faster than following strings and brackets.
    opening(json) > MAX_DEPTH && deepest(json) > MAX_DEPTH
}

fn opening(json: &[u8]) -> usize {
    // So few at a time that a byte can count them: that is what the compiler needs to compare many at once.
    let count = |few: &[u8]| few.iter().map(|byte| u8::from(byte & !0x20 == b'[')).sum::<u8>();
    json.chunks(usize::from(u8::MAX)).map(|few| usize::from(count(few))).sum()
}

fn deepest(json: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in json {
        match (in_string, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_string = !in_string,
            (false, b'[' | b'{') => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            (false, b']' | b'}') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_nesting_counts() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth)).into_bytes();
        assert!(!is_too_deep(&nested(MAX_DEPTH)));
        assert!(is_too_deep(&nested(MAX_DEPTH + 1)));
        assert!(!is_too_deep("[]".repeat(2000).as_bytes()));
        assert!(!is_too_deep(format!("[\"\\\"{}\"]", "{".repeat(2000)).as_bytes()));
    }
}
