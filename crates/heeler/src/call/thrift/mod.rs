//! Thrift bodies by their IDL: JSON to the binary protocol and back.
//!
//! The files are read here and not by a parser from elsewhere: a mistake in them is told with its
//! file, line and column, also where a name means nothing or a field is not marked, and what the
//! parsers that there are return (pilota-thrift-parser 0.13 was looked at) has no places.
//!
//! JSON is what tcurl takes and prints, but for `i64`, a number here and eight bytes there.
//!
//! | IDL | JSON |
//! | --- | --- |
//! | `bool` | `true`, `false` |
//! | `i8` `i16` `i32` | a number, or one in a string |
//! | `i64` | a number; also taken: 16 hex digits in a string, 8 bytes as an array or Buffer |
//! | `double` | a number; printed if they come: `"NaN"`, `"Infinity"`, `"-Infinity"` |
//! | `string` | a string |
//! | `binary` | `{"type":"Buffer","data":[…]}`; also taken: a string, an array of bytes |
//! | enum | its member's name; a number where it has none of that number |
//! | struct, exception | an object; fields that are not there are printed as `null` |
//! | union | an object of one field; printed with `"type"` before it, which names the field |
//! | `list` `set` | an array |
//! | `map` | an object; an array of `[key, value]` where a key is no string, number or enum |

mod from_json;
mod idl;
mod lexer;
mod syntax;
mod to_json;

use bytes::Bytes;
use heeler_tchannel::scheme::thrift::{BadThrift, Struct};
use serde_json::Value as Json;

pub use from_json::BadBody;
pub use idl::Idl;
pub use to_json::BadAnswer;

use idl::{Method, StructKind};
use syntax::Form;

/// A function of a service that can be called.
pub struct Endpoint<'a> {
    idl: &'a Idl,
    method: Method<'a>,
    name: String,
}

/// What a call has returned, as JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Returned {
    /// Its result or its exception; `None` from a function that returns nothing.
    pub body: Option<String>,
    /// The name of the exception in the function's `throws`.
    pub exception: Option<String>,
}

/// Why an answer cannot be shown.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum Unreadable {
    /// It is no struct.
    #[error("{0}")]
    Bytes(#[from] BadThrift),
    /// It differs from the IDL.
    #[error("{0}")]
    Answer(#[from] BadAnswer),
}

impl<'a> Endpoint<'a> {
    /// `Service::function` of an IDL.
    pub fn of(idl: &'a Idl, name: &str) -> Option<Self> {
        Some(Endpoint {
            idl,
            method: idl.method(name)?,
            name: name.into(),
        })
    }

    /// The arguments of a call as arg3.
    ///
    /// # Errors
    ///
    /// JSON that is not what the IDL asks for.
    pub fn arguments(&self, body: &Json) -> Result<Bytes, BadBody> {
        let arguments = StructKind {
            scope: self.method.scope,
            name: &self.name,
            form: Form::Struct,
            fields: &self.method.function.arguments,
        };
        Ok(from_json::write(self.idl, arguments, body)?.encode())
    }

    /// What an answer's arg3 says. `ok` is whether its code says success.
    ///
    /// # Errors
    ///
    /// Bytes that are no struct, or not the one that the IDL promises.
    pub fn returned(&self, arg3: Bytes, ok: bool) -> Result<Returned, Unreadable> {
        let answer = Struct::decode(arg3)?;
        let (scope, function) = (self.method.scope, self.method.function);
        if ok {
            let body = match (&function.returns, answer.get(0)) {
                (None, _) => None,
                (Some(_), None) => Some("null".into()),
                (Some(kind), Some(value)) => Some(to_json::read(self.idl, scope, kind, value)?),
            };
            return Ok(Returned {
                body,
                exception: None,
            });
        }
        let thrown = answer.0.iter().find_map(|(id, value)| {
            let field = function.throws.iter().find(|field| field.id == *id)?;
            Some((field, value))
        });
        Ok(match thrown {
            Some((field, value)) => Returned {
                body: Some(to_json::read(self.idl, scope, &field.kind, value)?),
                exception: Some(field.name.clone()),
            },
            // An exception of a newer IDL: as much as can be told of it.
            None => Returned {
                body: Some(answer.to_json().to_string()),
                exception: None,
            },
        })
    }
}

/// The service that every service of TChannel may offer. (uber/tchannel, docs/thrift.md)
pub mod health {
    use bytes::Bytes;
    use heeler_tchannel::scheme::thrift::{Struct, Value};

    /// What is called.
    pub const ENDPOINT: &str = "Meta::health";

    /// Its arguments: none.
    pub fn arguments() -> Bytes {
        Struct::default().encode()
    }

    /// Whether an answer says that all is well, and its message. `None` for what is no answer.
    pub fn read(arg3: Bytes) -> Option<(bool, Option<String>)> {
        let answer = Struct::decode(arg3).ok()?;
        let Value::Struct(status) = answer.get(0)? else {
            return None;
        };
        let Value::Bool(ok) = status.get(1)? else {
            return None;
        };
        let message = status.get(2).and_then(Value::as_str).map(String::from);
        Some((*ok, message))
    }
}

#[cfg(test)]
mod tests;
