//! Thrift over TChannel: arg1 is `Service::method`, arg2 [`Pairs`](crate::Pairs), arg3 a struct in
//! Thrift's binary protocol, without an envelope: of a call, the method's arguments; of an answer,
//! its result in field 0, or its exception in another, and then the answer's code is 1.
//!
//! Values are read as what their bytes say they are: names are known only to those who have the
//! IDL.
//!
//! ```
//! use heeler_tchannel::scheme::thrift::{Struct, Value};
//!
//! let args = Struct::new([(1, Value::from("a key")), (2, Value::I32(3))]);
//! let arg3 = args.encode();
//! assert_eq!(Struct::decode(arg3)?, args);
//! assert_eq!(args.to_json().to_string(), r#"{"1":{"str":"a key"},"2":{"i32":3}}"#);
//! # Ok::<(), heeler_tchannel::scheme::thrift::BadThrift>(())
//! ```

mod json;

use bytes::{Buf, BufMut, Bytes, BytesMut};

pub use json::BadJson;

use crate::limits::{THRIFT_DEPTH, THRIFT_VALUES};

/// A type on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Type {
    Bool = 2,
    Byte = 3,
    Double = 4,
    I16 = 6,
    I32 = 8,
    I64 = 10,
    Binary = 11,
    Struct = 12,
    Map = 13,
    Set = 14,
    List = 15,
}

impl Type {
    fn from_wire(byte: u8) -> Result<Self, BadThrift> {
        Ok(match byte {
            2 => Type::Bool,
            3 => Type::Byte,
            4 => Type::Double,
            6 => Type::I16,
            8 => Type::I32,
            10 => Type::I64,
            11 => Type::Binary,
            12 => Type::Struct,
            13 => Type::Map,
            14 => Type::Set,
            15 => Type::List,
            byte => return Err(BadThrift::Type(byte)),
        })
    }
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// bool
    Bool(bool),
    /// byte, i8
    Byte(i8),
    /// double
    Double(f64),
    /// i16, and enums
    I16(i16),
    /// i32, and enums
    I32(i32),
    /// i64
    I64(i64),
    /// string and binary
    Binary(Bytes),
    /// struct, union and exception
    Struct(Struct),
    /// map: of these types, these pairs
    Map(Type, Type, Vec<(Value, Value)>),
    /// set: of this type, these values
    Set(Type, Vec<Value>),
    /// list: of this type, these values
    List(Type, Vec<Value>),
}

impl Value {
    /// Its type.
    pub fn kind(&self) -> Type {
        match self {
            Value::Bool(_) => Type::Bool,
            Value::Byte(_) => Type::Byte,
            Value::Double(_) => Type::Double,
            Value::I16(_) => Type::I16,
            Value::I32(_) => Type::I32,
            Value::I64(_) => Type::I64,
            Value::Binary(_) => Type::Binary,
            Value::Struct(_) => Type::Struct,
            Value::Map(..) => Type::Map,
            Value::Set(..) => Type::Set,
            Value::List(..) => Type::List,
        }
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Binary(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    fn encode(&self, out: &mut BytesMut) {
        match self {
            Value::Bool(value) => out.put_u8(u8::from(*value)),
            Value::Byte(value) => out.put_i8(*value),
            Value::Double(value) => out.put_f64(*value),
            Value::I16(value) => out.put_i16(*value),
            Value::I32(value) => out.put_i32(*value),
            Value::I64(value) => out.put_i64(*value),
            Value::Binary(bytes) => {
                out.put_u32(bytes.len() as u32);
                out.put_slice(bytes);
            }
            Value::Struct(value) => value.write(out),
            Value::Map(key, value, pairs) => {
                out.put_u8(*key as u8);
                out.put_u8(*value as u8);
                out.put_u32(pairs.len() as u32);
                for (key, value) in pairs {
                    key.encode(out);
                    value.encode(out);
                }
            }
            Value::Set(kind, values) | Value::List(kind, values) => {
                out.put_u8(*kind as u8);
                out.put_u32(values.len() as u32);
                values.iter().for_each(|value| value.encode(out));
            }
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Binary(Bytes::copy_from_slice(text.as_bytes()))
    }
}

/// Fields by their number.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Struct(pub Vec<(i16, Value)>);

impl Struct {
    /// These fields, in this order.
    pub fn new(fields: impl IntoIterator<Item = (i16, Value)>) -> Self {
        Struct(fields.into_iter().collect())
    }

    /// A field.
    pub fn get(&self, field: i16) -> Option<&Value> {
        self.0
            .iter()
            .find(|(id, _)| *id == field)
            .map(|(_, value)| value)
    }

    /// The answer of `Meta::health`, by which tchannel-go asks a service how it is.
    pub fn health(ok: bool, message: &str) -> Self {
        let status = Struct::new([(1, Value::Bool(ok)), (2, Value::from(message))]);
        Struct::new([(0, Value::Struct(status))])
    }

    /// As arg3.
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        self.write(&mut out);
        out.freeze()
    }

    fn write(&self, out: &mut BytesMut) {
        for (id, value) in &self.0 {
            out.put_u8(value.kind() as u8);
            out.put_i16(*id);
            value.encode(out);
        }
        out.put_u8(0);
    }

    /// From arg3.
    ///
    /// # Errors
    ///
    /// Bytes that are no struct, or one that breaks a bound of [`limits`](crate::limits).
    pub fn decode(arg3: Bytes) -> Result<Self, BadThrift> {
        let mut decoder = Decoder {
            bytes: arg3,
            values: 0,
        };
        let value = decoder.fields(0)?;
        match decoder.bytes.len() {
            0 => Ok(value),
            left => Err(BadThrift::Long(left)),
        }
    }

    /// Without names: `{"1":{"str":"a key"}}`, the field's number, its type and its value. Types
    /// are `tf` (bool), `i8`, `i16`, `i32`, `i64`, `dbl`, `str`, `hex` (a string that is no UTF-8),
    /// `rec` (struct), `lst` and `set` (`[type, value…]`), `map` (`[type, type, [key, value]…]`).
    pub fn to_json(&self) -> serde_json::Value {
        json::write(self)
    }

    /// The other way.
    ///
    /// # Errors
    ///
    /// JSON of another form, with the place where it differs.
    pub fn from_json(json: &serde_json::Value) -> Result<Self, BadJson> {
        json::read(json)
    }
}

/// Why bytes are no struct.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadThrift {
    /// The bytes end too early.
    #[error("the thrift struct ends too early")]
    Short,
    /// Bytes follow the struct.
    #[error("{0} bytes follow the thrift struct")]
    Long(usize),
    /// No such type.
    #[error("invalid thrift type {0}")]
    Type(u8),
    /// Too many structs and containers in one another.
    #[error("the thrift struct is nested deeper than {THRIFT_DEPTH}")]
    Depth,
    /// Too many values.
    #[error("the thrift struct has more than {THRIFT_VALUES} values")]
    Values,
}

struct Decoder {
    bytes: Bytes,
    values: usize,
}

impl Decoder {
    fn take(&mut self, length: usize) -> Result<Bytes, BadThrift> {
        if self.bytes.len() < length {
            return Err(BadThrift::Short);
        }
        Ok(self.bytes.split_to(length))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], BadThrift> {
        let array = *self.bytes.first_chunk().ok_or(BadThrift::Short)?;
        self.bytes.advance(N);
        Ok(array)
    }

    fn kind(&mut self) -> Result<Type, BadThrift> {
        let [byte] = self.array()?;
        Type::from_wire(byte)
    }

    /// How many values follow. Each has at least a byte.
    fn count(&mut self) -> Result<usize, BadThrift> {
        let count = u32::from_be_bytes(self.array()?) as usize;
        if count > self.bytes.len() {
            return Err(BadThrift::Short);
        }
        Ok(count)
    }

    fn fields(&mut self, depth: usize) -> Result<Struct, BadThrift> {
        if depth >= THRIFT_DEPTH {
            return Err(BadThrift::Depth);
        }
        let mut fields = Vec::new();
        loop {
            let [kind] = self.array()?;
            if kind == 0 {
                return Ok(Struct(fields));
            }
            let kind = Type::from_wire(kind)?;
            let id = i16::from_be_bytes(self.array()?);
            fields.push((id, self.value(kind, depth + 1)?));
        }
    }

    fn value(&mut self, kind: Type, depth: usize) -> Result<Value, BadThrift> {
        self.values += 1;
        if self.values > THRIFT_VALUES {
            return Err(BadThrift::Values);
        }
        if depth > THRIFT_DEPTH {
            return Err(BadThrift::Depth);
        }
        Ok(match kind {
            Type::Bool => Value::Bool(self.array::<1>()? != [0]),
            Type::Byte => Value::Byte(i8::from_be_bytes(self.array()?)),
            Type::Double => Value::Double(f64::from_be_bytes(self.array()?)),
            Type::I16 => Value::I16(i16::from_be_bytes(self.array()?)),
            Type::I32 => Value::I32(i32::from_be_bytes(self.array()?)),
            Type::I64 => Value::I64(i64::from_be_bytes(self.array()?)),
            Type::Binary => {
                let length = self.count()?;
                Value::Binary(self.take(length)?)
            }
            Type::Struct => Value::Struct(self.fields(depth)?),
            Type::Map => {
                let (key, value, count) = (self.kind()?, self.kind()?, self.count()?);
                let mut pairs = Vec::with_capacity(count.min(64));
                for _ in 0..count {
                    pairs.push((self.value(key, depth + 1)?, self.value(value, depth + 1)?));
                }
                Value::Map(key, value, pairs)
            }
            Type::Set => {
                let kind = self.kind()?;
                Value::Set(kind, self.list(kind, depth)?)
            }
            Type::List => {
                let kind = self.kind()?;
                Value::List(kind, self.list(kind, depth)?)
            }
        })
    }

    fn list(&mut self, kind: Type, depth: usize) -> Result<Vec<Value>, BadThrift> {
        let count = self.count()?;
        let mut values = Vec::with_capacity(count.min(64));
        for _ in 0..count {
            values.push(self.value(kind, depth + 1)?);
        }
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_a_key_value_service() {
        // Set(1: key, 2: value), as the binary protocol's specification has it.
        let args = Struct::new([(1, Value::from("foo")), (2, Value::from("bar"))]);
        let bytes = b"\x0b\0\x01\0\0\0\x03foo\x0b\0\x02\0\0\0\x03bar\0";
        assert_eq!(&args.encode()[..], bytes);
        // Get's result, and its exception: a struct in a field of its own.
        let result = Struct::decode(Bytes::from_static(b"\x0b\0\0\0\0\0\x03bar\0")).unwrap();
        assert_eq!(result.get(0).unwrap().as_str(), Some("bar"));
        let missing = Struct::new([(1, Value::Struct(Struct::new([(1, Value::from("foo"))])))]);
        assert_eq!(
            &missing.encode()[..],
            b"\x0c\0\x01\x0b\0\x01\0\0\0\x03foo\0\0"
        );
        assert_eq!(Struct::decode(missing.encode()), Ok(missing));
    }

    #[test]
    fn health() {
        let healthy = Struct::health(true, "fine").encode();
        assert_eq!(
            &healthy[..],
            b"\x0c\0\0\x02\0\x01\x01\x0b\0\x02\0\0\0\x04fine\0\0"
        );
    }

    pub(super) fn everything() -> Struct {
        let pair = |n| {
            (
                Value::Byte(n),
                Value::List(Type::Bool, vec![Value::Bool(n > 0)]),
            )
        };
        Struct::new([
            (1, Value::Bool(true)),
            (-2, Value::Byte(-3)),
            (3, Value::Double(1.5)),
            (4, Value::I16(-4)),
            (5, Value::I32(1 << 30)),
            (6, Value::I64(-(1 << 62))),
            (7, Value::from("text")),
            (8, Value::Binary(Bytes::from_static(&[0xff, 0]))),
            (9, Value::Struct(Struct::default())),
            (
                10,
                Value::Map(Type::Byte, Type::List, vec![pair(0), pair(1)]),
            ),
            (11, Value::Set(Type::I64, vec![Value::I64(1)])),
            (
                12,
                Value::List(Type::Struct, vec![Value::Struct(Struct::default())]),
            ),
            (13, Value::Map(Type::I16, Type::Double, vec![])),
        ])
    }

    #[test]
    fn every_type_there_and_back() {
        let whole = everything().encode();
        assert_eq!(Struct::decode(whole.clone()), Ok(everything()));
        for end in 0..whole.len() {
            assert_eq!(
                Struct::decode(whole.slice(..end)),
                Err(BadThrift::Short),
                "{end}"
            );
        }
    }

    #[test]
    fn structs_that_break_a_bound() {
        let nested = |depth: usize| {
            let inner = Struct::default();
            (1..depth).fold(inner, |inner, _| Struct::new([(1, Value::Struct(inner))]))
        };
        assert!(Struct::decode(nested(THRIFT_DEPTH).encode()).is_ok());
        let deeper = nested(THRIFT_DEPTH + 1).encode();
        assert_eq!(Struct::decode(deeper), Err(BadThrift::Depth));
        let list = |n| Struct::new([(1, Value::List(Type::Bool, vec![Value::Bool(true); n]))]);
        assert!(Struct::decode(list(THRIFT_VALUES - 1).encode()).is_ok());
        assert_eq!(
            Struct::decode(list(THRIFT_VALUES).encode()),
            Err(BadThrift::Values)
        );
        // A list of lists of lists, ...
        let lists = [&[0x0f, 0, 1][..], &[0x0f, 0, 0, 0, 1].repeat(1000)].concat();
        assert_eq!(Struct::decode(lists.into()), Err(BadThrift::Depth));
        let endless = Bytes::from_static(&[0x0f, 0, 1, 2, 0xff, 0xff, 0xff, 0xff, 0]);
        assert_eq!(Struct::decode(endless), Err(BadThrift::Short));
        assert_eq!(
            Struct::decode(Bytes::from_static(&[5, 0, 1])),
            Err(BadThrift::Type(5))
        );
        assert_eq!(
            Struct::decode(Bytes::from_static(&[0, 0])),
            Err(BadThrift::Long(1))
        );
    }
}
