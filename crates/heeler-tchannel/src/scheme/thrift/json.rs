//! Structs as JSON, without names.

use bytes::Bytes;
use serde_json::{Map, Value as Json, json};

use super::{Struct, Type, Value};
use crate::limits::THRIFT_DEPTH;

/// Why JSON is no struct.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {what}")]
pub struct BadJson {
    /// Where: field numbers from the outside in, as in `1.3`.
    pub place: String,
    /// What was expected.
    pub what: String,
}

const NAMES: [(Type, &str); 11] = [
    (Type::Bool, "tf"),
    (Type::Byte, "i8"),
    (Type::Double, "dbl"),
    (Type::I16, "i16"),
    (Type::I32, "i32"),
    (Type::I64, "i64"),
    (Type::Binary, "str"),
    (Type::Struct, "rec"),
    (Type::Map, "map"),
    (Type::Set, "set"),
    (Type::List, "lst"),
];

fn name(kind: Type) -> &'static str {
    NAMES
        .iter()
        .find(|(k, _)| *k == kind)
        .map_or("", |(_, name)| name)
}

pub(super) fn write(value: &Struct) -> Json {
    let field = |(id, value): &(i16, Value)| (id.to_string(), typed(value));
    Json::Object(value.0.iter().map(field).collect())
}

/// `{"type": value}`.
fn typed(value: &Value) -> Json {
    match value {
        Value::Binary(bytes) if std::str::from_utf8(bytes).is_err() => json!({"hex": hex(bytes)}),
        value => json!({name(value.kind()): bare(value)}),
    }
}

fn bare(value: &Value) -> Json {
    match value {
        Value::Bool(value) => json!(value),
        Value::Byte(value) => json!(value),
        Value::Double(value) => json!(value),
        Value::I16(value) => json!(value),
        Value::I32(value) => json!(value),
        Value::I64(value) => json!(value),
        Value::Binary(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => json!(text),
            Err(_) => json!({"hex": hex(bytes)}),
        },
        Value::Struct(value) => write(value),
        Value::Map(key, value, pairs) => {
            let head = [json!(name(*key)), json!(name(*value))];
            let pairs = pairs
                .iter()
                .map(|(key, value)| json!([bare(key), bare(value)]));
            head.into_iter().chain(pairs).collect()
        }
        Value::Set(kind, values) | Value::List(kind, values) => [json!(name(*kind))]
            .into_iter()
            .chain(values.iter().map(bare))
            .collect(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn read(json: &Json) -> Result<Struct, BadJson> {
    Reader { place: Vec::new() }.fields(json)
}

struct Reader {
    place: Vec<String>,
}

impl Reader {
    fn bad(&self, what: impl Into<String>) -> BadJson {
        let place = match self.place[..] {
            [] => "the struct".to_owned(),
            _ => format!("field {}", self.place.join(".")),
        };
        BadJson {
            place,
            what: what.into(),
        }
    }

    fn fields(&mut self, json: &Json) -> Result<Struct, BadJson> {
        if self.place.len() >= THRIFT_DEPTH {
            return Err(self.bad(format!("nested deeper than {THRIFT_DEPTH}")));
        }
        let what = r#"expected an object of fields, as in {"1":{"str":"x"}}"#;
        let fields = json.as_object().ok_or_else(|| self.bad(what))?;
        let mut result = Vec::with_capacity(fields.len());
        for (id, value) in fields {
            self.place.push(id.clone());
            let number = id
                .parse()
                .map_err(|_| self.bad("a field's name is its number"))?;
            result.push((number, self.typed(value)?));
            self.place.pop();
        }
        Ok(Struct(result))
    }

    fn typed(&mut self, json: &Json) -> Result<Value, BadJson> {
        let what = r#"expected a type and a value, as in {"str":"x"}"#;
        let single = json.as_object().filter(|object| object.len() == 1);
        let single: Option<(&String, &Json)> = single.and_then(|object: &Map<_, _>| {
            let mut pairs = object.iter();
            pairs.next()
        });
        let (kind, value) = single.ok_or_else(|| self.bad(what))?;
        match kind.as_str() {
            "hex" => self.bare(Type::Binary, json),
            kind => self.kind(kind).and_then(|kind| self.bare(kind, value)),
        }
    }

    fn kind(&self, kind: &str) -> Result<Type, BadJson> {
        let found = NAMES
            .iter()
            .find(|(_, name)| *name == kind)
            .map(|(kind, _)| *kind);
        let names: Vec<&str> = NAMES.iter().map(|(_, name)| *name).collect();
        let what = || format!("no type {kind:?}: there are {}, hex", names.join(", "));
        found.ok_or_else(|| self.bad(what()))
    }

    fn bare(&mut self, kind: Type, json: &Json) -> Result<Value, BadJson> {
        let value = match kind {
            Type::Bool => json.as_bool().map(Value::Bool),
            Type::Byte => integer(json).map(Value::Byte),
            Type::Double => json.as_f64().map(Value::Double),
            Type::I16 => integer(json).map(Value::I16),
            Type::I32 => integer(json).map(Value::I32),
            Type::I64 => json.as_i64().map(Value::I64),
            Type::Binary => binary(json).map(Value::Binary),
            Type::Struct => return self.fields(json).map(Value::Struct),
            Type::Map => return self.map(json),
            Type::Set => {
                return self
                    .values(json)
                    .map(|(kind, values)| Value::Set(kind, values));
            }
            Type::List => {
                return self
                    .values(json)
                    .map(|(kind, values)| Value::List(kind, values));
            }
        };
        value.ok_or_else(|| self.bad(format!("{json} is no {}", name(kind))))
    }

    fn type_at(&self, json: Option<&Json>) -> Result<Type, BadJson> {
        let what = r#"expected an array that begins with a type, as in ["i32",1,2]"#;
        self.kind(json.and_then(Json::as_str).ok_or_else(|| self.bad(what))?)
    }

    fn values(&mut self, json: &Json) -> Result<(Type, Vec<Value>), BadJson> {
        let array = json.as_array().map_or(&[][..], Vec::as_slice);
        let kind = self.type_at(array.first())?;
        let mut values = Vec::with_capacity(array.len());
        for (i, json) in array[1..].iter().enumerate() {
            values.push(self.inside(i, |reader| reader.bare(kind, json))?);
        }
        Ok((kind, values))
    }

    fn map(&mut self, json: &Json) -> Result<Value, BadJson> {
        let array = json.as_array().map_or(&[][..], Vec::as_slice);
        let (key, value) = (self.type_at(array.first())?, self.type_at(array.get(1))?);
        let mut pairs = Vec::with_capacity(array.len());
        for (i, pair) in array[2..].iter().enumerate() {
            let [k, v] = pair.as_array().map_or(&[][..], Vec::as_slice) else {
                return Err(self.bad("expected pairs [key, value] after the types of a map"));
            };
            pairs.push(self.inside(i, |reader| {
                Ok((reader.bare(key, k)?, reader.bare(value, v)?))
            })?);
        }
        Ok(Value::Map(key, value, pairs))
    }

    fn inside<T>(
        &mut self,
        index: usize,
        read: impl FnOnce(&mut Self) -> Result<T, BadJson>,
    ) -> Result<T, BadJson> {
        if self.place.len() >= THRIFT_DEPTH {
            return Err(self.bad(format!("nested deeper than {THRIFT_DEPTH}")));
        }
        self.place.push(format!("[{index}]"));
        let value = read(self)?;
        self.place.pop();
        Ok(value)
    }
}

fn integer<T: TryFrom<i64>>(json: &Json) -> Option<T> {
    json.as_i64().and_then(|number| T::try_from(number).ok())
}

fn binary(json: &Json) -> Option<Bytes> {
    if let Some(text) = json.as_str() {
        return Some(Bytes::copy_from_slice(text.as_bytes()));
    }
    let hex = json.get("hex")?.as_str()?.as_bytes();
    if hex.len() % 2 != 0 {
        return None;
    }
    let digit = |c: u8| char::from(c).to_digit(16);
    let byte = |pair: &[u8]| Some((digit(pair[0])? << 4 | digit(pair[1])?) as u8);
    hex.chunks(2)
        .map(byte)
        .collect::<Option<Vec<u8>>>()
        .map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::super::tests::everything;
    use super::*;

    #[test]
    fn every_type_there_and_back() {
        let json = everything().to_json();
        let mut sorted = everything();
        // JSON objects are sorted by name.
        sorted.0.sort_by_key(|(id, _)| id.to_string());
        assert_eq!(Struct::from_json(&json), Ok(sorted));
        assert_eq!(json["8"], json!({"hex": "ff00"}));
        assert_eq!(
            json["10"],
            json!({"map": ["i8", "lst", [0, ["tf", false]], [1, ["tf", true]]]})
        );
    }

    #[test]
    fn mistakes_have_a_place() {
        let cases = [
            (json!([]), "the struct: expected an object of fields"),
            (
                json!({"x": {"tf": true}}),
                "field x: a field's name is its number",
            ),
            (json!({"1": 2}), "field 1: expected a type and a value"),
            (json!({"1": {"int": 2}}), "field 1: no type \"int\""),
            (json!({"1": {"i8": 128}}), "field 1: 128 is no i8"),
            (
                json!({"1": {"rec": {"2": {"str": 1}}}}),
                "field 1.2: 1 is no str",
            ),
            (
                json!({"1": {"lst": ["tf", true, 0]}}),
                "field 1.[1]: 0 is no tf",
            ),
            (json!({"1": {"lst": []}}), "field 1: expected an array"),
            (
                json!({"1": {"map": ["tf", "tf", [true]]}}),
                "field 1: expected pairs",
            ),
            (
                json!({"1": {"hex": "f"}}),
                "field 1: {\"hex\":\"f\"} is no str",
            ),
        ];
        for (json, error) in cases {
            let bad = Struct::from_json(&json).unwrap_err().to_string();
            assert!(bad.starts_with(error), "{bad}");
        }
        let deep = (0..100).fold(json!({}), |inner, _| json!({"1": {"rec": inner}}));
        assert!(
            Struct::from_json(&deep)
                .unwrap_err()
                .to_string()
                .ends_with("than 32")
        );
    }
}
