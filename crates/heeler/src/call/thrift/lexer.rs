//! The words of an IDL.

use crate::limits;

/// Where something is wrong, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mistake {
    /// In bytes from the start of the file.
    pub at: usize,
    pub what: String,
}

impl Mistake {
    pub(super) fn new(at: usize, what: impl Into<String>) -> Self {
        Mistake {
            at,
            what: what.into(),
        }
    }
}

/// One word.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Word {
    /// A keyword, or a name with its dots.
    Name(String),
    Integer(i64),
    Double(f64),
    /// Between quotes.
    Text(String),
    Sign(char),
    End,
}

impl Word {
    /// For people.
    pub(super) fn described(&self) -> String {
        match self {
            Word::Name(name) => format!("'{name}'"),
            Word::Integer(number) => format!("the number {number}"),
            Word::Double(number) => format!("the number {number}"),
            Word::Text(_) => "a string".into(),
            Word::Sign(sign) => format!("'{sign}'"),
            Word::End => "the end of the file".into(),
        }
    }
}

/// A word, and where it starts.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub at: usize,
    pub word: Word,
}

/// All words of a text, `Word::End` the last.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, Mistake> {
    let mut lexer = Lexer { text, at: 0 };
    let mut tokens = Vec::new();
    loop {
        lexer.skip_blanks()?;
        if tokens.len() >= limits::IDL_WORDS {
            let what = format!("more than {} words in one file", limits::IDL_WORDS);
            return Err(Mistake::new(lexer.at, what));
        }
        let at = lexer.at;
        let word = lexer.word()?;
        let ended = word == Word::End;
        tokens.push(Token { at, word });
        if ended {
            return Ok(tokens);
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Takes what `wanted` holds for.
    fn run(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn skip_blanks(&mut self) -> Result<(), Mistake> {
        loop {
            self.run(|c| c.is_whitespace() || c == '\u{feff}');
            let rest = self.rest();
            if rest.starts_with('#') || rest.starts_with("//") {
                self.run(|c| c != '\n');
            } else if let Some(comment) = rest.strip_prefix("/*") {
                let Some(end) = comment.find("*/") else {
                    return Err(Mistake::new(
                        self.at,
                        "this comment has no end: expected */",
                    ));
                };
                self.at += end + 4;
            } else {
                return Ok(());
            }
        }
    }

    fn word(&mut self) -> Result<Word, Mistake> {
        let at = self.at;
        let Some(first) = self.peek() else {
            return Ok(Word::End);
        };
        match first {
            '"' | '\'' => self.text(first),
            c if c == '_' || c.is_alphabetic() => {
                let name = self.run(|c| c == '_' || c == '.' || c.is_alphanumeric());
                Ok(Word::Name(name.into()))
            }
            c if c.is_ascii_digit() || "+-.".contains(c) => self.number(),
            c if "{}()<>[],;:=&*".contains(c) => {
                self.at += 1;
                Ok(Word::Sign(c))
            }
            c => Err(Mistake::new(at, format!("unexpected character '{c}'"))),
        }
    }

    fn number(&mut self) -> Result<Word, Mistake> {
        let at = self.at;
        let sign = self.run(|c| "+-".contains(c));
        let digits = self.run(|c| c.is_ascii_alphanumeric() || c == '.');
        let mut text = format!("{sign}{digits}");
        let hex = digits
            .strip_prefix("0x")
            .or_else(|| digits.strip_prefix("0X"));
        if hex.is_none() && digits.ends_with(['e', 'E']) {
            // The sign of an exponent.
            text += self.run(|c| "+-".contains(c));
            text += self.run(|c| c.is_ascii_digit());
        }
        let integer = match hex {
            Some(hex) => i64::from_str_radix(&format!("{sign}{hex}"), 16).ok(),
            None => text.parse().ok(),
        };
        let double = || text.parse().ok().filter(|d: &f64| d.is_finite());
        let word = match integer {
            Some(integer) => Some(Word::Integer(integer)),
            None if hex.is_none() => double().map(Word::Double),
            None => None,
        };
        word.ok_or_else(|| Mistake::new(at, format!("'{text}' is no number")))
    }

    fn text(&mut self, quote: char) -> Result<Word, Mistake> {
        let start = self.at;
        let mut chars = self.rest().char_indices().skip(1);
        let mut text = String::new();
        while let Some((at, c)) = chars.next() {
            match c {
                c if c == quote => {
                    self.at = start + at + 1;
                    return Ok(Word::Text(text));
                }
                '\\' => match chars.next().map(|(_, c)| c) {
                    Some('n') => text.push('\n'),
                    Some('r') => text.push('\r'),
                    Some('t') => text.push('\t'),
                    Some(c) => text.push(c),
                    None => break,
                },
                c => text.push(c),
            }
        }
        let what = format!("this string has no end: expected {quote}");
        Err(Mistake::new(start, what))
    }
}

/// The line and the column, both from 1, of a place in a text.
pub(super) fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before.matches('\n').count() + 1;
    (line, before[line_start..].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<Word> {
        let tokens = tokens(text).unwrap();
        tokens.into_iter().map(|token| token.word).collect()
    }

    #[test]
    fn words_of_every_kind() {
        let name = |name: &str| Word::Name(name.into());
        let text = |text: &str| Word::Text(text.into());
        let cases = [
            ("struct", vec![name("struct")]),
            ("a.b_c é", vec![name("a.b_c"), name("é")]),
            (
                "{<:",
                vec![Word::Sign('{'), Word::Sign('<'), Word::Sign(':')],
            ),
            ("1 -2 +3 0x1F", [1, -2, 3, 31].map(Word::Integer).to_vec()),
            (
                "1.5 -2e3 .5 1E-2",
                [1.5, -2e3, 0.5, 0.01].map(Word::Double).to_vec(),
            ),
            (
                r#""a'b" 'c"d' "\n\"""#,
                vec![text("a'b"), text("c\"d"), text("\n\"")],
            ),
            ("# x\n// y\n/* z\n * */ 1 //", vec![Word::Integer(1)]),
            ("/**/", vec![]),
            ("", vec![]),
        ];
        for (source, mut expected) in cases {
            expected.push(Word::End);
            assert_eq!(words(source), expected, "{source}");
        }
    }

    #[test]
    fn what_is_no_word() {
        let cases = [
            ("a $", 2, "unexpected character '$'"),
            (" 'abc", 1, "this string has no end: expected '"),
            ("\"a\\", 0, "this string has no end: expected \""),
            ("/* abc", 0, "this comment has no end: expected */"),
            ("1.2.3", 0, "'1.2.3' is no number"),
            ("12ab", 0, "'12ab' is no number"),
            ("0xzz", 0, "'0xzz' is no number"),
            ("--1", 0, "'--1' is no number"),
            ("1e999", 0, "'1e999' is no number"),
            (
                "99999999999999999999x",
                0,
                "'99999999999999999999x' is no number",
            ),
        ];
        for (source, at, what) in cases {
            assert_eq!(tokens(source), Err(Mistake::new(at, what)), "{source}");
        }
    }

    #[test]
    fn places() {
        let text = "ab\né√x\n";
        let cases = [
            (0, (1, 1)),
            (1, (1, 2)),
            (3, (2, 1)),
            (8, (2, 3)),
            (10, (3, 1)),
        ];
        for (at, place) in cases {
            assert_eq!(line_and_column(text, at), place, "{at}");
        }
    }
}
