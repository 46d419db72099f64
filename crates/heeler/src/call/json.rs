//! Texts of JSON, which are passed on as they were written but for the blanks: numbers keep their
//! digits and objects their order.

use serde_json::value::RawValue;

/// A text of JSON on one line, without blanks.
///
/// # Errors
///
/// It is no JSON.
pub fn compact(text: &str) -> Result<String, serde_json::Error> {
    let value: &RawValue = serde_json::from_str(text)?;
    let mut out = String::with_capacity(value.get().len());
    let (mut in_string, mut escaped) = (false, false);
    for c in value.get().chars() {
        match c {
            ' ' | '\t' | '\r' | '\n' if !in_string => continue,
            '"' if !escaped => in_string = !in_string,
            _ => {}
        }
        escaped = in_string && c == '\\' && !escaped;
        out.push(c);
    }
    Ok(out)
}

/// The fields of an object in their order, their values as they are written; `None` for anything
/// else.
pub fn fields(text: &str) -> Option<Vec<(String, String)>> {
    struct Fields;
    impl<'de> serde::de::Visitor<'de> for Fields {
        type Value = Vec<(String, String)>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: serde::de::MapAccess<'de>>(
            self,
            mut map: A,
        ) -> Result<Self::Value, A::Error> {
            let mut fields = Vec::new();
            while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                fields.push((name, value.get().to_owned()));
            }
            Ok(fields)
        }
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let fields = serde::Deserializer::deserialize_map(&mut deserializer, Fields).ok()?;
    deserializer.end().ok()?;
    Some(fields)
}

/// Appends a string.
pub fn put_text(out: &mut String, text: &str) {
    *out += &serde_json::Value::from(text).to_string();
}

/// Appends bytes as Node prints a buffer.
pub fn put_bytes(out: &mut String, bytes: &[u8]) {
    out.push_str(r#"{"type":"Buffer","data":"#);
    *out += &serde_json::Value::from(bytes).to_string();
    out.push('}');
}

/// Appends a string, or bytes that are none.
pub fn put_text_or_bytes(out: &mut String, bytes: &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok(text) => put_text(out, text),
        Err(_) => put_bytes(out, bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_go_and_all_else_stays() {
        let cases = [
            (
                " { \"a b\" :\n[ 1.50 ,\t2e+3 ] } ",
                r#"{"a b":[1.50,2e+3]}"#,
            ),
            (r#" "a \" b\\" "#, r#""a \" b\\""#),
            (r#"[ "\\" , " " ]"#, r#"["\\"," "]"#),
            ("12345678901234567890123", "12345678901234567890123"),
            (r#"{"b":1,"a":2,"b":3}"#, r#"{"b":1,"a":2,"b":3}"#),
            ("null", "null"),
        ];
        for (text, expected) in cases {
            assert_eq!(compact(text).unwrap(), expected);
        }
        for text in ["", "ok", "{", "1 2", "[1,]", "\"a", "{'a':1}"] {
            assert!(compact(text).is_err(), "{text}");
        }
    }

    #[test]
    fn fields_in_their_order() {
        let found = fields(r#" {"b": [1, 2],"a\"":"x"} "#).unwrap();
        let expected = [("b", "[1, 2]"), ("a\"", "\"x\"")];
        assert_eq!(found, expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
        for text in ["1", "[]", "{", "{} x"] {
            assert_eq!(fields(text), None, "{text}");
        }
    }

    #[test]
    fn texts_and_bytes() {
        let mut out = String::new();
        put_text_or_bytes(&mut out, "a\"\n√".as_bytes());
        put_text_or_bytes(&mut out, &[255, 0]);
        assert_eq!(out, "\"a\\\"\\n√\"{\"type\":\"Buffer\",\"data\":[255,0]}");
    }
}
