//! Values to JSON, in the IDL's order.

use std::fmt::{Display, Write};

use heeler_tchannel::scheme::thrift::{Struct, Type, Value};
use serde_json::Value as Json;

use super::from_json::wire_type;
use super::idl::{Idl, Kind, Scope, StructKind};
use super::syntax::{Base, Field, Form, Presence, TypeName};
use crate::call::json;

/// Where an answer differs from what the IDL promises.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadAnswer(String);

/// A value as a text of JSON.
pub(super) fn read(
    idl: &Idl,
    scope: Scope,
    name: &TypeName,
    value: &Value,
) -> Result<String, BadAnswer> {
    let out = String::new();
    let mut reader = Reader { idl, out };
    reader.value(scope, name, value)?;
    Ok(reader.out)
}

struct Reader<'a> {
    idl: &'a Idl,
    out: String,
}

impl Reader<'_> {
    fn value(&mut self, scope: Scope, name: &TypeName, value: &Value) -> Result<(), BadAnswer> {
        let kind = self.idl.kind(scope, name);
        let kind = kind.map_err(|mistake| BadAnswer(mistake.what))?;
        let wanted = wire_type(&kind);
        // Early versions of tchannel-node write sets as lists.
        if wanted != value.kind() && (wanted, value.kind()) != (Type::Set, Type::List) {
            let what = format!("expected {wanted:?}, found {:?}", value.kind());
            return Err(BadAnswer(what.to_lowercase()));
        }
        match (&kind, value) {
            (Kind::Base(Base::String), Value::Binary(bytes)) => {
                json::put_text_or_bytes(&mut self.out, bytes);
            }
            (_, Value::Binary(bytes)) => json::put_bytes(&mut self.out, bytes),
            (Kind::Enum(_, members), Value::I32(number)) => {
                match members.iter().find(|(_, n)| n == number) {
                    Some((name, _)) => json::put_text(&mut self.out, name),
                    None => self.put(number),
                }
            }
            (_, Value::Bool(value)) => self.put(value),
            (_, Value::Byte(value)) => self.put(value),
            (_, Value::I16(value)) => self.put(value),
            (_, Value::I32(value)) => self.put(value),
            (_, Value::I64(value)) => self.put(value),
            (_, Value::Double(value)) => self.double(*value),
            (Kind::Struct(of), Value::Struct(value)) if of.form == Form::Union => {
                self.union(*of, value)?;
            }
            (Kind::Struct(of), Value::Struct(value)) => self.fields(*of, value)?,
            (
                Kind::List(scope, of) | Kind::Set(scope, of),
                Value::List(_, values) | Value::Set(_, values),
            ) => self.values(*scope, of, values)?,
            (Kind::Map(scope, key, of), Value::Map(_, _, pairs)) => {
                match self.keys(*scope, key, pairs)? {
                    Some(keys) => self.object(*scope, of, &keys, pairs)?,
                    None => self.entries(*scope, key, of, pairs)?,
                }
            }
            // The types were compared above.
            _ => self.out.push_str("null"),
        }
        Ok(())
    }

    fn fields(&mut self, of: StructKind<'_>, value: &Struct) -> Result<(), BadAnswer> {
        self.out.push('{');
        for (index, field) in of.fields.iter().enumerate() {
            self.comma(index);
            self.name(&field.name);
            match (value.get(field.id), &field.default) {
                (Some(value), _) => self.field(of.scope, field, value)?,
                (None, Some(default)) => {
                    let default = self.idl.value(of.scope, default);
                    self.put(default.unwrap_or(Json::Null));
                }
                (None, None) if field.presence == Presence::Required => {
                    return Err(BadAnswer(format!(
                        "missing required field \"{}\" with id {} on {}",
                        field.name, field.id, of.name
                    )));
                }
                (None, None) => self.out.push_str("null"),
            }
        }
        self.out.push('}');
        Ok(())
    }

    fn union(&mut self, of: StructKind<'_>, value: &Struct) -> Result<(), BadAnswer> {
        self.out.push('{');
        self.name("type");
        let set = of.fields.iter().find_map(|field| {
            let value = value.get(field.id)?;
            Some((field, value))
        });
        match set {
            Some((field, value)) => {
                json::put_text(&mut self.out, &field.name);
                self.out.push(',');
                self.name(&field.name);
                self.field(of.scope, field, value)?;
            }
            // A field of a newer IDL.
            None => self.out.push_str("null"),
        }
        self.out.push('}');
        Ok(())
    }

    fn field(&mut self, scope: Scope, field: &Field, value: &Value) -> Result<(), BadAnswer> {
        self.value(scope, &field.kind, value)
            .map_err(|bad| BadAnswer(format!("{}: {}", field.name, bad.0)))
    }

    fn values(&mut self, scope: Scope, of: &TypeName, values: &[Value]) -> Result<(), BadAnswer> {
        self.out.push('[');
        for (index, value) in values.iter().enumerate() {
            self.comma(index);
            self.value(scope, of, value)?;
        }
        self.out.push(']');
        Ok(())
    }

    /// The keys of a map as those of an object, if they can be.
    fn keys(
        &self,
        scope: Scope,
        of: &TypeName,
        pairs: &[(Value, Value)],
    ) -> Result<Option<Vec<String>>, BadAnswer> {
        let mut keys = Vec::with_capacity(pairs.len());
        for (key, _) in pairs {
            let text = read(self.idl, scope, of, key)?;
            match text.as_bytes().first() {
                Some(b'"') => keys.push(text),
                Some(b'{' | b'[') | None => return Ok(None),
                Some(_) => keys.push(format!("\"{text}\"")),
            }
        }
        Ok(Some(keys))
    }

    fn object(
        &mut self,
        scope: Scope,
        of: &TypeName,
        keys: &[String],
        pairs: &[(Value, Value)],
    ) -> Result<(), BadAnswer> {
        self.out.push('{');
        for (index, (key, (_, value))) in keys.iter().zip(pairs).enumerate() {
            self.comma(index);
            self.out.push_str(key);
            self.out.push(':');
            self.value(scope, of, value)?;
        }
        self.out.push('}');
        Ok(())
    }

    fn entries(
        &mut self,
        scope: Scope,
        key: &TypeName,
        of: &TypeName,
        pairs: &[(Value, Value)],
    ) -> Result<(), BadAnswer> {
        self.out.push('[');
        for (index, (k, v)) in pairs.iter().enumerate() {
            self.comma(index);
            self.out.push('[');
            self.value(scope, key, k)?;
            self.out.push(',');
            self.value(scope, of, v)?;
            self.out.push(']');
        }
        self.out.push(']');
        Ok(())
    }

    /// Doubles that JSON has no numbers for are strings.
    fn double(&mut self, value: f64) {
        match serde_json::Number::from_f64(value) {
            // As JavaScript has it: a whole number is without a fraction.
            Some(_) if value.fract() == 0.0 && value.abs() < 1e15 => {
                self.put(value as i64);
            }
            Some(number) => self.put(number),
            None if value.is_nan() => self.out.push_str("\"NaN\""),
            None if value > 0.0 => self.out.push_str("\"Infinity\""),
            None => self.out.push_str("\"-Infinity\""),
        }
    }

    fn put(&mut self, value: impl Display) {
        // Writing to a string cannot fail.
        let _ = write!(self.out, "{value}");
    }

    fn name(&mut self, name: &str) {
        json::put_text(&mut self.out, name);
        self.out.push(':');
    }

    fn comma(&mut self, index: usize) {
        if index > 0 {
            self.out.push(',');
        }
    }
}
