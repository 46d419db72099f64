//! Compare and set: `ETag`, `If-Match` and `If-None-Match` (RFC 9110, sections 8.8.3 and 13).

use std::fmt;

use crate::limits;

/// The version of a key, as an `ETag` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag(pub u64);

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{:x}\"", self.0)
    }
}

impl Tag {
    /// Appends it to the value of a header.
    pub fn write(self, out: &mut Vec<u8>) {
        out.push(b'"');
        let digits = (67 - (self.0 | 1).leading_zeros()) / 4;
        for place in (0..digits).rev() {
            let digit = (self.0 >> (4 * place) & 0xf) as u8;
            out.push(if digit < 10 {
                b'0' + digit
            } else {
                b'a' + digit - 10
            });
        }
        out.push(b'"');
    }
}

/// What a request asks of the version of its key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// It is one of these.
    pub if_match: Versions,
    /// It is none of these.
    pub if_none_match: Versions,
}

/// Versions that a condition names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Versions {
    /// There is no such condition.
    #[default]
    None,
    /// `*`: any, if the key is there at all.
    Any,
    /// Those alone.
    Of(Vec<u64>),
}

impl Condition {
    /// Reads the headers.
    pub fn read<'a>(
        if_match: impl Iterator<Item = &'a [u8]>,
        if_none_match: impl Iterator<Item = &'a [u8]>,
    ) -> Condition {
        Condition {
            // Only a strong tag says that all bytes are the same.
            if_match: Versions::read(if_match, false),
            if_none_match: Versions::read(if_none_match, true),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.if_match == Versions::None && self.if_none_match == Versions::None
    }
}

impl Versions {
    fn read<'a>(headers: impl Iterator<Item = &'a [u8]>, takes_weak: bool) -> Versions {
        let mut all = Versions::None;
        for header in headers {
            for tag in header.split(|b| *b == b',').take(limits::TAGS) {
                let tag = tag.trim_ascii();
                if tag == b"*" {
                    return Versions::Any;
                }
                let strong = match tag.strip_prefix(b"W/") {
                    Some(strong) if takes_weak => Some(strong),
                    Some(_) => None,
                    None => Some(tag),
                };
                let version = strong.and_then(version);
                match &mut all {
                    Versions::Of(versions) => versions.extend(version),
                    _ => all = Versions::Of(version.into_iter().collect()),
                }
            }
        }
        all
    }

    /// Whether it names the version of a key, if that is there.
    pub fn names(&self, version: Option<u64>) -> bool {
        match self {
            Versions::None => false,
            Versions::Any => version.is_some(),
            Versions::Of(all) => version.is_some_and(|version| all.contains(&version)),
        }
    }

    /// As the commands of documents have it. No key has the version 0.
    pub fn to_word(&self) -> Vec<u8> {
        match self {
            Versions::None => Vec::new(),
            Versions::Any => b"*".to_vec(),
            Versions::Of(all) if all.is_empty() => b"0".to_vec(),
            Versions::Of(all) => {
                let all: Vec<String> = all.iter().map(u64::to_string).collect();
                all.join(",").into_bytes()
            }
        }
    }
}

fn version(tag: &[u8]) -> Option<u64> {
    let digits = tag.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let digits = std::str::from_utf8(digits).ok()?;
    let is_hex = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
    is_hex
        .then(|| u64::from_str_radix(digits, 16).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(header: &str, takes_weak: bool) -> Versions {
        Versions::read([header.as_bytes()].into_iter(), takes_weak)
    }

    #[test]
    fn conditions() {
        for (header, versions) in [
            ("*", Versions::Any),
            ("\"1f\"", Versions::Of(vec![31])),
            ("\"1\", \"2\" ,W/\"3\"", Versions::Of(vec![1, 2])),
            ("\"zz\"", Versions::Of(vec![])),
            ("\"\"", Versions::Of(vec![])),
            ("1f", Versions::Of(vec![])),
            ("\"+1\"", Versions::Of(vec![])),
            ("\"1\", *", Versions::Any),
        ] {
            assert_eq!(read(header, false), versions, "{header}");
        }
        assert_eq!(read("W/\"3\"", true), Versions::Of(vec![3]));
        assert_eq!(read("W/\"3\"", false), Versions::Of(vec![]));
        let nothing = || std::iter::empty();
        assert!(Condition::read(nothing(), nothing()).is_empty());
        let words = [("*", "*"), ("\"a\", \"b\"", "10,11"), ("x", "0")];
        for (header, word) in words {
            assert_eq!(read(header, true).to_word(), word.as_bytes());
        }
        assert!(Versions::Any.names(Some(1)) && !Versions::Any.names(None));
        assert!(read("\"a\"", true).names(Some(10)) && !read("\"a\"", true).names(Some(11)));
    }

    proptest! {
        #[test]
        fn a_tag_is_read_as_it_was_written(version in any::<u64>()) {
            let mut tag = Vec::new();
            Tag(version).write(&mut tag);
            prop_assert_eq!(String::from_utf8(tag.clone()).unwrap(), Tag(version).to_string());
            prop_assert_eq!(super::version(&tag), Some(version));
        }
    }
}
