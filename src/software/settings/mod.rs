//! Reads the settings of a configuration file, in the languages in which software is configured.

mod braces;
mod lines;
mod xml;
mod yaml;

use serde::Deserialize;

/// Bytes of a path beyond which nothing is said of what is below it: no setting that is looked for is so deep.
const LONGEST_PATH: usize = 128;

/// The language of a configuration file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Language {
    /// HCL and JSON, and what NATS reads.
    #[default]
    Braces,
    /// YAML; where it is no map, lines.
    Yaml,
    /// Java's properties and files with `[sections]`.
    Lines,
    Xml,
}

/// Gives each setting of a text: its path from the top, joined by dots, and its value. Labels of a block are a part of the path, a
/// list is its scalars joined by commas, and a block is a setting with an empty value. What cannot be read is left out.
pub(super) fn read(language: Language, text: &str, found: &mut dyn FnMut(&str, &str)) {
    match language {
        Language::Braces => braces::read(text, found),
        Language::Yaml => yaml::read(text, found),
        Language::Lines => lines::read(text, found),
        Language::Xml => xml::read(text, found),
    }
}

/// Where a reader is: the keys of the blocks around.
#[derive(Debug, Default)]
struct Path(String);

impl Path {
    fn is_too_long(&self) -> bool {
        self.0.len() > LONGEST_PATH
    }

    /// Goes into a block; returns what [`Self::leave`] takes to come back.
    fn enter<'k>(&mut self, keys: impl IntoIterator<Item = &'k str>) -> usize {
        let before = self.0.len();
        for key in keys {
            if self.is_too_long() {
                break;
            }
            if !self.0.is_empty() {
                self.0.push('.');
            }
            self.0.extend(key.chars().take(LONGEST_PATH));
        }
        before
    }

    fn leave(&mut self, before: usize) {
        self.0.truncate(before);
    }

    fn give(&self, value: &str, found: &mut dyn FnMut(&str, &str)) {
        if !self.is_too_long() {
            found(&self.0, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `PATH=VALUE` of each, separated by spaces.
    pub(super) fn seen(language: Language, text: &str) -> String {
        let mut settings = Vec::new();
        read(language, text, &mut |path, value| settings.push(format!("{path}={value}")));
        settings.join(" ")
    }

    const LANGUAGES: [Language; 4] = [Language::Braces, Language::Yaml, Language::Lines, Language::Xml];

    proptest! {
        #[test]
        fn any_text_is_read(text in "[a{}\\[\\]()=:,;#/*\"'<$\\\\\n -]{0,80}|.{0,40}") {
            for language in LANGUAGES {
                read(language, &text, &mut |path, value| assert!(path.len() <= text.len(), "{path} {value}"));
            }
        }
    }

    #[test]
    fn long_texts_take_linear_time() {
        for unit in [
            "a{", "a=[", "\"", "/*", "<<E\n", "a=b\n", "a.", "${", "'", "- ", "[a]\n", "{\"a\":", "<a>",
            "<!--", "</a",
        ] {
            let text = unit.repeat(20_000);
            for language in LANGUAGES {
                let mut bytes = 0;
                read(language, &text, &mut |path, value| bytes += path.len() + value.len());
                assert!(bytes <= 8 * LONGEST_PATH * text.len(), "{unit}");
            }
        }
    }
}
