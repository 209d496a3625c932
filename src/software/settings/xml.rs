//! XML, in which `ClickHouse` and Hadoop are configured. The element around all is no part of a path, and of Hadoop's properties the
//! name is the path.

use super::Path;

pub(super) fn read(text: &str, found: &mut dyn FnMut(&str, &str)) {
    let mut reader = XmlReader { path: Path::default(), around: Vec::new(), property: "", found };
    let mut rest = text;
    while let Some((before, tag)) = rest.split_once('<') {
        let end = if tag.starts_with("!--") { "-->" } else { ">" };
        let Some((tag, after)) = tag.split_once(end) else { return };
        reader.take(before.trim(), tag);
        rest = after;
    }
}

struct XmlReader<'t, 'f> {
    path: Path,
    /// For each element that is open, the path outside.
    around: Vec<usize>,
    /// The name of the property that is being read.
    property: &'t str,
    found: &'f mut dyn FnMut(&str, &str),
}

impl<'t> XmlReader<'t, '_> {
    /// A tag, and the text before it.
    fn take(&mut self, text: &'t str, tag: &'t str) {
        match tag.strip_prefix('/') {
            Some(name) => self.close(name.trim_end(), text),
            None if tag.starts_with(['?', '!']) || tag.ends_with('/') => {}
            None => self.open(tag.split_whitespace().next().unwrap_or_default()),
        }
    }

    fn open(&mut self, name: &str) {
        let is_outermost = self.around.is_empty();
        let name = Some(name).filter(|_| !is_outermost);
        let before = self.path.enter(name);
        self.around.push(before);
    }

    fn close(&mut self, name: &str, text: &'t str) {
        match name {
            "name" => self.property = text,
            "value" if !self.property.is_empty() => (self.found)(self.property, text),
            "property" => self.property = "",
            _ if !text.is_empty() => self.path.give(text, self.found),
            _ => {}
        }
        if let Some(before) = self.around.pop() {
            self.path.leave(before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Language;
    use super::super::tests::seen;

    #[test]
    fn elements_are_paths_and_properties_are_settings() {
        for (text, expected) in [
            (
                "<?xml version=\"1.0\"?><clickhouse>\n<keeper_server><tcp_port>9181</tcp_port>\n<raft_configuration>\
                 <server><id>1</id><hostname> a </hostname></server>\n<!-- <hostname>x</hostname> --><server><hostname>b</hostname>\
                 </server></raft_configuration></keeper_server></clickhouse>",
                "keeper_server.tcp_port=9181 keeper_server.raft_configuration.server.id=1 \
                 keeper_server.raft_configuration.server.hostname=a keeper_server.raft_configuration.server.hostname=b",
            ),
            (
                "<configuration><property><name>dfs.a</name><value>1</value></property><property><value>x</value></property>\
                 <property><name>dfs.b</name>\n<value>qjournal://a:1;b:1/c</value></property></configuration>",
                "dfs.a=1 property.value=x dfs.b=qjournal://a:1;b:1/c",
            ),
            ("<a><b attribute=\"1\">2</b><c/><d from_env=\"X\" /></a>", "b=2"),
            ("</a></b>text<c", ""),
            ("<a><!-- never ends", ""),
            ("", ""),
        ] {
            assert_eq!(seen(Language::Xml, text), expected, "{text}");
        }
    }
}
