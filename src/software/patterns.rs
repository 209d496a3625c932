//! Names with `*` in them.

use std::cmp::Ordering;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// A set of patterns, any of which may match.
///
/// Nearly all patterns are plain names or have `*` as their only wildcard. Those are compared by hand, which is many times
/// faster than the automaton that a [`GlobSet`] is; the rest is left to one.
#[derive(Clone, Debug)]
pub struct Patterns {
    /// Each pattern without a wildcard, with its indexes, by length and text: lengths are compared before texts are.
    names: Vec<(Box<str>, Vec<usize>)>,
    /// Each pattern with `*`, with its indexes.
    starred: Vec<(Starred, Vec<usize>)>,
    globs: GlobSet,
    /// The index of each of `globs`.
    glob_indexes: Vec<usize>,
    /// Whether `*` stays within one component of a path.
    by_component: bool,
}

impl Patterns {
    /// Patterns whose `*` matches anything, `/` too.
    pub fn new(patterns: &[String]) -> Result<Self, globset::Error> {
        Self::build(patterns, false)
    }

    /// Patterns whose `*` stays within one component of a path.
    pub fn of_components(patterns: &[String]) -> Result<Self, globset::Error> {
        Self::build(patterns, true)
    }

    fn build(patterns: &[String], by_component: bool) -> Result<Self, globset::Error> {
        let (mut names, mut starred, mut globs, mut glob_indexes) = (
            Vec::<(Box<str>, Vec<usize>)>::new(),
            Vec::<(Starred, Vec<usize>)>::new(),
            GlobSetBuilder::new(),
            vec![],
        );
        for (index, pattern) in patterns.iter().enumerate() {
            if pattern.contains(['?', '[', ']', '{', '}', '\\']) || pattern.contains("**") {
                globs.add(GlobBuilder::new(pattern).literal_separator(by_component).build()?);
                glob_indexes.push(index);
            } else if pattern.contains('*') {
                let new = Starred::new(pattern, by_component);
                match starred.iter_mut().find(|(known, _)| *known == new) {
                    Some((_, indexes)) => indexes.push(index),
                    None => starred.push((new, vec![index])),
                }
            } else {
                names.push((pattern.as_str().into(), vec![index]));
            }
        }
        names.sort_by(|(one, _), (other, _)| in_order(one, other));
        names.dedup_by(|(next, indexes), (name, all)| {
            let is_same = next == name;
            if is_same {
                all.append(indexes);
            }
            is_same
        });
        Ok(Self { names, starred, globs: globs.build()?, glob_indexes, by_component })
    }

    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.starred.is_empty() && self.globs.is_empty()
    }

    pub fn matches(&self, name: &str) -> bool {
        self.named(name).is_some()
            || self.matching_starred(name).next().is_some()
            || (!self.globs.is_empty() && self.globs.is_match(name))
    }

    /// The indexes of the patterns that match, in no order.
    pub fn matching(&self, name: &str) -> impl Iterator<Item = usize> {
        let plain = self.named(name).into_iter().chain(self.matching_starred(name)).flatten().copied();
        let globs = if self.globs.is_empty() { Vec::new() } else { self.globs.matches(name) };
        plain.chain(globs.into_iter().map(|glob| self.glob_indexes[glob]))
    }

    fn named(&self, name: &str) -> Option<&Vec<usize>> {
        let at = self.names.binary_search_by(|(known, _)| in_order(known, name)).ok()?;
        self.names.get(at).map(|(_, indexes)| indexes)
    }

    fn matching_starred(&self, name: &str) -> impl Iterator<Item = &Vec<usize>> {
        let components = if self.by_component { 1 + slashes(name) } else { 1 };
        let ends =
            [name.as_bytes().first(), name.as_bytes().last()].map(|byte| byte.copied().unwrap_or_default());
        let starred = self
            .starred
            .iter()
            .filter(move |(pattern, _)| pattern.may_match(ends))
            .filter(move |(pattern, _)| pattern.components.len() == components);
        starred.filter(|(pattern, _)| pattern.matches(name)).map(|(_, indexes)| indexes)
    }
}

/// By length, then by text.
fn in_order(one: &str, other: &str) -> Ordering {
    one.len().cmp(&other.len()).then_with(|| one.cmp(other))
}

fn slashes(name: &str) -> usize {
    name.bytes().filter(|byte| *byte == b'/').count()
}

/// A pattern with `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Starred {
    /// The components of the pattern, each as its texts between `*`.
    components: Vec<Vec<Box<str>>>,
    /// The first byte and the last one; 0 for any.
    ends: [u8; 2],
}

impl Starred {
    fn new(pattern: &str, by_component: bool) -> Self {
        let parts = |component: &str| component.split('*').map(Into::into).collect();
        let components =
            if by_component { pattern.split('/').map(parts).collect() } else { vec![parts(pattern)] };
        let ends = [pattern.bytes().next(), pattern.bytes().next_back()];
        Self { components, ends: ends.map(|byte| byte.filter(|byte| *byte != b'*').unwrap_or_default()) }
    }

    /// Whether a name with these ends may match: of most patterns that is all that has to be looked at.
    fn may_match(&self, [first, last]: [u8; 2]) -> bool {
        let fits = |wanted: u8, given: u8| wanted == 0 || wanted == given;
        fits(self.ends[0], first) && fits(self.ends[1], last)
    }

    /// Whether it matches a name of as many components.
    fn matches(&self, name: &str) -> bool {
        match &*self.components {
            [whole] => fits(whole, name),
            components => components.iter().zip(name.split('/')).all(|(parts, name)| fits(parts, name)),
        }
    }
}

/// Whether `text` is these parts in this order, with anything between them.
fn fits(parts: &[Box<str>], text: &str) -> bool {
    let [first, middle @ .., last] = parts else {
        return parts.iter().all(|only| **only == *text);
    };
    if text.len() < first.len() + last.len() || !begins(text, first) || !ends(text, last) {
        return false;
    }
    let mut rest = &text[first.len()..text.len() - last.len()];
    middle.iter().all(|part| pass(&mut rest, part))
}

// A part that is empty points to no memory, which the C library's comparison, given 0 bytes of it, takes
// a processor with AVX-512 a hundred times as long to find out as a part that is there. One byte tells most others apart.

fn begins(text: &str, part: &str) -> bool {
    let first = part.as_bytes().first();
    first.is_none() || (first == text.as_bytes().first() && text.starts_with(part))
}

fn ends(text: &str, part: &str) -> bool {
    let last = part.as_bytes().last();
    last.is_none() || (last == text.as_bytes().last() && text.ends_with(part))
}

/// Moves `rest` past the first `part` in it. Names are short: setting up a better search would take longer than this one.
fn pass(rest: &mut &str, part: &str) -> bool {
    if part.is_empty() {
        return true;
    }
    let at = rest.as_bytes().windows(part.len()).position(|window| window == part.as_bytes());
    at.map(|at| *rest = &rest[at + part.len()..]).is_some()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dots_are_letters_like_others() {
        let patterns = Patterns::new(&["registry.example/*/etcd".to_owned(), "v?.db".to_owned()]).unwrap();
        for (name, expected) in [
            ("registry.example/a/b/etcd", true),
            ("registry-example/a/etcd", false),
            ("v1.db", true),
            ("v1-db", false),
        ] {
            assert_eq!(patterns.matches(name), expected, "{name}");
        }
    }

    #[test]
    fn a_star_may_stand_for_nothing_and_parts_do_not_overlap() {
        let patterns = Patterns::new(&["a*a".to_owned(), "*b*c*".to_owned()]).unwrap();
        for (name, expected) in [("aa", true), ("a", false), ("abba", true), ("bc", true), ("cb", false)] {
            assert_eq!(patterns.matches(name), expected, "{name}");
        }
    }

    // Without dots: globset takes names for paths, and `..` for a folder.
    proptest! {
        #[test]
        fn patterns_match_what_globs_match(
            patterns in proptest::collection::vec("[ab/*?]{0,5}", 0..5), name in "[ab/]{0,6}", by_component: bool,
        ) {
            let globs = patterns.iter().map(|p| GlobBuilder::new(p).literal_separator(by_component).build().unwrap());
            let expected: Vec<usize> = globs
                .enumerate()
                .filter(|(_, glob)| glob.compile_matcher().is_match(&name))
                .map(|(index, _)| index)
                .collect();
            let patterns = Patterns::build(&patterns, by_component).unwrap();
            let mut matching: Vec<usize> = patterns.matching(&name).collect();
            matching.sort_unstable();
            prop_assert_eq!(patterns.matches(&name), !expected.is_empty());
            prop_assert_eq!(matching, expected);
        }
    }
}
