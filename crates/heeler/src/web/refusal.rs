//! Answers that say no: their statuses and texts, which are memhashd's where it has some.

use http::StatusCode;

use super::body::BadBody;
use super::negotiation::Form;
use crate::store::documents;
use crate::wire::resp::IN_DOUBT;
use crate::{json, limits};

/// Why a request is not answered as asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status.
    pub status: StatusCode,
    /// What is said of it.
    pub text: String,
    /// The version that the key has, where another was asked for.
    pub version: Option<u64>,
}

impl Refusal {
    /// With this text.
    pub fn new(status: StatusCode, text: impl Into<String>) -> Refusal {
        Refusal {
            status,
            text: text.into(),
            version: None,
        }
    }

    /// The body cannot be read.
    pub fn of_body(bad: &BadBody) -> Refusal {
        let text = format!("failed to read request body, {bad}");
        Refusal::new(StatusCode::BAD_REQUEST, text)
    }

    /// The item that is asked for is no string: Go's `%v` of it.
    pub fn of_item(shown: &str) -> Refusal {
        let text = format!("unable to load value, item {shown} is invalid");
        Refusal::new(StatusCode::CONFLICT, text)
    }

    /// The body is in a form that is not known, or not for this request. `takes_raw`: it may be a
    /// value as it is.
    pub fn of_content_type(kind: &[u8], takes_raw: bool) -> Refusal {
        let kind = String::from_utf8_lossy(kind);
        let known = match takes_raw {
            true => "application/json, application/octet-stream or text/plain",
            false => "application/json",
        };
        let text = format!("Content-Type {kind} is not supported here: send {known}");
        Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, text)
    }

    /// The answer has none of the forms that the header `Accept` names.
    pub fn of_accept(offers: &[Form]) -> Refusal {
        let names: Vec<&str> = offers.iter().map(|form| form.name()).collect();
        let text = format!("Accept leaves out what there is: {}", names.join(", "));
        Refusal::new(StatusCode::NOT_ACCEPTABLE, text)
    }

    /// A key may not be so long.
    ///
    /// # Errors
    /// It is longer than that.
    pub fn of_key(key: &[u8]) -> Result<(), Refusal> {
        if key.len() > limits::HTTP_KEY_BYTES {
            let text = format!("the key is longer than {} bytes", limits::HTTP_KEY_BYTES);
            return Err(Refusal::new(StatusCode::URI_TOO_LONG, text));
        }
        Ok(())
    }

    /// The body of the answer.
    pub fn to_body(&self) -> Vec<u8> {
        let mut out = b"{\"text\":".to_vec();
        json::write_text(&self.text, &mut out);
        out.extend_from_slice(b"}\n");
        out
    }
}

/// What was asked for, as far as errors speak of it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The verb in errors: load, store, delete.
    pub verb: &'static str,
    /// The key.
    pub key: &'a [u8],
    /// The element or the item, where one was asked for.
    pub part: Option<&'a [u8]>,
}

impl Asked<'_> {
    /// There is no such key.
    pub fn missing(&self) -> Refusal {
        let key = String::from_utf8_lossy(self.key);
        let what = match self.part {
            Some(_) => "value".into(),
            None => format!("{key} key"),
        };
        let text = format!("unable to {} {what}, {key} does not exist", self.verb);
        Refusal::new(StatusCode::NOT_FOUND, text)
    }

    /// What the store has said no with: a code, a blank, and a text.
    pub fn refused(&self, error: &str) -> Refusal {
        let key = String::from_utf8_lossy(self.key);
        let part = String::from_utf8_lossy(self.part.unwrap_or_default());
        let verb = self.verb;
        let value = format!("unable to {verb} value, ");
        let whole = format!("unable to {verb} {key} key, ");
        let (code, told) = error.split_once(' ').unwrap_or((error, ""));
        let conflict = |text: String| Refusal::new(StatusCode::CONFLICT, text);
        match error {
            documents::NOT_FOUND => return self.missing(),
            documents::NOT_A_LIST => return conflict(value + &key + " is not a list"),
            documents::NOT_A_DICTIONARY => return conflict(value + &key + " is not a dictionary"),
            documents::OUT_OF_RANGE => {
                return conflict(format!("{value}position {part} is out of range"));
            }
            documents::NO_ITEM => {
                let text = format!("{value}unexpected value at key {part}");
                return Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, text);
            }
            documents::NOT_TEXT => {
                let hint = "its value is not UTF-8; ask for application/octet-stream";
                return Refusal::new(StatusCode::NOT_ACCEPTABLE, whole + hint);
            }
            _ => {}
        }
        match code {
            documents::OTHER_TYPE => conflict(format!(
                "{whole}it holds a {told}, which is not shown in this form"
            )),
            documents::CONDITION => Refusal {
                version: told.parse().ok().filter(|version| *version > 0),
                ..Refusal::new(
                    StatusCode::PRECONDITION_FAILED,
                    whole + "it is not in the state that the request asks for",
                )
            },
            "OOM" => Refusal::new(StatusCode::INSUFFICIENT_STORAGE, whole + told),
            "NOAUTH" | "WRONGPASS" => Refusal::new(StatusCode::UNAUTHORIZED, told),
            "CLUSTERDOWN" | "NOREPLICAS" if told.ends_with(IN_DOUBT) => {
                Refusal::new(StatusCode::GATEWAY_TIMEOUT, whole + error)
            }
            "CLUSTERDOWN" | "NOREPLICAS" | "TRYAGAIN" | "LOADING" => {
                Refusal::new(StatusCode::SERVICE_UNAVAILABLE, whole + error)
            }
            "ERR" => Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, whole + told),
            _ => Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, whole + error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::documents as d;
    use super::*;

    fn told(verb: &'static str, part: Option<&str>, error: &str) -> (u16, String) {
        let asked = Asked {
            verb,
            key: b"k%d",
            part: part.map(str::as_bytes),
        };
        let refusal = asked.refused(error);
        (refusal.status.as_u16(), refusal.text)
    }

    type Row = (Option<&'static str>, &'static str, u16, &'static str);

    /// What the store says, and what the client is told.
    const REFUSALS: &[Row] = &[
        (
            None,
            d::NOT_FOUND,
            404,
            "unable to load k%d key, k%d does not exist",
        ),
        (
            Some("0"),
            d::NOT_FOUND,
            404,
            "unable to load value, k%d does not exist",
        ),
        (
            Some("0"),
            d::NOT_A_LIST,
            409,
            "unable to load value, k%d is not a list",
        ),
        (
            Some("3"),
            d::OUT_OF_RANGE,
            409,
            "unable to load value, position 3 is out of range",
        ),
        (
            Some("x"),
            d::NOT_A_DICTIONARY,
            409,
            "unable to load value, k%d is not a dictionary",
        ),
        (
            Some("x"),
            d::NO_ITEM,
            500,
            "unable to load value, unexpected value at key x",
        ),
        (
            None,
            "OTHERTYPE zset",
            409,
            "unable to load k%d key, it holds a zset, which is not shown in this form",
        ),
        (None, "ERR no", 500, "unable to load k%d key, no"),
        (
            None,
            "OOM too much",
            507,
            "unable to load k%d key, too much",
        ),
        (
            None,
            "CLUSTERDOWN no",
            503,
            "unable to load k%d key, CLUSTERDOWN no",
        ),
        (
            None,
            "CLUSTERDOWN no answer, and it may have executed the command",
            504,
            "unable to load k%d key, CLUSTERDOWN no answer, and it may have executed the command",
        ),
        (
            None,
            "NOREPLICAS no",
            503,
            "unable to load k%d key, NOREPLICAS no",
        ),
        (
            None,
            "TRYAGAIN no",
            503,
            "unable to load k%d key, TRYAGAIN no",
        ),
        (
            None,
            "LOADING no",
            503,
            "unable to load k%d key, LOADING no",
        ),
        (None, "WHAT no", 500, "unable to load k%d key, WHAT no"),
        (
            None,
            "NOAUTH Authentication required",
            401,
            "Authentication required",
        ),
    ];

    #[test]
    fn refusals_have_the_words_of_memhashd() {
        for &(part, error, status, text) in REFUSALS {
            assert_eq!(
                told("load", part, error),
                (status, text.to_owned()),
                "{error}"
            );
        }
        let asked = Asked {
            verb: "store",
            key: b"k",
            part: None,
        };
        assert_eq!(asked.refused("CONDITION 7").version, Some(7));
        assert_eq!(asked.refused("CONDITION 0").version, None);
        assert_eq!(asked.refused("CONDITION 7").status, 412);
    }

    #[test]
    fn bodies_of_refusals() {
        let body = |refusal: Refusal| String::from_utf8(refusal.to_body()).unwrap();
        assert_eq!(
            body(Refusal::of_item("<nil>")),
            "{\"text\":\"unable to load value, item \\u003cnil\\u003e is invalid\"}\n"
        );
        let bad = super::super::body::store(b"").unwrap_err();
        assert_eq!(
            body(Refusal::of_body(&bad)),
            "{\"text\":\"failed to read request body, EOF\"}\n"
        );
    }
}
