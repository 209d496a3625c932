//! Unified diffs.

use similar::TextDiff;

use super::FixedFile;

/// The difference of a file's texts, in the form that `patch` and `git apply` read.
pub fn unified(file: &FixedFile) -> String {
    let (old_name, old) = match &file.before {
        Some(text) => (format!("a/{}", file.name), &**text),
        None => ("/dev/null".to_owned(), ""),
    };
    let new_name = format!("b/{}", file.name);
    TextDiff::from_lines(old, &file.after).unified_diff().header(&old_name, &new_name).to_string()
}
