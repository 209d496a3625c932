//! The parameters that a policy may give a rule.

use serde_json::{Map, Value};

/// A parameter of a rule, declared in the rule's file.
#[derive(Debug)]
pub struct Param {
    /// The name in policies.
    pub name: &'static str,
    /// One sentence for people who write policies.
    pub docs: &'static str,
    pub kind: ParamKind,
}

/// The values of a parameter, and its default.
#[derive(Clone, Copy, Debug)]
pub enum ParamKind {
    /// A whole number.
    Integer { default: i32 },
    /// A list of texts; absent means any.
    Texts,
    /// `true` or `false`; absent means `false`.
    Switch,
}

/// The values that a policy gives a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params(Vec<(&'static str, ParamValue)>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum ParamValue {
    Integer(i32),
    Texts(Vec<String>),
    Switch(bool),
}

/// No values: every parameter has its default.
pub static NO_PARAMS: Params = Params(Vec::new());

impl Params {
    /// Reads the values from a policy. The error is the name of the parameter and what is wrong with it.
    pub fn read(
        given: &Map<String, Value>,
        declared: &'static [&'static Param],
    ) -> Result<Self, (String, String)> {
        let values = given.iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| {
            let failed = |message: String| (name.clone(), message);
            let Some(param) = declared.iter().find(|param| param.name == name) else {
                return Err(failed(unknown(name, declared)));
            };
            let value = param.kind.read(value).ok_or_else(|| failed(param.kind.expected(name)))?;
            Ok((param.name, value))
        });
        values.collect::<Result<_, _>>().map(Self)
    }

    /// The value of an integer parameter, or its default.
    pub fn integer(&self, param: &Param) -> i32 {
        match (self.get(param), param.kind) {
            (Some(ParamValue::Integer(value)), _) => *value,
            (_, ParamKind::Integer { default }) => default,
            (_, ParamKind::Texts | ParamKind::Switch) => 0,
        }
    }

    /// The value of a list parameter; `None` means any.
    pub fn texts(&self, param: &Param) -> Option<&[String]> {
        match self.get(param) {
            Some(ParamValue::Texts(texts)) => Some(texts),
            _ => None,
        }
    }

    /// Whether a switch is on.
    pub fn switch(&self, param: &Param) -> bool {
        matches!(self.get(param), Some(ParamValue::Switch(true)))
    }

    fn get(&self, param: &Param) -> Option<&ParamValue> {
        self.0.iter().find(|(name, _)| *name == param.name).map(|(_, value)| value)
    }
}

fn unknown(name: &str, declared: &[&Param]) -> String {
    let known: Vec<&str> = declared.iter().map(|param| param.name).collect();
    if known.is_empty() {
        format!("the rule has no parameter `{name}`: it has none")
    } else {
        format!("the rule has no parameter `{name}`; it has {}", known.join(", "))
    }
}

impl ParamKind {
    fn read(self, value: &Value) -> Option<ParamValue> {
        match self {
            Self::Integer { .. } => {
                value.as_i64().and_then(|number| i32::try_from(number).ok()).map(ParamValue::Integer)
            }
            Self::Texts => {
                let texts = value.as_array()?.iter().map(|text| text.as_str().map(str::to_owned));
                texts.collect::<Option<_>>().map(ParamValue::Texts)
            }
            Self::Switch => value.as_bool().map(ParamValue::Switch),
        }
    }

    fn expected(self, name: &str) -> String {
        match self {
            Self::Integer { .. } => format!("`{name}` must be a whole number"),
            Self::Texts => format!("`{name}` must be a list of texts"),
            Self::Switch => format!("`{name}` must be true or false"),
        }
    }
}
