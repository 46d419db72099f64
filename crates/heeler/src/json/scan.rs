//! Looking at JSON text without making values of it.

use crate::limits;

/// Whether the bytes are one JSON value and nothing else, blanks around it included, in UTF-8.
pub fn is_value(bytes: &[u8]) -> bool {
    if std::str::from_utf8(bytes).is_err() {
        return false;
    }
    let mut scan = Scan { bytes, at: 0 };
    scan.blanks();
    scan.value(0).is_some() && {
        scan.blanks();
        scan.at == bytes.len()
    }
}

/// What is asked of text that is no JSON list, or no JSON object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Picked<'a> {
    /// The text of the value.
    Found(&'a [u8]),
    /// It has no such element or member.
    Missing,
    /// It is of another kind.
    OtherKind,
}

/// The text of an element of a JSON list.
pub fn pick_element(list: &[u8], index: u64) -> Picked<'_> {
    let mut scan = Scan { bytes: list, at: 0 };
    scan.blanks();
    if !scan.take(b'[') {
        return Picked::OtherKind;
    }
    let mut place = 0;
    loop {
        scan.blanks();
        let start = scan.at;
        if scan.value(1).is_none() {
            return Picked::Missing;
        }
        if place == index {
            return Picked::Found(&list[start..scan.at]);
        }
        place += 1;
        scan.blanks();
        if !scan.take(b',') {
            return Picked::Missing;
        }
    }
}

/// The text of a member of a JSON object that was written by this program: names are unique, and
/// `name` is the name as it is written.
pub fn pick_member<'a>(object: &'a [u8], name: &[u8]) -> Picked<'a> {
    let mut scan = Scan {
        bytes: object,
        at: 0,
    };
    scan.blanks();
    if !scan.take(b'{') {
        return Picked::OtherKind;
    }
    loop {
        scan.blanks();
        let start = scan.at;
        if scan.string().is_none() {
            return Picked::Missing;
        }
        let is_it = &object[start..scan.at] == name;
        scan.blanks();
        if !scan.take(b':') {
            return Picked::Missing;
        }
        scan.blanks();
        let start = scan.at;
        if scan.value(1).is_none() {
            return Picked::Missing;
        }
        if is_it {
            return Picked::Found(&object[start..scan.at]);
        }
        scan.blanks();
        if !scan.take(b',') {
            return Picked::Missing;
        }
    }
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Scan<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_it = self.peek() == Some(byte);
        self.at += usize::from(is_it);
        is_it
    }

    fn blanks(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.peek() {
            self.at += 1;
        }
    }

    /// Passes over a value.
    fn value(&mut self, depth: usize) -> Option<()> {
        if depth > limits::JSON_DEPTH {
            return None;
        }
        match self.peek()? {
            b'"' => self.string(),
            b'{' => self.all(b'}', |scan| {
                scan.string()?;
                scan.blanks();
                scan.take(b':').then_some(())?;
                scan.blanks();
                scan.value(depth + 1)
            }),
            b'[' => self.all(b']', |scan| scan.value(depth + 1)),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            _ => self.number(),
        }
    }

    /// Passes over what stands between brackets.
    fn all(&mut self, end: u8, each: impl Fn(&mut Self) -> Option<()>) -> Option<()> {
        self.at += 1;
        self.blanks();
        if self.take(end) {
            return Some(());
        }
        loop {
            self.blanks();
            each(self)?;
            self.blanks();
            if self.take(end) {
                return Some(());
            }
            self.take(b',').then_some(())?;
        }
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.bytes[self.at..].starts_with(word).then_some(())?;
        self.at += word.len();
        Some(())
    }

    fn string(&mut self) -> Option<()> {
        self.take(b'"').then_some(())?;
        loop {
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Some(());
                }
                b'\\' => {
                    self.at += 1;
                    match self.peek()? {
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 1,
                        b'u' => {
                            let digits = self.bytes.get(self.at + 1..self.at + 5)?;
                            digits.iter().all(u8::is_ascii_hexdigit).then_some(())?;
                            self.at += 5;
                        }
                        _ => return None,
                    }
                }
                0..0x20 => return None,
                _ => self.at += 1,
            }
        }
    }

    fn number(&mut self) -> Option<()> {
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _ = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        Some(())
    }

    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_values() {
        for good in [
            "1",
            " {\"a\":[1,{}]} ",
            "\"\\u12aF\"",
            "[]",
            "-0.5e-7",
            "null",
        ] {
            assert!(is_value(good.as_bytes()), "{good}");
        }
        for bad in [
            "",
            "1 2",
            "01",
            "1.",
            "[1,]",
            "{\"a\"}",
            "\"\n\"",
            "nul",
            "\"\\u12\"",
            "-",
        ] {
            assert!(!is_value(bad.as_bytes()), "{bad}");
        }
        assert!(!is_value(b"\"\xff\""));
        assert!(!is_value("[".repeat(100_000).as_bytes()));
    }

    #[test]
    fn parts_are_found() {
        let list = br#"[1,{"a":[2,3]},"x,y"]"#;
        assert_eq!(pick_element(list, 0), Picked::Found(b"1"));
        assert_eq!(pick_element(list, 1), Picked::Found(br#"{"a":[2,3]}"#));
        assert_eq!(pick_element(list, 2), Picked::Found(br#""x,y""#));
        assert_eq!(pick_element(list, 3), Picked::Missing);
        assert_eq!(pick_element(b"[]", 0), Picked::Missing);
        assert_eq!(pick_element(b"{}", 0), Picked::OtherKind);
        let object = br#"{"a":1,"b\n":{"a":2},"c":null}"#;
        assert_eq!(pick_member(object, b"\"a\""), Picked::Found(b"1"));
        assert_eq!(
            pick_member(object, b"\"b\\n\""),
            Picked::Found(br#"{"a":2}"#)
        );
        assert_eq!(pick_member(object, b"\"c\""), Picked::Found(b"null"));
        assert_eq!(pick_member(object, b"\"d\""), Picked::Missing);
        assert_eq!(pick_member(b"[1]", b"\"a\""), Picked::OtherKind);
    }
}
