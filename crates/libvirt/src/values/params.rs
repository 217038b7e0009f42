//! Typed parameters: named values of seven types.

use super::names::Travels;
use crate::xdr::{Decoder, Encoder, XdrError};

/// A value with its type.
#[derive(Debug, Clone, PartialEq)]
pub enum TypedValue {
    /// 1 on the wire.
    Int(i32),
    /// 2 on the wire.
    UInt(u32),
    /// 3 on the wire.
    Long(i64),
    /// 4 on the wire.
    ULong(u64),
    /// 5 on the wire.
    Double(f64),
    /// 6 on the wire.
    Bool(bool),
    /// 7 on the wire.
    Text(String),
}

/// Named values in their order; a name may be there more than once.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TypedParams(pub Vec<(String, TypedValue)>);

impl TypedParams {
    /// Adds one.
    pub fn push(&mut self, name: &str, value: TypedValue) {
        self.0.push((name.to_owned(), value));
    }

    /// The first of this name.
    pub fn get(&self, name: &str) -> Option<&TypedValue> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// A whole number that is not negative, of any type.
    pub fn unsigned(&self, name: &str) -> Option<u64> {
        match self.get(name)? {
            TypedValue::Int(value) => u64::try_from(*value).ok(),
            TypedValue::UInt(value) => Some(u64::from(*value)),
            TypedValue::Long(value) => u64::try_from(*value).ok(),
            TypedValue::ULong(value) => Some(*value),
            TypedValue::Double(_) | TypedValue::Bool(_) | TypedValue::Text(_) => None,
        }
    }

    /// A whole number, of any type.
    pub fn signed(&self, name: &str) -> Option<i64> {
        match self.get(name)? {
            TypedValue::Int(value) => Some(i64::from(*value)),
            TypedValue::UInt(value) => Some(i64::from(*value)),
            TypedValue::Long(value) => Some(*value),
            TypedValue::ULong(value) => i64::try_from(*value).ok(),
            TypedValue::Double(_) | TypedValue::Bool(_) | TypedValue::Text(_) => None,
        }
    }

    /// A text.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.get(name)? {
            TypedValue::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A truth value.
    pub fn flag(&self, name: &str) -> Option<bool> {
        match self.get(name)? {
            TypedValue::Bool(value) => Some(*value),
            _ => None,
        }
    }

    pub(crate) fn encode(&self, to: &mut Encoder, limit: usize) {
        to.count("a list of parameters", self.0.len(), limit);
        for (name, value) in &self.0 {
            to.string(name);
            value.encode(to);
        }
    }

    pub(crate) fn decode(from: &mut Decoder<'_>, limit: usize) -> Result<Self, XdrError> {
        let one = |from: &mut Decoder<'_>| Ok((from.string()?, TypedValue::decode(from)?));
        from.list("a list of parameters", limit, 4 + TypedValue::SMALLEST, one).map(Self)
    }
}

impl Travels for TypedValue {
    const SMALLEST: usize = 8;

    fn encode(&self, to: &mut Encoder) {
        match self {
            Self::Int(value) => {
                to.int(1);
                to.int(*value);
            }
            Self::UInt(value) => {
                to.int(2);
                to.unsigned(*value);
            }
            Self::Long(value) => {
                to.int(3);
                to.hyper(*value);
            }
            Self::ULong(value) => {
                to.int(4);
                to.unsigned_hyper(*value);
            }
            Self::Double(value) => {
                to.int(5);
                to.double(*value);
            }
            Self::Bool(value) => {
                to.int(6);
                to.flag(*value);
            }
            Self::Text(value) => {
                to.int(7);
                to.string(value);
            }
        }
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, XdrError> {
        Ok(match from.unsigned()? {
            1 => Self::Int(from.int()?),
            2 => Self::UInt(from.unsigned()?),
            3 => Self::Long(from.hyper()?),
            4 => Self::ULong(from.unsigned_hyper()?),
            5 => Self::Double(from.double()?),
            6 => Self::Bool(from.flag()?),
            7 => Self::Text(from.string()?),
            kind => return from.unknown("the type of a parameter", kind),
        })
    }
}
