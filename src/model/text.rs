//! Text from requests, cut to a bound.

/// Cuts a text to at most `longest` bytes, at the boundary of a character, and marks the cut with `…`.
pub fn cut(mut text: String, longest: usize) -> String {
    if text.len() > longest {
        let mut end = longest.saturating_sub('…'.len_utf8());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push('…');
        text.shrink_to_fit();
    }
    text
}

/// A key as one step of a JSON pointer.
pub fn pointer_step(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_keeps_characters_whole_and_the_limit() {
        assert_eq!(cut("abc".to_owned(), 3), "abc");
        assert_eq!(cut("abcd".to_owned(), 5), "abcd");
        for longest in 3..12 {
            let text = cut("é".repeat(20), longest);
            assert!(text.len() <= longest && text.ends_with('…'), "{text}");
        }
    }
}
