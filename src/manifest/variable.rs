//! Variables that something fills in before manifests are applied: `envsubst`, Flux, `oc process`.

/// A text that is a variable as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WholeVariable<'a> {
    /// The default, for a variable without a value.
    pub default: Option<&'a str>,
}

impl<'a> WholeVariable<'a> {
    /// `${NAME}`, `${NAME:=default}`, `${NAME:-default}`, `$NAME`, and `${{NAME}}` of an `OpenShift` Template.
    pub fn of(text: &'a str) -> Option<Self> {
        let text = text.strip_prefix('$')?;
        let inner = text.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
        // A brace that closes too early ends the variable there.
        let inner = inner.filter(|inner| closes(inner));
        let Some(inner) = inner else { return is_name(text).then_some(Self { default: None }) };
        if let Some(name) = inner.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
            return is_name(name.trim()).then_some(Self { default: None });
        }
        let end = inner.find(|character| !is_of_name(character)).unwrap_or(inner.len());
        let (name, rest) = inner.split_at(end);
        let default = [":=", ":-", "=", "-"].into_iter().find_map(|operator| rest.strip_prefix(operator));
        is_name(name).then_some(Self { default })
    }
}

/// Whether every closing brace has an opening one before it.
fn closes(text: &str) -> bool {
    let step = |depth: usize, character| match character {
        '{' => Some(depth + 1),
        '}' => depth.checked_sub(1),
        _ => Some(depth),
    };
    text.chars().try_fold(0, step).is_some()
}

fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| !first.is_ascii_digit()) && text.chars().all(is_of_name)
}

fn is_of_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_a_variable_only_as_a_whole() {
        for (text, default) in [
            ("${A}", Some(None)),
            ("$A_1", Some(None)),
            ("${{A}}", Some(None)),
            ("${A:=3}", Some(Some("3"))),
            ("${A:-3}", Some(Some("3"))),
            ("${A-}", Some(Some(""))),
            ("${A:?not set}", Some(None)),
            ("${A}x", None),
            ("x${A}", None),
            ("${A}-${B}", None),
            ("${A:=1}-${B}", None),
            ("${A:=${B}}", Some(Some("${B}"))),
            ("${1}", None),
            ("${}", None),
            ("$", None),
            ("$(A)", None),
            ("3", None),
            ("", None),
        ] {
            assert_eq!(WholeVariable::of(text).map(|variable| variable.default), default, "{text}");
        }
    }
}
