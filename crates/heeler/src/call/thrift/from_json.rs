//! JSON to values.

use std::fmt;

use bytes::Bytes;
use heeler_tchannel::scheme::thrift::{Struct, Type, Value};
use serde_json::{Map, Value as Json};

use super::idl::{Idl, Kind, Scope, StructKind};
use super::syntax::{Base, Field, Form, Presence, TypeName};
use crate::limits;

/// Where a body differs from what the IDL asks for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}{what}")]
pub struct BadBody {
    /// From the outside in, as in `query.names[2]: `; empty for the whole.
    pub place: String,
    /// For people.
    pub what: String,
}

impl BadBody {
    fn new(what: impl Into<String>) -> Self {
        BadBody {
            place: String::new(),
            what: what.into(),
        }
    }

    /// The same, seen from outside.
    fn within(self, step: impl fmt::Display) -> Self {
        let place = match self.place.as_str() {
            "" => format!("{step}: "),
            place if place.starts_with('[') => format!("{step}{place}"),
            place => format!("{step}.{place}"),
        };
        BadBody { place, ..self }
    }
}

type Written<T> = Result<T, BadBody>;

/// The fields of a struct.
pub(super) fn write(idl: &Idl, of: StructKind<'_>, json: &Json) -> Written<Struct> {
    Writer { idl, depth: 0 }.fields(of, json)
}

struct Writer<'a> {
    idl: &'a Idl,
    depth: usize,
}

impl Writer<'_> {
    fn fields(&mut self, of: StructKind<'_>, json: &Json) -> Written<Struct> {
        let empty = Map::new();
        let object = match json {
            Json::Object(object) => object,
            Json::Null => &empty,
            json => {
                return Err(expected(
                    &format!("an object, the fields of {}", of.name),
                    json,
                ));
            }
        };
        known_fields(of, object)?;
        let mut fields = Vec::new();
        for field in of.fields {
            let value = match object.get(&field.name) {
                None | Some(Json::Null) => self.missing(of, field)?,
                Some(json) => Some(
                    self.value(of.scope, &field.kind, json)
                        .map_err(|bad| bad.within(&field.name))?,
                ),
            };
            fields.extend(value.map(|value| (field.id, value)));
        }
        if of.form == Form::Union && fields.len() != 1 {
            let names = names(of);
            let what = format!("the union {} has one field: one of {names}", of.name);
            return Err(BadBody::new(what));
        }
        Ok(Struct(fields))
    }

    /// What is sent for a field that is not there.
    fn missing(&mut self, of: StructKind<'_>, field: &Field) -> Written<Option<Value>> {
        if field.presence != Presence::Required {
            return Ok(None);
        }
        let Some(default) = &field.default else {
            let what = format!(
                "missing required field \"{}\" with id {} on {}",
                field.name, field.id, of.name
            );
            return Err(BadBody::new(what));
        };
        let json = self.idl.value(of.scope, default);
        let json = json.map_err(|mistake| BadBody::new(mistake.what))?;
        self.value(of.scope, &field.kind, &json)
            .map(Some)
            .map_err(|bad| bad.within(format_args!("the default of {}", field.name)))
    }

    fn value(&mut self, scope: Scope, name: &TypeName, json: &Json) -> Written<Value> {
        if self.depth >= limits::IDL_DEPTH {
            let what = format!("nested deeper than {}", limits::IDL_DEPTH);
            return Err(BadBody::new(what));
        }
        self.depth += 1;
        let value = match self.kind(scope, name)? {
            Kind::Base(base) => base_value(base, json)?,
            Kind::Enum(name, members) => Value::I32(member(name, members, json)?),
            Kind::Struct(of) => Value::Struct(self.fields(of, json)?),
            Kind::List(scope, of) => {
                let (kind, values) = self.values(scope, of, json)?;
                Value::List(kind, values)
            }
            Kind::Set(scope, of) => {
                let (kind, values) = self.values(scope, of, json)?;
                Value::Set(kind, values)
            }
            Kind::Map(scope, key, value) => self.map(scope, key, value, json)?,
        };
        self.depth -= 1;
        Ok(value)
    }

    fn kind<'a>(&self, scope: Scope, name: &'a TypeName) -> Written<Kind<'a>>
    where
        Self: 'a,
    {
        let kind = self.idl.kind(scope, name);
        kind.map_err(|mistake| BadBody::new(mistake.what))
    }

    fn values(&mut self, scope: Scope, of: &TypeName, json: &Json) -> Written<(Type, Vec<Value>)> {
        let Json::Array(items) = json else {
            return Err(expected("an array", json));
        };
        let mut values = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let value = self.value(scope, of, item);
            values.push(value.map_err(|bad| bad.within(format_args!("[{index}]")))?);
        }
        Ok((wire_type(&self.kind(scope, of)?), values))
    }

    fn map(
        &mut self,
        scope: Scope,
        key: &TypeName,
        value: &TypeName,
        json: &Json,
    ) -> Written<Value> {
        let mut pairs = Vec::new();
        match json {
            Json::Object(object) => {
                for (name, json) in object {
                    let within = |bad: BadBody| bad.within(name);
                    let name = self.key(scope, key, name).map_err(within)?;
                    pairs.push((name, self.value(scope, value, json).map_err(within)?));
                }
            }
            Json::Array(entries) => {
                for (index, entry) in entries.iter().enumerate() {
                    let within = |bad: BadBody| bad.within(format_args!("[{index}]"));
                    let Some([k, v]) = entry.as_array().map(Vec::as_slice) else {
                        return Err(within(expected("[key, value]", entry)));
                    };
                    let k = self.value(scope, key, k).map_err(within)?;
                    pairs.push((k, self.value(scope, value, v).map_err(within)?));
                }
            }
            json => return Err(expected("an object, or an array of [key, value]", json)),
        }
        let (key, value) = (self.kind(scope, key)?, self.kind(scope, value)?);
        Ok(Value::Map(wire_type(&key), wire_type(&value), pairs))
    }

    /// The key of an object: a string, whatever it is to be.
    fn key(&mut self, scope: Scope, kind: &TypeName, name: &str) -> Written<Value> {
        let json = match self.kind(scope, kind)? {
            Kind::Base(Base::String | Base::Binary) | Kind::Enum(..) => Json::from(name),
            _ => serde_json::from_str(name).unwrap_or_else(|_| Json::from(name)),
        };
        self.value(scope, kind, &json)
    }
}

fn known_fields(of: StructKind<'_>, object: &Map<String, Json>) -> Written<()> {
    let known = |name: &str| of.fields.iter().any(|field| field.name == name);
    // tcurl prints it before the field of a union.
    let printed = |name: &str| of.form == Form::Union && name == "type";
    let unknown = object.keys().find(|name| !known(name) && !printed(name));
    match unknown {
        None => Ok(()),
        Some(name) if of.fields.is_empty() => {
            let what = format!("{} has no fields, so no \"{name}\"", of.name);
            Err(BadBody::new(what))
        }
        Some(name) => {
            let what = format!("{} has no \"{name}\"; it has {}", of.name, names(of));
            Err(BadBody::new(what))
        }
    }
}

fn names(of: StructKind<'_>) -> String {
    let names: Vec<&str> = of.fields.iter().map(|field| field.name.as_str()).collect();
    names.join(", ")
}

/// The type on the wire.
pub(super) fn wire_type(kind: &Kind<'_>) -> Type {
    match kind {
        Kind::Base(Base::Bool) => Type::Bool,
        Kind::Base(Base::I8) => Type::Byte,
        Kind::Base(Base::I16) => Type::I16,
        Kind::Base(Base::I32) | Kind::Enum(..) => Type::I32,
        Kind::Base(Base::I64) => Type::I64,
        Kind::Base(Base::Double) => Type::Double,
        Kind::Base(Base::String | Base::Binary) => Type::Binary,
        Kind::Struct(_) => Type::Struct,
        Kind::List(..) => Type::List,
        Kind::Set(..) => Type::Set,
        Kind::Map(..) => Type::Map,
    }
}

fn base_value(base: Base, json: &Json) -> Written<Value> {
    let not = |what: &str| expected(what, json);
    Ok(match base {
        Base::Bool => Value::Bool(json.as_bool().ok_or_else(|| not("true or false"))?),
        Base::I8 => Value::Byte(integer(json).ok_or_else(|| not("a whole number of 8 bits"))?),
        Base::I16 => Value::I16(integer(json).ok_or_else(|| not("a whole number of 16 bits"))?),
        Base::I32 => Value::I32(integer(json).ok_or_else(|| not("a whole number of 32 bits"))?),
        Base::I64 => Value::I64(wide_integer(json).ok_or_else(|| {
            not("a whole number of 64 bits, 16 hex digits in a string, or 8 bytes")
        })?),
        Base::Double => Value::Double(json.as_f64().ok_or_else(|| not("a number"))?),
        Base::String => Value::from(json.as_str().ok_or_else(|| not("a string"))?),
        Base::Binary => {
            let text = json.as_str().map(|text| text.as_bytes().to_vec());
            let bytes = text.or_else(|| bytes(json));
            let bytes = bytes.ok_or_else(|| not("a string, an array of bytes, or a Buffer"))?;
            Value::Binary(Bytes::from(bytes))
        }
    })
}

/// A number, or one in a string.
fn integer<T: TryFrom<i64>>(json: &Json) -> Option<T> {
    let text = || json.as_str()?.parse().ok();
    T::try_from(json.as_i64().or_else(text)?).ok()
}

fn wide_integer(json: &Json) -> Option<i64> {
    if let Some(number) = json.as_i64() {
        return Some(number);
    }
    if let Some(hex) = json.as_str() {
        let digits = hex.len() == 16 && hex.bytes().all(|b| b.is_ascii_hexdigit());
        let bits = u64::from_str_radix(hex, 16).ok()?;
        return digits.then_some(bits.cast_signed());
    }
    Some(i64::from_be_bytes(bytes(json)?.try_into().ok()?))
}

/// `[104, 105]`, or as Node prints a buffer: `{"type":"Buffer","data":[104,105]}`.
fn bytes(json: &Json) -> Option<Vec<u8>> {
    let array = match json {
        Json::Object(buffer) if buffer.get("type")? == "Buffer" => {
            buffer.get("data")?.as_array()?
        }
        json => json.as_array()?,
    };
    let byte = |json: &Json| u8::try_from(json.as_u64()?).ok();
    array.iter().map(byte).collect()
}

fn member(name: &str, members: &[(String, i32)], json: &Json) -> Written<i32> {
    let wanted = |(member, number): &&(String, i32)| match json {
        Json::String(text) => text == member,
        json => json.as_i64() == Some(i64::from(*number)),
    };
    let found = members.iter().find(wanted).map(|(_, number)| *number);
    found.ok_or_else(|| {
        let all: Vec<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
        expected(&format!("a member of {name}: {}", all.join(", ")), json)
    })
}

fn expected(what: &str, found: &Json) -> BadBody {
    let mut found = found.to_string();
    if found.len() > limits::SHOWN_BYTES {
        let end = found.floor_char_boundary(limits::SHOWN_BYTES);
        found.truncate(end);
        found.push('…');
    }
    BadBody::new(format!("expected {what}, found {found}"))
}
