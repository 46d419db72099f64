//! Glob patterns, as KEYS, SCAN, CONFIG GET and PSUBSCRIBE know them.

/// Whether a text matches a pattern.
///
/// `?` is any byte, `*` any number of them, `[abc]`, `[a-z]` and `[^abc]` are classes, and a
/// backslash takes the next byte as it is. A class that is not closed ends with the pattern.
///
/// Equal to Redis's matcher in its odd corners too: of patterns that are not empty, only `*` alone
/// matches the empty text, and bytes past 127 come before all others in a range. The work is at
/// most the product of both lengths.
pub fn matches(pattern: &[u8], text: &[u8], ignore_case: bool) -> bool {
    if text.is_empty() {
        return pattern.is_empty() || pattern == b"*";
    }
    let (mut pattern, mut text) = (pattern, text);
    // The pattern after the last star, and the text from which it is tried now.
    let mut star = None;
    while let Some((&byte, rest)) = text.split_first() {
        if let Some(after) = pattern.strip_prefix(b"*") {
            if after.is_empty() {
                return true;
            }
            star = Some((after, text));
            pattern = after;
        } else if let Some(after) = step(pattern, byte, ignore_case) {
            (pattern, text) = (after, rest);
        } else if let Some((after, tried)) = star {
            star = Some((after, &tried[1..]));
            (pattern, text) = (after, &tried[1..]);
        } else {
            return false;
        }
    }
    pattern.iter().all(|&b| b == b'*')
}

/// What is left of the pattern when its first element, which is no star, has taken a byte.
fn step(pattern: &[u8], byte: u8, ignore_case: bool) -> Option<&[u8]> {
    let (fits, rest) = match pattern {
        [] => return None,
        [b'?', rest @ ..] => (true, rest),
        [b'[', b'^', rest @ ..] => {
            let (fits, rest) = class(rest, byte, ignore_case);
            (!fits, rest)
        }
        [b'[', rest @ ..] => class(rest, byte, ignore_case),
        [b'\\', literal, rest @ ..] | [literal, rest @ ..] => {
            (same(*literal, byte, ignore_case), rest)
        }
    };
    fits.then_some(rest)
}

/// Whether a byte is in a class, and what follows the class.
fn class(mut pattern: &[u8], byte: u8, ignore_case: bool) -> (bool, &[u8]) {
    let mut found = false;
    loop {
        let (fits, rest) = match pattern {
            [] => return (found, &[]),
            // An escaped byte is compared as it is, even where case is ignored.
            [b'\\', literal, rest @ ..] => (*literal == byte, rest),
            [b']', rest @ ..] => return (found, rest),
            [from, b'-', to, rest @ ..] => (between(*from, *to, byte, ignore_case), rest),
            [literal, rest @ ..] => (same(*literal, byte, ignore_case), rest),
        };
        found |= fits;
        pattern = rest;
    }
}

fn same(a: u8, b: u8, ignore_case: bool) -> bool {
    a == b || (ignore_case && a.eq_ignore_ascii_case(&b))
}

/// Whether a byte is in a range, whose ends may stand in any order. Redis compares signed bytes.
fn between(from: u8, to: u8, byte: u8, ignore_case: bool) -> bool {
    let (from, to) = if from as i8 > to as i8 {
        (to, from)
    } else {
        (from, to)
    };
    let place = |b: u8| {
        if ignore_case {
            b.to_ascii_lowercase() as i8
        } else {
            b as i8
        }
    };
    (place(from)..=place(to)).contains(&place(byte))
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn each_element_of_a_pattern() {
        let table: &[(&str, &str, bool)] = &[
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("**", "", false),
            ("?", "", false),
            ("*", "abc", true),
            ("a*", "a", true),
            ("a**", "a", true),
            ("a?", "a", false),
            ("a*c", "abbbc", true),
            ("a*c", "abbbcd", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*ab", "aab", true),
            ("*aab", "aaab", true),
            ("?*?", "ab", true),
            ("?*?", "a", false),
            ("h[ae]llo", "hello", true),
            ("h[ae]llo", "hillo", false),
            ("h[^e]llo", "hallo", true),
            ("h[^e]llo", "hello", false),
            ("h[a-b]llo", "hbllo", true),
            ("h[b-a]llo", "hallo", true),
            ("h[a-b]llo", "hcllo", false),
            ("h\\?llo", "h?llo", true),
            ("h\\?llo", "hello", false),
            ("a\\", "a\\", true),
            ("[\\]]", "]", true),
            ("[]a]", "]", false),
            ("[abc", "c", true),
            ("[^", "a", true),
            ("[", "a", false),
            ("[a-]", "]", true),
            ("[a-", "-", true),
            ("A", "a", false),
        ];
        for (pattern, text, expected) in table {
            let found = matches(pattern.as_bytes(), text.as_bytes(), false);
            assert_eq!(found, *expected, "{pattern:?} {text:?}");
        }
    }

    #[test]
    fn case_is_ignored_if_asked_except_for_escapes_in_a_class() {
        assert!(matches(b"GE[T-z]", b"get", true));
        assert!(matches(b"g\\ET", b"get", true));
        assert!(matches(b"[ABC]", b"b", true));
        assert!(!matches(b"[\\B]", b"b", true));
        assert!(!matches(b"[Z-a]", b"b", true));
    }

    #[test]
    fn many_stars_are_not_slow() {
        let pattern = [b"a*".repeat(1000), b"b".to_vec()].concat();
        assert!(!matches(&pattern, &b"a".repeat(10_000), false));
    }
}
