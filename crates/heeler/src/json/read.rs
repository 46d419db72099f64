//! Bytes to values, with the errors of Go's decoder.

use super::Value;
use crate::limits;

/// Why bytes are no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// There is nothing.
    #[error("EOF")]
    Nothing,
    /// They end too early.
    #[error("unexpected EOF")]
    Cut,
    /// A byte that cannot stand there: Go's name for the byte, and what was looked for.
    #[error("invalid character {0} {1}")]
    Character(String, &'static str),
    /// Something follows the value: a byte as Go names it, and its place, counted from 0.
    #[error("invalid character {0} after top-level value, at byte {1}")]
    Rest(String, usize),
    /// Values are nested too deep.
    #[error("exceeded max depth")]
    Depth,
}

/// Reads bytes that are one value. Blanks may stand around it.
///
/// # Errors
/// They are none, or something follows it.
pub fn read(bytes: &[u8]) -> Result<Value, Fault> {
    let mut reader = Reader {
        bytes,
        at: 0,
        depth: 0,
    };
    if reader.next_word().is_none() {
        return Err(Fault::Nothing);
    }
    let value = reader.value()?;
    match reader.next_word() {
        None => Ok(value),
        Some(byte) => Err(Fault::Rest(quoted(byte), reader.at)),
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// The next byte that is no blank, which is not taken.
    fn next_word(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.peek() {
            self.at += 1;
        }
        self.peek()
    }

    /// The byte at hand cannot stand here; or there is none.
    fn refused(&self, context: &'static str) -> Fault {
        match self.peek() {
            Some(byte) => Fault::Character(quoted(byte), context),
            None => Fault::Cut,
        }
    }

    fn value(&mut self) -> Result<Value, Fault> {
        match self.next_word() {
            Some(b'{') => self.nested(Reader::object),
            Some(b'[') => self.nested(Reader::list),
            Some(b'"') => self.string().map(Value::Text),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal(&TRUE, Value::Bool(true)),
            Some(b'f') => self.literal(&FALSE, Value::Bool(false)),
            Some(b'n') => self.literal(&NULL, Value::Null),
            _ => Err(self.refused("looking for beginning of value")),
        }
    }

    fn nested(&mut self, read: impl Fn(&mut Self) -> Result<Value, Fault>) -> Result<Value, Fault> {
        self.at += 1;
        self.depth += 1;
        if self.depth > limits::JSON_DEPTH {
            return Err(Fault::Depth);
        }
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn list(&mut self) -> Result<Value, Fault> {
        let mut elements = Vec::new();
        if self.next_word() == Some(b']') {
            self.at += 1;
            return Ok(Value::List(elements));
        }
        loop {
            elements.push(self.value()?);
            match self.next_word() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(Value::List(elements));
                }
                _ => return Err(self.refused("after array element")),
            }
        }
    }

    fn object(&mut self) -> Result<Value, Fault> {
        let mut members = Vec::new();
        if self.next_word() == Some(b'}') {
            self.at += 1;
            return Ok(Value::Object(members));
        }
        loop {
            if self.next_word() != Some(b'"') {
                return Err(self.refused("looking for beginning of object key string"));
            }
            let name = self.string()?;
            if self.next_word() != Some(b':') {
                return Err(self.refused("after object key"));
            }
            self.at += 1;
            members.push((name, self.value()?));
            match self.next_word() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(Value::Object(sorted(members)));
                }
                _ => return Err(self.refused("after object key:value pair")),
            }
        }
    }

    fn literal(&mut self, rest: &[(u8, &'static str)], value: Value) -> Result<Value, Fault> {
        self.at += 1;
        for (byte, context) in rest {
            if self.peek() != Some(*byte) {
                return Err(self.refused(context));
            }
            self.at += 1;
        }
        Ok(value)
    }

    fn number(&mut self) -> Result<Value, Fault> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return Err(self.refused("in numeric literal")),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.some_digits("after decimal point in numeric literal")?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.some_digits("in exponent of numeric literal")?;
        }
        let digits = String::from_utf8_lossy(&self.bytes[start..self.at]);
        Ok(Value::Number(digits.into()))
    }

    fn digits(&mut self) {
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
    }

    fn some_digits(&mut self, context: &'static str) -> Result<(), Fault> {
        match self.peek() {
            Some(b'0'..=b'9') => {
                self.digits();
                Ok(())
            }
            _ => Err(self.refused(context)),
        }
    }

    fn string(&mut self) -> Result<String, Fault> {
        self.at += 1;
        let start = self.at;
        let rest = &self.bytes[start..];
        let plain = rest
            .iter()
            .position(|b| matches!(b, b'"' | b'\\' | 0..0x20));
        let plain = plain.unwrap_or(rest.len());
        self.at += plain;
        let mut text = String::new();
        take_utf8(&rest[..plain], &mut text);
        loop {
            let start = self.at;
            match self.peek() {
                None => return Err(Fault::Cut),
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => text.push(self.escape()?),
                Some(0..0x20) => return Err(self.refused("in string literal")),
                Some(_) => {
                    while !matches!(self.peek(), None | Some(b'"' | b'\\' | 0..0x20)) {
                        self.at += 1;
                    }
                    take_utf8(&self.bytes[start..self.at], &mut text);
                }
            }
        }
    }

    fn escape(&mut self) -> Result<char, Fault> {
        self.at += 1;
        let plain = match self.peek() {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                return self.unicode();
            }
            _ => return Err(self.refused("in string escape code")),
        };
        self.at += 1;
        Ok(plain)
    }

    /// After `\u`.
    fn unicode(&mut self) -> Result<char, Fault> {
        let first = self.four_digits()?;
        if let 0xd800..0xdc00 = first
            && self.bytes[self.at..].starts_with(b"\\u")
        {
            let before = self.at;
            self.at += 2;
            let second = self.four_digits()?;
            if let 0xdc00..0xe000 = second {
                let code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = before;
        }
        Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn four_digits(&mut self) -> Result<u32, Fault> {
        let mut number = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|b| char::from(b).to_digit(16));
            let Some(digit) = digit else {
                return Err(self.refused("in \\u hexadecimal character escape"));
            };
            number = number * 16 + digit;
            self.at += 1;
        }
        Ok(number)
    }
}

const TRUE: [(u8, &str); 3] = [
    (b'r', "in literal true (expecting 'r')"),
    (b'u', "in literal true (expecting 'u')"),
    (b'e', "in literal true (expecting 'e')"),
];
const FALSE: [(u8, &str); 4] = [
    (b'a', "in literal false (expecting 'a')"),
    (b'l', "in literal false (expecting 'l')"),
    (b's', "in literal false (expecting 's')"),
    (b'e', "in literal false (expecting 'e')"),
];
const NULL: [(u8, &str); 3] = [
    (b'u', "in literal null (expecting 'u')"),
    (b'l', "in literal null (expecting 'l')"),
    (b'l', "in literal null (expecting 'l')"),
];

fn take_utf8(bytes: &[u8], text: &mut String) {
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for _ in chunk.invalid() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
}

/// Members by name, of each name the last.
pub(super) fn sorted(mut members: Vec<(String, Value)>) -> Vec<(String, Value)> {
    if members.is_sorted_by(|a, b| a.0 < b.0) {
        return members;
    }
    // A stable sort, back to front: of equal names the last comes first, and stays.
    members.reverse();
    members.sort_by(|a, b| a.0.cmp(&b.0));
    members.dedup_by(|a, b| a.0 == b.0);
    members
}

/// A byte as Go's errors show it.
fn quoted(byte: u8) -> String {
    match byte {
        b'\'' => r"'\''".into(),
        b'"' => "'\"'".into(),
        b'\\' => r"'\\'".into(),
        0x07 => r"'\a'".into(),
        0x08 => r"'\b'".into(),
        0x09 => r"'\t'".into(),
        0x0a => r"'\n'".into(),
        0x0b => r"'\v'".into(),
        0x0c => r"'\f'".into(),
        0x0d => r"'\r'".into(),
        0..0x20 | 0x7f => format!("'\\x{byte:02x}'"),
        0x80..=0xa0 | 0xad => format!("'\\u00{byte:02x}'"),
        _ => format!("'{}'", char::from(byte)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn again(text: &str) -> String {
        let value = read(text.as_bytes()).unwrap();
        String::from_utf8(value.to_vec()).unwrap()
    }

    #[test]
    fn values_come_back() {
        for (text, written) in [
            ("null", "null"),
            (" \t\r\n true", "true"),
            ("false", "false"),
            ("1", "1"),
            ("1.0", "1.0"),
            ("-0", "-0"),
            ("1e400", "1e400"),
            ("9007199254740993", "9007199254740993"),
            ("0.10E-07", "0.10E-07"),
            (r#""""#, r#""""#),
            (r#""<>&""#, r#""\u003c\u003e\u0026""#),
            (
                "\"\u{2028}\u{2029}\u{2027}é\u{7f}\"",
                "\"\\u2028\\u2029\u{2027}é\u{7f}\"",
            ),
            (r#""\u2028\ud83d\ude00\ud800""#, "\"\\u2028😀\u{fffd}\""),
            (r#""\ud800\u0041\udc00x""#, "\"\u{fffd}A\u{fffd}x\""),
            (
                r#""\"\\\/\b\f\n\r\t\u0000""#,
                r#""\"\\/\u0008\u000c\n\r\t\u0000""#,
            ),
            ("[]", "[]"),
            ("{}", "{}"),
            (
                " [ 1 , [ null ] , { \"a\" : 2 } ] ",
                r#"[1,[null],{"a":2}]"#,
            ),
            (r#"{"b":1,"a":2,"a":3}"#, r#"{"a":3,"b":1}"#),
            (r#"{"a":1,"a":2,"a":3}"#, r#"{"a":3}"#),
            (r#"{"é":1,"z":2,"":3}"#, r#"{"":3,"z":2,"é":1}"#),
            ("1 \r\n\t", "1"),
        ] {
            assert_eq!(again(text), written, "{text}");
        }
        let bytes = read(b"\"a\xff\xe2\x80b\"").unwrap();
        assert_eq!(bytes, Value::Text("a\u{fffd}\u{fffd}\u{fffd}b".into()));
    }

    /// What is no JSON, and what is said of it.
    const FAULTS: &[(&str, &str)] = &[
        ("", "EOF"),
        ("  ", "EOF"),
        (
            "1 trailing",
            "invalid character 't' after top-level value, at byte 2",
        ),
        (
            "01",
            "invalid character '1' after top-level value, at byte 1",
        ),
        (
            "{}}",
            "invalid character '}' after top-level value, at byte 2",
        ),
        (
            "null\0",
            "invalid character '\\x00' after top-level value, at byte 4",
        ),
        ("{", "unexpected EOF"),
        ("nul", "unexpected EOF"),
        (r#"{"data": 1"#, "unexpected EOF"),
        ("\"a", "unexpected EOF"),
        ("\"\\", "unexpected EOF"),
        ("\"\\u12", "unexpected EOF"),
        ("-", "unexpected EOF"),
        ("1.", "unexpected EOF"),
        ("1e", "unexpected EOF"),
        (
            "bad",
            "invalid character 'b' looking for beginning of value",
        ),
        (
            "{bad",
            "invalid character 'b' looking for beginning of object key string",
        ),
        (
            "{'a':1}",
            r"invalid character '\'' looking for beginning of object key string",
        ),
        (
            r#"{"a":1,}"#,
            "invalid character '}' looking for beginning of object key string",
        ),
        (r#"{"a" 1}"#, "invalid character '1' after object key"),
        (
            r#"{"a":1 "b"}"#,
            "invalid character '\"' after object key:value pair",
        ),
        ("[1 2]", "invalid character '2' after array element"),
        ("[01]", "invalid character '1' after array element"),
        (
            "[1,]",
            "invalid character ']' looking for beginning of value",
        ),
        (
            "nil",
            "invalid character 'i' in literal null (expecting 'u')",
        ),
        (
            "tRue",
            "invalid character 'R' in literal true (expecting 'r')",
        ),
        (
            "falsy",
            "invalid character 'y' in literal false (expecting 'e')",
        ),
        ("-a", "invalid character 'a' in numeric literal"),
        (
            "1.a",
            "invalid character 'a' after decimal point in numeric literal",
        ),
        (
            "1e+a",
            "invalid character 'a' in exponent of numeric literal",
        ),
        (r#""\x""#, "invalid character 'x' in string escape code"),
        (
            r#""\u00g0""#,
            r"invalid character 'g' in \u hexadecimal character escape",
        ),
        ("\"\n\"", r"invalid character '\n' in string literal"),
        ("\"\u{1}\"", r"invalid character '\x01' in string literal"),
        (
            "\\",
            r"invalid character '\\' looking for beginning of value",
        ),
        ("é", "invalid character 'Ã' looking for beginning of value"),
    ];

    #[test]
    fn faults_have_the_words_of_go() {
        for (text, words) in FAULTS {
            assert_eq!(
                read(text.as_bytes()).unwrap_err().to_string(),
                *words,
                "{text}"
            );
        }
        let deep = "[".repeat(limits::JSON_DEPTH + 1);
        assert_eq!(read(deep.as_bytes()), Err(Fault::Depth));
        let (open, close) = (
            "[".repeat(limits::JSON_DEPTH),
            "]".repeat(limits::JSON_DEPTH),
        );
        assert!(read((open + &close).as_bytes()).is_ok());
    }

    #[test]
    fn values_are_printed_as_go_prints_them() {
        for (text, printed) in [
            ("null", "<nil>"),
            ("true", "true"),
            ("5", "5"),
            ("5.0", "5"),
            ("-0.5", "-0.5"),
            ("100000", "100000"),
            ("1000000", "1e+06"),
            ("123456789", "1.23456789e+08"),
            ("1e-5", "1e-05"),
            ("0.0001", "0.0001"),
            ("[1]", "[1]"),
            ("[1,[],\"a\"]", "[1 [] a]"),
            (r#"{"b":1,"a":{"c":null}}"#, "map[a:map[c:<nil>] b:1]"),
        ] {
            assert_eq!(read(text.as_bytes()).unwrap().printed(), printed);
        }
    }

    /// Any JSON, as serde_json has it.
    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        use serde_json::Value as Json;
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            any::<i64>().prop_map(Json::from),
            any::<f64>().prop_map(Json::from),
            any::<String>().prop_map(Json::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Json::from),
                prop::collection::btree_map(any::<String>(), inner, 0..6)
                    .prop_map(|members| Json::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_another_library_wrote_means_the_same(json in any_json()) {
            let text = json.to_string();
            let written = read(text.as_bytes()).unwrap().to_vec();
            let back: serde_json::Value = serde_json::from_slice(&written).unwrap();
            // They are not exact about the last digit of a number.
            let meant: serde_json::Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(&back, &meant);
            // What was written once is written so again.
            prop_assert_eq!(read(&written).unwrap().to_vec(), written);
        }

        #[test]
        fn what_another_library_refuses_is_refused(text in "[\\[\\]{}:,\"a\\\\u01 .e+tn-]{0,24}") {
            let whole = super::super::is_value(text.as_bytes());
            let theirs = serde_json::from_str::<serde_json::Value>(&text).is_ok();
            // A half of a surrogate pair cannot be in there; a number may be too large for them.
            prop_assert!(whole || !theirs, "{text}");
            prop_assert!(theirs || !whole || text.contains('e'), "{text}");
        }
    }
}
