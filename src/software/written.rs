//! The texts that a command line writes into files, or hands to a program as its configuration.

use super::programs::base_name;
use super::shell::commands_and_documents;
use crate::model::Container;

/// Commands that write their arguments.
const WRITE: [&str; 2] = ["echo", "printf"];
/// Flags after which a configuration stands itself.
const TEXT_FLAGS: [&str; 2] = ["-hcl", "--hcl"];

/// The texts that a container's scripts write: here-documents, the output of `echo` and `printf` of one script together, and the
/// values of these variables.
pub(super) fn texts(container: &Container, variables: &[String]) -> Vec<String> {
    let words: Vec<String> =
        container.command.iter().chain(&container.args).map(ToString::to_string).collect();
    let mut texts = Vec::new();
    let is_script = |word: &&String| word.contains(char::is_whitespace) && !word.starts_with('-');
    for script in words.iter().filter(is_script) {
        let (commands, documents) = commands_and_documents(script);
        texts.extend(documents);
        let written: Vec<String> = commands.iter().filter_map(|words| written_by(words)).collect();
        texts.push(written.join("\n"));
        texts.extend(commands.iter().flat_map(|words| given(words, variables)));
    }
    texts.extend(given(&words, variables));
    texts.retain(|text| !text.is_empty());
    texts
}

/// The text that a command writes.
fn written_by(words: &[String]) -> Option<String> {
    let (command, rest) = words.split_first()?;
    let is_flag = |word: &&String| word.starts_with('-');
    let arguments = &rest[rest.iter().take_while(is_flag).count()..];
    WRITE.contains(&base_name(command)).then(|| {
        let text = arguments.join(" ");
        if text.contains('\\') { text.replace("\\n", "\n").replace("\\t", "\t") } else { text }
    })
}

/// Words that are a configuration.
fn given<'w>(words: &'w [String], variables: &'w [String]) -> impl Iterator<Item = String> + 'w {
    words.iter().enumerate().filter_map(move |(index, word)| {
        if TEXT_FLAGS.contains(&word.as_str()) {
            return words.get(index + 1).cloned();
        }
        let (name, value) = word.split_once('=')?;
        let is_text = TEXT_FLAGS.contains(&name) || variables.iter().any(|variable| variable == name);
        is_text.then(|| value.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_what_is_written() {
        for (args, expected) in [
            (&["agent"] as &[&str], &[] as &[&str]),
            (&["echo '{\"server\": true}' > /c.json; exec consul agent"], &["{\"server\": true}"]),
            (&["echo \"{\\\"server\\\": true}\" > /c.json"], &["{\"server\": true}"]),
            (
                &["echo 'server {' > c; echo -n ' enabled = true' >> c; echo } >> c"],
                &["server {\n enabled = true\n}"],
            ),
            (&["printf '%s\\n' \"a = b\"; printf 'c:\\n\\td: e'"], &["%s\n a = b\nc:\n\td: e"]),
            (&["cat > c <<EOF\nserver = true\nEOF\nexec x"], &["server = true\n"]),
            (&["export CONF='server = true'; OTHER=x CONF={} exec y"], &["server = true", "{}"]),
            (&["agent", "-hcl", "server = true", "-hcl=ui = true"], &["server = true", "ui = true"]),
            (&["consul agent -hcl 'server = true'"], &["server = true"]),
            (&["agent", "-node-meta", "server=true"], &[]),
            (&["consul agent -node-meta server=true # server = true"], &[]),
        ] {
            let args = args.iter().map(|word| (*word).into()).collect();
            let container = Container { args, ..Container::default() };
            assert_eq!(texts(&container, &["CONF".to_owned()]), expected, "{:?}", container.args);
        }
    }
}
