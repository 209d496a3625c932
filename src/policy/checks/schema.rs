//! The types of the objects that checks read.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use crate::cel::{ObjectFields, Type};

/// By name: `StatefulSet`, `Scale` and what they consist of.
static OBJECTS: LazyLock<BTreeMap<&str, Type>> = LazyLock::new(|| {
    let lines = include_str!("objects.types").lines().filter(|line| !line.starts_with('#'));
    let written: BTreeMap<&str, &str> = lines.filter_map(|line| line.split_once(' ')).collect();
    let mut built = BTreeMap::new();
    for name in written.keys() {
        build(name, &written, &mut built);
    }
    built
});

/// The type of an object; anything where there is none of this name.
pub(super) fn object(name: &str) -> Type {
    OBJECTS.get(name).cloned().unwrap_or(Type::Dyn)
}

/// No definition of Kubernetes' that is in the file contains itself.
fn build<'t>(
    name: &'t str,
    written: &BTreeMap<&'t str, &'t str>,
    built: &mut BTreeMap<&'t str, Type>,
) -> Type {
    if let Some(known) = built.get(name) {
        return known.clone();
    }
    let Some(fields) = written.get(name) else { return Type::Dyn };
    let fields = fields
        .split(' ')
        .filter_map(|field| field.split_once(':'))
        .map(|(field, found)| (field.into(), field_type(found, written, built)))
        .collect();
    let article = if name.starts_with(['A', 'E', 'I', 'O']) { "an" } else { "a" };
    let object = Type::Object(Arc::new(ObjectFields { name: format!("{article} {name}").into(), fields }));
    built.insert(name, object.clone());
    object
}

fn field_type<'t>(
    text: &'t str,
    written: &BTreeMap<&'t str, &'t str>,
    built: &mut BTreeMap<&'t str, Type>,
) -> Type {
    if let Some(item) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        return Type::list(field_type(item, written, built));
    }
    if let Some(value) = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
        return Type::map(field_type(value, written, built));
    }
    match text {
        "string" => Type::Text,
        "int" => Type::Int,
        "double" => Type::Double,
        "bool" => Type::Bool,
        "any" => Type::Dyn,
        name => build(name, written, built),
    }
}
