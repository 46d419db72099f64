//! Redis's glob patterns, for KEYS and SCAN ... MATCH.
//!
//! `*` is any run of bytes, `?` any byte, `[ab]`, `[a-z]`, `[^a]` one byte of a class, and `\`
//! takes the special meaning from the byte after it. Only the last `*` met is ever retried, so
//! that the time is bounded by the product of the lengths.

/// Whether all of `text` matches `pattern`.
///
/// Like Redis, which tells that case apart before it matches, no pattern but the empty one matches
/// the empty text here; use [`Pattern`] to have `*` match it.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() && p < pattern.len() {
        if pattern[p] == b'*' {
            p += pattern[p..].iter().take_while(|b| **b == b'*').count();
            if p == pattern.len() {
                return true;
            }
            retry = Some((p, t));
            continue;
        }
        let (len, matched) = one_byte(&pattern[p..], text[t]);
        if matched {
            (p, t) = (p + len, t + 1);
            if t == text.len() {
                p += pattern[p..].iter().take_while(|b| **b == b'*').count();
            }
            if p < pattern.len() || t == text.len() {
                continue;
            }
        }
        let Some((after_star, from)) = retry else {
            return false;
        };
        (p, t) = (after_star, from + 1);
        retry = Some((p, t));
    }
    p == pattern.len() && t == text.len()
}

/// The length of the pattern's first element, which is no `*`, and whether it matches the byte.
fn one_byte(pattern: &[u8], byte: u8) -> (usize, bool) {
    match pattern[0] {
        b'?' => (1, true),
        b'[' => class(pattern, byte),
        b'\\' if pattern.len() > 1 => (2, pattern[1] == byte),
        literal => (1, literal == byte),
    }
}

/// A class that is not closed ends with the pattern.
fn class(pattern: &[u8], byte: u8) -> (usize, bool) {
    let negated = pattern.get(1) == Some(&b'^');
    let mut i = if negated { 2 } else { 1 };
    let mut matched = false;
    loop {
        match pattern[i..] {
            [] => return (i, matched != negated),
            [b'\\', escaped, ..] => {
                matched |= escaped == byte;
                i += 2;
            }
            [b']', ..] => return (i + 1, matched != negated),
            [first, b'-', last, ..] => {
                matched |= is_between(first, last, byte);
                i += 3;
            }
            [literal, ..] => {
                matched |= literal == byte;
                i += 1;
            }
        }
    }
}

/// Redis compares the ends of a range as signed bytes, in either order.
fn is_between(first: u8, last: u8, byte: u8) -> bool {
    let (first, last, byte) = (first.cast_signed(), last.cast_signed(), byte.cast_signed());
    (first.min(last)..=first.max(last)).contains(&byte)
}

/// A pattern that keys are matched with.
pub(super) struct Pattern<'a>(&'a [u8]);

impl<'a> Pattern<'a> {
    pub(super) fn new(pattern: &'a [u8]) -> Pattern<'a> {
        Pattern(pattern)
    }

    /// Whether a key matches.
    pub(super) fn matches(&self, key: &[u8]) -> bool {
        self.0 == b"*" || matches(self.0, key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_redis_does() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("*", "", false),
            ("a*", "a", true),
            ("a**", "a", true),
            ("*a", "bca", true),
            ("*a*b*c", "xxaxxbxxc", true),
            ("*a*b*c", "xxaxxbxx", false),
            ("h?llo", "hello", true),
            ("h?llo", "hllo", false),
            ("h[ae]llo", "hallo", true),
            ("h[ae]llo", "hillo", false),
            ("h[^e]llo", "hallo", true),
            ("h[^e]llo", "hello", false),
            ("h[a-c]llo", "hbllo", true),
            ("h[c-a]llo", "hbllo", true),
            ("h[a-c]llo", "hdllo", false),
            ("[a-]", "-", false),
            ("[a-]", "^", true),
            ("[]", "a", false),
            ("[^]", "a", true),
            ("[", "[", false),
            ("[^", "a", true),
            ("[ab", "b", true),
            ("[\\]]", "]", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "axb", false),
            ("a\\", "a\\", true),
            ("abc", "ab", false),
            ("ab", "abc", false),
            ("*ab", "abab", true),
            ("*?", "a", true),
            ("?*", "", false),
        ] {
            let found = matches(pattern.as_bytes(), text.as_bytes());
            assert_eq!(found, expected, "{pattern:?} {text:?}");
        }
        assert!(matches(b"[\x01-\xff]", b"\x00"));
        assert!(!matches(b"[\x01-\xff]", b"\x7f"));
    }

    #[test]
    fn many_stars_take_no_exponential_time() {
        let pattern = "a*".repeat(5_000) + "b";
        let text = "a".repeat(5_000);
        assert!(!matches(pattern.as_bytes(), text.as_bytes()));
    }
}
