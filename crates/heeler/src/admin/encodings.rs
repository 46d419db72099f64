//! The parameters of CONFIG that say how small collections are kept.

use crate::command::number::integer;
use crate::store::{Limit, Store, memory_bytes};

/// The parameters with their values, those included that have an older name.
pub(super) fn parameters(store: Option<&Store>) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    for limit in Limit::ALL {
        let value = store.map_or(limit.usual(), |store| store.encoding_limit(limit));
        let (name, older) = limit.names();
        let names = [Some(name), older].into_iter().flatten();
        found.extend(names.map(|name| (name, value.to_string())));
    }
    found
}

/// The limit with a name, be it an older one.
pub(super) fn named(name: &str) -> Option<Limit> {
    let is_it = |limit: &Limit| limit.names().0 == name || limit.names().1 == Some(name);
    Limit::ALL.into_iter().find(is_it)
}

/// The value of a limit in a client's words, or what is wrong with it.
pub(super) fn value(limit: Limit, text: &[u8]) -> Result<i64, String> {
    let (low, high) = limit.range();
    let outside = || format!("argument must be between {low} and {high} inclusive");
    if !limit.is_bytes() {
        let value = integer(text).ok_or("argument couldn't be parsed into an integer")?;
        let is_inside = (low..=high).contains(&value);
        return is_inside.then_some(value).ok_or_else(outside);
    }
    let text = String::from_utf8_lossy(text);
    let has_digits = text.starts_with(|c: char| c.is_ascii_digit());
    match memory_bytes(&text) {
        _ if text.is_empty() => Ok(0),
        Some(bytes) => i64::try_from(bytes).map_err(|_| outside()),
        None if has_digits && text.bytes().all(|b| b.is_ascii_digit()) => Err(outside()),
        None => Err("argument must be a memory value".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_redis_reads_them() {
        let integer = "argument couldn't be parsed into an integer";
        let memory = "argument must be a memory value";
        let size = "argument must be between 0 and 9223372036854775807 inclusive";
        let node = "argument must be between -2147483648 and 2147483647 inclusive";
        for (name, text, expected) in [
            ("hash-max-listpack-entries", "128", Ok(128)),
            (
                "hash-max-ziplist-entries",
                "9223372036854775807",
                Ok(i64::MAX),
            ),
            ("hash-max-listpack-entries", "-1", Err(size)),
            ("hash-max-listpack-entries", "1kb", Err(integer)),
            ("hash-max-listpack-entries", "", Err(integer)),
            (
                "hash-max-listpack-entries",
                "99999999999999999999",
                Err(integer),
            ),
            ("set-max-intset-entries", "1.5", Err(integer)),
            ("zset-max-ziplist-value", "1kb", Ok(1024)),
            ("hash-max-listpack-value", "1K", Ok(1000)),
            ("hash-max-listpack-value", "", Ok(0)),
            ("hash-max-listpack-value", "-9", Err(memory)),
            ("hash-max-listpack-value", "1x", Err(memory)),
            ("hash-max-listpack-value", "99999999999999999999", Err(size)),
            ("list-max-listpack-size", "-9", Ok(-9)),
            ("list-max-ziplist-size", "2147483648", Err(node)),
        ] {
            let found = value(named(name).unwrap(), text.as_bytes());
            assert_eq!(found, expected.map_err(str::to_owned), "{name} {text}");
        }
        assert_eq!(named("hash-max-listpack"), None);
    }
}
