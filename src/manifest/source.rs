//! A file, kept for when something in it is to be shown or mended.

use std::sync::Arc;

/// The name of what comes through standard input.
pub const STDIN: &str = "<stdin>";

/// A file, or what came through standard input.
///
/// Its text is packed: an audit reads megabytes, of which a report shows a few lines.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Source {
    /// The path as the user would write it.
    pub name: String,
    /// How it came to be read.
    pub origin: SourceOrigin,
    /// Whether its bytes are its text in UTF-8; otherwise the text is what kubectl decodes them to.
    pub is_utf8: bool,
    packed: Arc<[u8]>,
}

/// How a [`Source`] came to be read, which decides how much is expected of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SourceOrigin {
    /// It was named: it should hold manifests.
    Named,
    /// It lies in a folder that was named, among whatever else is there.
    Found,
    /// It lies in the `templates` folder of a Helm chart.
    Chart,
}

impl Source {
    /// A file with this text, which is without a byte order mark.
    pub fn new(name: impl Into<String>, text: &str, origin: SourceOrigin) -> Arc<Self> {
        Self::decoded(name, text, true, origin)
    }

    /// A file whose bytes, in UTF-8 or not, come to this text.
    pub fn decoded(name: impl Into<String>, text: &str, is_utf8: bool, origin: SourceOrigin) -> Arc<Self> {
        let packed = lz4_flex::compress_prepend_size(text.as_bytes()).into();
        Arc::new(Self { name: name.into(), origin, is_utf8, packed })
    }

    /// The same file under another name.
    pub fn renamed(&self, name: String) -> Arc<Self> {
        let Self { origin, is_utf8, ref packed, .. } = *self;
        Arc::new(Self { name, origin, is_utf8, packed: Arc::clone(packed) })
    }

    /// Whether nothing is in it, or it was not read. Its length stands before what is packed.
    pub fn is_empty(&self) -> bool {
        self.packed.starts_with(&0_u32.to_le_bytes())
    }

    /// The text.
    pub fn text(&self) -> String {
        let bytes = lz4_flex::decompress_size_prepended(&self.packed).unwrap_or_default();
        String::from_utf8(bytes).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_text_is_what_it_was(text in "(?s).{0,300}", times in 0..50_usize) {
            let text = text.repeat(times);
            let source = Source::new("a", &text, SourceOrigin::Named);
            prop_assert_eq!(source.is_empty(), text.is_empty());
            prop_assert_eq!(source.text(), text);
        }
    }

    #[test]
    fn manifests_take_a_part_of_their_memory() {
        let text = include_str!("../../deploy/examples/consul/consul.yaml").repeat(100);
        let source = Source::new("a", &text, SourceOrigin::Named);
        assert!(source.packed.len() < text.len() / 10, "{} of {}", source.packed.len(), text.len());
    }
}
