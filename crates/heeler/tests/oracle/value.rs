//! Replies as they come off the wire, and which of them are the same.

use std::fmt;

/// A reply, with the byte of its type.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    Null,
    Line(Vec<u8>),
    Bulk(Vec<u8>),
    Many(u8, Vec<Value>),
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("null"),
            Value::Line(line) => write!(f, "{}", line.escape_ascii()),
            Value::Bulk(bytes) => {
                let shown = &bytes[..bytes.len().min(100)];
                write!(f, "'{}'", shown.escape_ascii())?;
                match bytes.len() - shown.len() {
                    0 => Ok(()),
                    more => write!(f, " and {more} bytes"),
                }
            }
            Value::Many(kind, items) => {
                write!(f, "{}", char::from(*kind))?;
                f.debug_list().entries(items).finish()
            }
        }
    }
}

impl Value {
    pub fn parse(bytes: &[u8]) -> Value {
        let mut rest = bytes;
        let value = Value::read(&mut rest);
        assert!(rest.is_empty(), "after a reply: {}", rest.escape_ascii());
        value
    }

    fn read(from: &mut &[u8]) -> Value {
        let end = from.windows(2).position(|w| w == b"\r\n").expect("a line");
        let line = from[..end].to_vec();
        *from = &from[end + 2..];
        let number = || -> usize { std::str::from_utf8(&line[1..]).unwrap().parse().unwrap() };
        match line[0] {
            b'_' => Value::Null,
            b'$' if line == b"$-1" => Value::Null,
            b'$' | b'=' => {
                let bulk = from[..number()].to_vec();
                *from = &from[number() + 2..];
                Value::Bulk(bulk)
            }
            b'*' if line == b"*-1" => Value::Line(line),
            kind @ (b'*' | b'~') => {
                Value::Many(kind, (0..number()).map(|_| Value::read(from)).collect())
            }
            b'%' => Value::Many(b'%', (0..2 * number()).map(|_| Value::read(from)).collect()),
            _ => Value::Line(line),
        }
    }

    pub fn is_error(&self) -> bool {
        matches!(self, Value::Line(line) if line[0] == b'-')
    }

    pub fn integer(&self) -> Option<i64> {
        match self {
            Value::Line(line) => std::str::from_utf8(line.strip_prefix(b":")?)
                .ok()?
                .parse()
                .ok(),
            _ => None,
        }
    }

    /// With its elements sorted, in twos or one by one.
    pub fn sorted(&self, width: usize) -> Value {
        let Value::Many(kind, items) = self else {
            return self.clone();
        };
        let mut parts: Vec<&[Value]> = items.chunks(width).collect();
        parts.sort();
        Value::Many(*kind, parts.concat())
    }

    /// Number of elements.
    pub fn width(&self) -> Option<usize> {
        match self {
            Value::Many(_, items) => Some(items.len()),
            _ => None,
        }
    }

    /// Without what may differ by chance.
    pub fn shape(&self) -> Value {
        match self {
            Value::Many(kind, items) => {
                Value::Many(*kind, items.iter().map(Value::shape).collect())
            }
            Value::Bulk(_) => Value::Bulk(Vec::new()),
            Value::Line(line) if matches!(line[0], b',' | b':') => Value::Line(line[..1].into()),
            other => other.clone(),
        }
    }

    /// The elements, those of arrays in it included.
    pub fn flat(&self) -> Vec<Value> {
        match self {
            Value::Many(_, items) => items.iter().flat_map(Value::flat).collect(),
            other => vec![other.clone()],
        }
    }

    /// The bytes of all strings in it.
    pub fn bulks(&self) -> Vec<Vec<u8>> {
        match self {
            Value::Many(_, items) => items.iter().flat_map(Value::bulks).collect(),
            Value::Bulk(bytes) => vec![bytes.clone()],
            _ => Vec::new(),
        }
    }
}
