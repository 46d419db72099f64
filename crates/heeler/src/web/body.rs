//! What a request's body says, read as Go's `json.Decoder` reads it into the structures of
//! memhashd, with the errors that it has.

use super::duration::{GoDuration, NoDuration};
use crate::json::{self, Value};

/// Why a body cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadBody {
    /// It is no JSON.
    #[error(transparent)]
    Json(#[from] json::Fault),
    /// It is no length of time.
    #[error(transparent)]
    Duration(#[from] NoDuration),
    /// It is of another kind.
    #[error("json: cannot unmarshal {0} into Go value of type {1}")]
    Kind(&'static str, &'static str),
    /// A member is of another kind.
    #[error("json: cannot unmarshal {0} into Go struct field {1} of type {2}")]
    Member(String, &'static str, &'static str),
    /// It is not what is asked for here.
    #[error("{0}")]
    Unfit(String),
}

/// What is to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// The value.
    pub data: Value,
    /// How long it lives, if that is said.
    pub life: Option<GoDuration>,
}

/// Reads `{"data": any, "expire_time": duration}`.
///
/// # Errors
/// It is none.
pub fn store(body: &[u8]) -> Result<Store, BadBody> {
    store_of(json::read(body)?)
}

/// The same, of a value.
///
/// # Errors
/// It is none.
pub fn store_of(body: Value) -> Result<Store, BadBody> {
    let mut store = Store {
        data: Value::Null,
        life: None,
    };
    for (name, value) in members(body, "client.StoreOptions")? {
        if name.eq_ignore_ascii_case("data") {
            store.data = value;
        } else if name.eq_ignore_ascii_case("expire_time") {
            store.life = Some(life(&value)?);
        }
    }
    Ok(store)
}

/// Reads `{"index": number}`; 0 where there is none.
///
/// # Errors
/// It is none.
pub fn index(body: &[u8]) -> Result<u64, BadBody> {
    let mut index = 0;
    let mut refused = None;
    for (name, value) in members(json::read(body)?, "client.ListIndexOptions")? {
        if !name.eq_ignore_ascii_case("index") {
            continue;
        }
        let kind = match &value {
            Value::Null => continue,
            Value::Number(digits) => match digits.parse() {
                Ok(number) => {
                    index = number;
                    continue;
                }
                Err(_) => format!("number {digits}"),
            },
            other => other.kind().into(),
        };
        refused.get_or_insert(BadBody::Member(kind, "ListIndexOptions.index", "uint64"));
    }
    refused.map_or(Ok(index), Err)
}

/// Reads `{"item": any}`; null where there is none.
///
/// # Errors
/// It is none.
pub fn item(body: &[u8]) -> Result<Value, BadBody> {
    let mut item = Value::Null;
    for (name, value) in members(json::read(body)?, "client.DictItemOptions")? {
        if name.eq_ignore_ascii_case("item") {
            item = value;
        }
    }
    Ok(item)
}

/// The list under this name in an object.
///
/// # Errors
/// There is none.
pub fn list(body: &[u8], name: &'static str) -> Result<Vec<Value>, BadBody> {
    let Value::Object(members) = json::read(body)? else {
        return Err(BadBody::Unfit(format!("write {{\"{name}\": [...]}}")));
    };
    match members.into_iter().find(|(n, _)| n == name) {
        Some((_, Value::List(all))) => Ok(all),
        _ => Err(BadBody::Unfit(format!("write {{\"{name}\": [...]}}"))),
    }
}

/// The members of an object; none of null.
fn members(
    body: Value,
    go_type: &'static str,
) -> Result<impl Iterator<Item = (String, Value)>, BadBody> {
    match body {
        Value::Null => Ok(Vec::new().into_iter()),
        Value::Object(members) => Ok(members.into_iter()),
        other => Err(BadBody::Kind(other.kind(), go_type)),
    }
}

fn life(value: &Value) -> Result<GoDuration, NoDuration> {
    match value {
        Value::Text(text) => GoDuration::parse(text),
        other => GoDuration::parse(&String::from_utf8_lossy(&other.to_vec())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_stored() {
        let seconds = |n: i64| Some(GoDuration(n * 1_000_000_000));
        for (body, data, life) in [
            (
                r#"{"data": ["a"], "expire_time": "10s"}"#,
                r#"["a"]"#,
                seconds(10),
            ),
            ("{\"data\":1} \r\n", "1", None),
            (
                r#"{"DATA":2,"Expire_Time":"1h","unknown":3}"#,
                "2",
                seconds(3600),
            ),
            (r#"{"data":1,"data":2}"#, "2", None),
            (r#"{"data":1,"expire_time":0}"#, "1", seconds(0)),
            (r#"{"data":1,"expire_time":"-5s"}"#, "1", seconds(-5)),
            ("null", "null", None),
            ("{}", "null", None),
            (r#"{"data":null}"#, "null", None),
            (r#"{"data":1e400}"#, "1e400", None),
        ] {
            let store = store(body.as_bytes()).unwrap();
            assert_eq!(store.data.to_vec(), data.as_bytes(), "{body}");
            assert_eq!(store.life, life, "{body}");
        }
    }

    #[test]
    fn what_cannot_be_stored() {
        let of_type = |kind| format!("json: cannot unmarshal {kind} into Go value of type");
        for (body, words) in [
            ("", "EOF".to_owned()),
            (r#"{"data": 1"#, "unexpected EOF".into()),
            (
                r#"{"data":1} trailing"#,
                "invalid character 't' after top-level value, at byte 11".into(),
            ),
            (
                "{bad",
                "invalid character 'b' looking for beginning of object key string".into(),
            ),
            ("[]", of_type("array") + " client.StoreOptions"),
            ("\"str\"", of_type("string") + " client.StoreOptions"),
            ("12", of_type("number") + " client.StoreOptions"),
            ("true", of_type("bool") + " client.StoreOptions"),
            (
                r#"{"expire_time":null}"#,
                r#"time: invalid duration "null""#.into(),
            ),
            (
                r#"{"expire_time":10}"#,
                r#"time: missing unit in duration "10""#.into(),
            ),
            (
                r#"{"expire_time":"10"}"#,
                r#"time: missing unit in duration "10""#.into(),
            ),
            (
                r#"{"expire_time":["1s"]}"#,
                r#"time: invalid duration "[\"1s\"]""#.into(),
            ),
            (
                r#"{"expire_time":{"a":1}}"#,
                r#"time: invalid duration "{\"a\":1}""#.into(),
            ),
        ] {
            assert_eq!(store(body.as_bytes()).unwrap_err().to_string(), words);
        }
    }

    #[test]
    fn which_element_and_which_item() {
        for (body, place) in [
            (r#"{"index": 2}"#, 2),
            (r#"{"INDEX": 18446744073709551615}"#, u64::MAX),
            ("{}", 0),
            ("null", 0),
            (r#"{"index": null}"#, 0),
        ] {
            assert_eq!(index(body.as_bytes()), Ok(place));
        }
        for (body, kind) in [
            (r#"{"index": -1}"#, "number -1"),
            (r#"{"index": 1.5}"#, "number 1.5"),
            (
                r#"{"index": 99999999999999999999}"#,
                "number 99999999999999999999",
            ),
            (r#"{"index": "2"}"#, "string"),
            (r#"{"index": []}"#, "array"),
            (r#"{"index": {}}"#, "object"),
            (r#"{"index": true}"#, "bool"),
        ] {
            let of_type = "into Go struct field ListIndexOptions.index of type uint64";
            let words = format!("json: cannot unmarshal {kind} {of_type}");
            assert_eq!(index(body.as_bytes()).unwrap_err().to_string(), words);
        }
        assert_eq!(item(br#"{"item":"user"}"#), Ok(Value::Text("user".into())));
        assert_eq!(item(b"{}"), Ok(Value::Null));
        let words = "json: cannot unmarshal array into Go value of type client.DictItemOptions";
        assert_eq!(item(b"[]").unwrap_err().to_string(), words);
    }

    #[test]
    fn lists_of_bulk_requests() {
        assert_eq!(list(br#"{"keys":[]}"#, "keys"), Ok(Vec::new()));
        for body in ["[]", "{}", r#"{"keys":1}"#] {
            let refused = list(body.as_bytes(), "keys").unwrap_err().to_string();
            assert_eq!(refused, r#"write {"keys": [...]}"#);
        }
    }
}
