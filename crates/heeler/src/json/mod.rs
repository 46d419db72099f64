//! JSON as Go's `encoding/json` reads and writes it (<https://pkg.go.dev/encoding/json>), but for
//! numbers: these keep all their digits.
//!
//! - Read is one value; where something follows it, that is an error. Errors have Go's texts.
//! - What is no UTF-8, and half of a surrogate pair, becomes U+FFFD.
//! - Members of an object are sorted by name; of two with one name the last stays.
//! - Written is compact, and `<`, `>`, `&`, U+2028 and U+2029 are escaped.

mod read;
mod scan;
mod write;

pub use read::{Fault, read};
pub use scan::{Picked, is_value, pick_element, pick_member};
pub use write::{write_bytes, write_text};

/// A JSON value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, as it was written.
    Number(Box<str>),
    /// A string.
    Text(String),
    /// An array.
    List(Vec<Value>),
    /// An object: members by name, sorted, each name once.
    Object(Vec<(String, Value)>),
}

impl Value {
    /// Appends it as Go writes it.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Value::Null => out.extend_from_slice(b"null"),
            Value::Bool(true) => out.extend_from_slice(b"true"),
            Value::Bool(false) => out.extend_from_slice(b"false"),
            Value::Number(digits) => out.extend_from_slice(digits.as_bytes()),
            Value::Text(text) => write_text(text, out),
            Value::List(elements) => write::list(elements.iter(), out, Value::write),
            Value::Object(members) => {
                let members = members.iter().map(|(name, value)| (name.as_bytes(), value));
                write::object(members, out, Value::write);
            }
        }
    }

    /// As Go writes it.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    /// What Go calls its kind in errors.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "bool",
            Value::Number(_) => "number",
            Value::Text(_) => "string",
            Value::List(_) => "array",
            Value::Object(_) => "object",
        }
    }

    /// The texts of a list that has some, and nothing else.
    pub fn as_texts(&self) -> Option<impl ExactSizeIterator<Item = &str>> {
        let Value::List(elements) = self else {
            return None;
        };
        let all_texts = elements.iter().all(|e| matches!(e, Value::Text(_)));
        (all_texts && !elements.is_empty()).then(|| {
            elements.iter().map(|element| match element {
                Value::Text(text) => text.as_str(),
                _ => "",
            })
        })
    }

    /// The members of an object that has some, all of them texts.
    pub fn as_text_members(&self) -> Option<impl ExactSizeIterator<Item = (&str, &str)>> {
        let Value::Object(members) = self else {
            return None;
        };
        let all_texts = members.iter().all(|(_, v)| matches!(v, Value::Text(_)));
        (all_texts && !members.is_empty()).then(|| {
            members.iter().map(|(name, value)| match value {
                Value::Text(text) => (name.as_str(), text.as_str()),
                _ => (name.as_str(), ""),
            })
        })
    }

    /// The value of a member of an object.
    pub fn member(&self, name: &str) -> Option<&Value> {
        let Value::Object(members) = self else {
            return None;
        };
        let at = members.binary_search_by(|(n, _)| n.as_str().cmp(name));
        at.ok().map(|at| &members[at].1)
    }

    /// What Go's `%v` prints of it, where numbers are `float64`.
    pub fn printed(&self) -> String {
        match self {
            Value::Null => "<nil>".into(),
            Value::Bool(is) => is.to_string(),
            Value::Number(digits) => write::printed_number(digits),
            Value::Text(text) => text.clone(),
            Value::List(elements) => {
                let elements: Vec<String> = elements.iter().map(Value::printed).collect();
                format!("[{}]", elements.join(" "))
            }
            Value::Object(members) => {
                let member = |(n, v): &(String, Value)| format!("{n}:{}", v.printed());
                let members: Vec<String> = members.iter().map(member).collect();
                format!("map[{}]", members.join(" "))
            }
        }
    }
}

/// Writes a list of texts.
pub fn write_texts<'a>(texts: impl Iterator<Item = &'a str>, out: &mut Vec<u8>) {
    write::list(texts, out, write_text);
}

/// Writes an object of texts: members in the order given.
pub fn write_text_members<'a>(
    members: impl Iterator<Item = (&'a str, &'a str)>,
    out: &mut Vec<u8>,
) {
    let members = members.map(|(name, text)| (name.as_bytes(), text));
    write::object(members, out, write_text);
}
