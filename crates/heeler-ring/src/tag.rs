//! Hash tags: the part of a key that decides where it lives.

/// A pair of delimiters. Of a key that holds both, only what lies between them is hashed, so that
/// related keys can be put on one server.
///
/// The rule, twemproxy's and Redis Cluster's alike: find the first opening byte, then the first
/// closing byte after it. If at least one byte lies between them, that is the tag; otherwise the
/// whole key is. There is no second try.
///
/// ```
/// use heeler_ring::HashTag;
///
/// let tag = HashTag(b'{', b'}');
/// assert_eq!(tag.of(b"{user:1}:name"), b"user:1");
/// assert_eq!(tag.of(b"user:1:name"), b"user:1:name");
/// assert_eq!(tag.of(b"{}{user:1}"), b"{}{user:1}");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HashTag(
    /// The opening byte.
    pub u8,
    /// The closing byte. It may be the same as the opening one.
    pub u8,
);

impl HashTag {
    /// The braces of Redis Cluster: `{` and `}`.
    pub const BRACES: HashTag = HashTag(b'{', b'}');

    /// A tag from its two characters, as in twemproxy's `hash_tag: "{}"`. `None` if these are not
    /// exactly two bytes.
    pub fn from_name(name: &str) -> Option<HashTag> {
        match *name.as_bytes() {
            [open, close] => Some(HashTag(open, close)),
            _ => None,
        }
    }

    /// The part of `key` that is hashed: what lies between the delimiters, or the whole key.
    #[inline]
    pub fn of<'k>(&self, key: &'k [u8]) -> &'k [u8] {
        let Some(open) = key.iter().position(|&byte| byte == self.0) else {
            return key;
        };
        let after = &key[open + 1..];
        match after.iter().position(|&byte| byte == self.1) {
            Some(length) if length > 0 => &after[..length],
            _ => key,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_is_what_lies_between_the_first_pair() {
        let cases: [(&str, &str, &str); 15] = [
            ("{}", "{user:1}:name", "user:1"),
            ("{}", "a{b}c", "b"),
            ("{}", "a{b}{c}", "b"),
            ("{}", "{{a}}", "{a"),
            ("{}", "{a", "{a"),
            ("{}", "a}", "a}"),
            ("{}", "}a{", "}a{"),
            ("{}", "}{a}", "a"),
            ("{}", "{}x", "{}x"),
            ("{}", "{}{z}", "{}{z}"),
            ("{}", "", ""),
            ("{}", "{}", "{}"),
            ("$$", "$a$b", "a"),
            ("$$", "$$a$", "$$a$"),
            ("$$", "a$b", "a$b"),
        ];
        for (name, key, hashed) in cases {
            let tag = HashTag::from_name(name).unwrap();
            assert_eq!(tag.of(key.as_bytes()), hashed.as_bytes(), "{name} {key}");
        }
    }

    #[test]
    fn a_tag_has_exactly_two_bytes() {
        assert_eq!(HashTag::from_name("{}"), Some(HashTag::BRACES));
        for name in ["", "{", "{}}", "é}"] {
            assert_eq!(HashTag::from_name(name), None, "{name:?}");
        }
    }
}
