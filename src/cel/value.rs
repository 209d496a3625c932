//! Values, which borrow from the JSON that they come from.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value as Json;

use super::addresses::{Address, Block};
use super::quantity::Quantity;
use super::times::{CelDuration, Moment};
use super::versions::Version;
use super::{Failure, Meter};

/// A value of an expression.
#[derive(Clone, Debug)]
pub enum CelValue<'v> {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(CelText<'v>),
    List(CelList<'v>),
    Map(CelMap<'v>),
    Quantity(Quantity),
    Duration(CelDuration),
    Timestamp(Moment),
    Address(Address),
    Block(Block),
    Version(Rc<Version>),
    Optional(Option<Rc<CelValue<'v>>>),
    /// A type as a value: `int`.
    Kind(&'static str),
}

#[derive(Clone, Debug)]
pub enum CelText<'v> {
    Borrowed(&'v str),
    Made(Rc<str>),
}

#[derive(Clone, Debug)]
pub enum CelList<'v> {
    Json(&'v [Json]),
    Made(Rc<[CelValue<'v>]>),
}

/// In JSON a member that is null counts as absent, as it does to the API server.
#[derive(Clone, Debug)]
pub enum CelMap<'v> {
    Json(&'v serde_json::Map<String, Json>),
    Made(Rc<BTreeMap<CelKey<'v>, CelValue<'v>>>),
}

/// The key of a value in a map.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CelKey<'v> {
    Bool(bool),
    Int(i64),
    Text(CelText<'v>),
}

impl CelText<'_> {
    pub fn as_str(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Made(text) => text,
        }
    }
}

impl PartialEq for CelText<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for CelText<'_> {}

impl PartialOrd for CelText<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for CelText<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl<'v> From<&'v Json> for CelValue<'v> {
    fn from(json: &'v Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => match number.as_i64() {
                Some(number) => Self::Int(number),
                None => Self::Double(number.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => Self::Text(CelText::Borrowed(text)),
            Json::Array(items) => Self::List(CelList::Json(items)),
            Json::Object(members) => Self::Map(CelMap::Json(members)),
        }
    }
}

impl CelValue<'_> {
    pub fn text(text: impl Into<Rc<str>>) -> Self {
        Self::Text(CelText::Made(text.into()))
    }

    pub fn list(items: Vec<Self>) -> Self {
        Self::List(CelList::Made(items.into()))
    }

    /// The name of its type.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null_type",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Double(_) => "double",
            Self::Text(_) => "string",
            Self::List(_) => "list",
            Self::Map(_) => "map",
            Self::Quantity(_) => "kubernetes.Quantity",
            Self::Duration(_) => "google.protobuf.Duration",
            Self::Timestamp(_) => "google.protobuf.Timestamp",
            Self::Address(_) => "net.IP",
            Self::Block(_) => "net.CIDR",
            Self::Version(_) => "kubernetes.Semver",
            Self::Optional(_) => "optional_type",
            Self::Kind(_) => "type",
        }
    }

    /// Whether both are the same, for what it costs to look.
    pub(super) fn equals(&self, other: &Self, meter: &mut Meter) -> Result<bool, Failure> {
        meter.spend(1)?;
        Ok(match (self, other) {
            (Self::Null, Self::Null) | (Self::Optional(None), Self::Optional(None)) => true,
            (Self::Bool(one), Self::Bool(other)) => one == other,
            (Self::Text(one), Self::Text(other)) => {
                meter.spend_bytes(one.as_str().len().min(other.as_str().len()))?;
                one == other
            }
            (Self::List(one), Self::List(other)) => return one.equals(other, meter),
            (Self::Map(one), Self::Map(other)) => return one.equals(other, meter),
            (Self::Quantity(one), Self::Quantity(other)) => one == other,
            (Self::Duration(one), Self::Duration(other)) => one == other,
            (Self::Timestamp(one), Self::Timestamp(other)) => one == other,
            (Self::Address(one), Self::Address(other)) => one == other,
            (Self::Block(one), Self::Block(other)) => one == other,
            (Self::Version(one), Self::Version(other)) => one == other,
            (Self::Kind(one), Self::Kind(other)) => one == other,
            (Self::Optional(Some(one)), Self::Optional(Some(other))) => return one.equals(other, meter),
            (one, other) => one.compare_numbers(other) == Some(Ordering::Equal),
        })
    }

    /// Numbers of both sorts are compared as doubles, beyond 2⁵³ too, where not every whole number is one.
    #[expect(clippy::cast_precision_loss, reason = "as in every CEL")]
    pub(super) fn compare_numbers(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(one), Self::Int(other)) => Some(one.cmp(other)),
            (Self::Double(one), Self::Double(other)) => one.partial_cmp(other),
            (Self::Int(one), Self::Double(other)) => (*one as f64).partial_cmp(other),
            (Self::Double(one), Self::Int(other)) => one.partial_cmp(&(*other as f64)),
            _ => None,
        }
    }
}

/// The whole number that a double is.
#[expect(clippy::cast_possible_truncation, reason = "the range is looked at")]
pub(super) fn whole(number: f64) -> Option<i64> {
    let fits = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&number);
    (fits && number.fract() == 0.0).then_some(number as i64)
}

impl<'v> CelKey<'v> {
    /// The key that a value is; a double that is whole counts as a whole number where a map is asked, and not where it is made.
    pub(super) fn of(value: &CelValue<'v>) -> Option<Self> {
        match value {
            CelValue::Bool(value) => Some(Self::Bool(*value)),
            CelValue::Int(number) => Some(Self::Int(*number)),
            CelValue::Text(text) => Some(Self::Text(text.clone())),
            _ => None,
        }
    }
}

impl<'v> From<&CelKey<'v>> for CelValue<'v> {
    fn from(key: &CelKey<'v>) -> Self {
        match key {
            CelKey::Bool(value) => Self::Bool(*value),
            CelKey::Int(number) => Self::Int(*number),
            CelKey::Text(text) => Self::Text(text.clone()),
        }
    }
}

impl<'v> CelList<'v> {
    pub fn len(&self) -> usize {
        match self {
            Self::Json(items) => items.len(),
            Self::Made(items) => items.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn get(&self, index: usize) -> Option<CelValue<'v>> {
        match self {
            Self::Json(items) => items.get(index).map(Into::into),
            Self::Made(items) => items.get(index).cloned(),
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = CelValue<'v>> + '_ {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    fn equals(&self, other: &Self, meter: &mut Meter) -> Result<bool, Failure> {
        if self.len() != other.len() {
            return Ok(false);
        }
        for (one, other) in self.iter().zip(other.iter()) {
            if !one.equals(&other, meter)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl<'v> CelMap<'v> {
    pub fn made(entries: BTreeMap<CelKey<'v>, CelValue<'v>>) -> Self {
        Self::Made(Rc::new(entries))
    }

    pub fn get(&self, key: &str) -> Option<CelValue<'v>> {
        match self {
            Self::Json(members) => members.get(key).filter(|value| !value.is_null()).map(Into::into),
            Self::Made(entries) => entries.get(&CelKey::Text(CelText::Borrowed(key))).cloned(),
        }
    }

    /// The value that is named by another one.
    pub(super) fn find(&self, key: &CelValue<'v>) -> Option<CelValue<'v>> {
        match (self, key) {
            (_, CelValue::Text(text)) => self.get(text.as_str()),
            (Self::Made(entries), CelValue::Double(number)) => {
                entries.get(&CelKey::Int(whole(*number)?)).cloned()
            }
            (Self::Made(entries), key) => entries.get(&CelKey::of(key)?).cloned(),
            (Self::Json(_), _) => None,
        }
    }

    pub fn keys(&self) -> Vec<CelValue<'v>> {
        match self {
            Self::Json(members) => {
                let present = members.iter().filter(|(_, value)| !value.is_null());
                present.map(|(key, _)| CelValue::Text(CelText::Borrowed(key))).collect()
            }
            Self::Made(entries) => entries.keys().map(Into::into).collect(),
        }
    }

    /// How many members there are, null or not: what it costs to go through them.
    pub fn capacity(&self) -> usize {
        match self {
            Self::Json(members) => members.len(),
            Self::Made(entries) => entries.len(),
        }
    }

    fn equals(&self, other: &Self, meter: &mut Meter) -> Result<bool, Failure> {
        meter.spend(self.capacity() + other.capacity())?;
        let keys = self.keys();
        if keys.len() != other.keys().len() {
            return Ok(false);
        }
        for key in keys {
            let (Some(one), Some(other)) = (self.find(&key), other.find(&key)) else { return Ok(false) };
            if !one.equals(&other, meter)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
