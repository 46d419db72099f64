//! SHON, the notation for objects on a command line that tcurl takes:
//! `[ --query [ --serviceName ringpop ] ]` is `{"query":{"serviceName":"ringpop"}}`.
//!
//! | words | JSON |
//! | --- | --- |
//! | `[ a 1 ]`, `[ ]`, `[]` | `["a",1]`, `[]`, `[]` |
//! | `[ --key value --other=1 ]`, `[--]` | `{"key":"value","other":1}`, `{}` |
//! | `-t`, `-f`, `-n`, `-u` | `true`, `false`, `null`, nothing |
//! | `-- WORD` | the word as a string, whatever it is |
//! | a number; `{…}` | the number; that JSON |
//!
//! (npm shon 4, README)

use std::ffi::OsString;

use super::json;
use crate::limits;

/// What is wrong between brackets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} after: {after}")]
pub struct BadShon {
    what: String,
    /// The words from the first bracket to the mistake.
    after: String,
}

/// Flags whose value is taken as it is, brackets or not.
const TEXTS: [&str; 6] = ["-2", "--arg2", "--head", "-3", "--arg3", "--body"];

/// The arguments of a program, with a word of JSON in the place of words in brackets.
///
/// # Errors
///
/// Brackets that do not close, and words that mean nothing between them.
pub fn fold(args: impl IntoIterator<Item = OsString>) -> Result<Vec<OsString>, BadShon> {
    let mut args = args.into_iter().peekable();
    let mut folded: Vec<OsString> = Vec::new();
    while let Some(arg) = args.next() {
        let is_text = folded
            .last()
            .is_some_and(|flag| TEXTS.iter().any(|text| flag == text));
        match arg.to_str() {
            _ if is_text => folded.push(arg),
            Some("--") => {
                folded.push(arg);
                folded.extend(args.by_ref());
            }
            Some("[--]") => folded.push("{}".into()),
            Some("[") => {
                let mut words = Words {
                    rest: &mut args,
                    taken: vec!["[".into()],
                    depth: 0,
                };
                let mut json = String::new();
                words.inside(&mut json)?;
                folded.push(json.into());
            }
            _ => folded.push(arg),
        }
    }
    Ok(folded)
}

struct Words<'a, I: Iterator<Item = OsString>> {
    rest: &'a mut std::iter::Peekable<I>,
    taken: Vec<String>,
    depth: usize,
}

impl<I: Iterator<Item = OsString>> Words<'_, I> {
    /// What follows on a bracket.
    fn inside(&mut self, out: &mut String) -> Result<(), BadShon> {
        if self.depth >= limits::SHON_DEPTH {
            return self.bad(&format!("brackets deeper than {}", limits::SHON_DEPTH));
        }
        self.depth += 1;
        let first = self.rest.peek().and_then(|word| word.to_str());
        match first.is_some_and(|word| word.starts_with("--") && word != "--") {
            true => self.object(out)?,
            false => self.array(out)?,
        }
        self.depth -= 1;
        Ok(())
    }

    fn array(&mut self, out: &mut String) -> Result<(), BadShon> {
        out.push('[');
        let mut first = true;
        loop {
            let word = self.word("a value or ]")?;
            if word == "]" {
                out.push(']');
                return Ok(());
            }
            if !std::mem::take(&mut first) {
                out.push(',');
            }
            if !self.value(word, out)? {
                out.push_str("null");
            }
        }
    }

    fn object(&mut self, out: &mut String) -> Result<(), BadShon> {
        out.push('{');
        let mut first = true;
        loop {
            let word = self.word("--KEY or ]")?;
            if word == "]" {
                out.push('}');
                return Ok(());
            }
            let Some(key) = word.strip_prefix("--").filter(|key| !key.is_empty()) else {
                return self.bad(&format!("expected --KEY or ], found {word}"));
            };
            let (key, value) = match key.split_once('=') {
                Some((key, value)) => (key, value.to_owned()),
                None => (key, self.word("a value")?),
            };
            let mut json = String::new();
            if self.value(value, &mut json)? {
                if !std::mem::take(&mut first) {
                    out.push(',');
                }
                json::put_text(out, key);
                out.push(':');
                out.push_str(&json);
            }
        }
    }

    /// Whether there is one: `-u` is none.
    fn value(&mut self, word: String, out: &mut String) -> Result<bool, BadShon> {
        match word.as_str() {
            "[" => self.inside(out)?,
            "]" => return self.bad("expected a value, found ]"),
            "[]" => out.push_str("[]"),
            "[--]" => out.push_str("{}"),
            "-t" => out.push_str("true"),
            "-f" => out.push_str("false"),
            "-n" => out.push_str("null"),
            "-u" => return Ok(false),
            "--" => {
                let word = self.word("a string")?;
                json::put_text(out, &word);
            }
            word if word.starts_with('{') => match json::compact(word) {
                Ok(json) => out.push_str(&json),
                Err(error) => return self.bad(&format!("{word} is no JSON: {error}")),
            },
            word => match serde_json::from_str::<serde_json::Number>(word) {
                Ok(_) => out.push_str(word.trim()),
                Err(_) if word.starts_with('-') => {
                    return self.bad(&format!("unexpected flag {word}, write -- {word}"));
                }
                Err(_) => json::put_text(out, word),
            },
        }
        Ok(true)
    }

    fn word(&mut self, expected: &str) -> Result<String, BadShon> {
        let Some(word) = self.rest.next() else {
            return self.bad(&format!("expected {expected}, found nothing"));
        };
        let Ok(word) = word.into_string() else {
            return self.bad("a word that is no UTF-8");
        };
        self.taken.push(word.clone());
        Ok(word)
    }

    fn bad<T>(&self, what: &str) -> Result<T, BadShon> {
        Err(BadShon {
            what: what.into(),
            after: self.taken.join(" "),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(line: &str) -> Result<Vec<String>, String> {
        let words = line.split(' ').map(OsString::from);
        let folded = fold(words).map_err(|bad| bad.to_string())?;
        Ok(folded
            .into_iter()
            .map(|w| w.into_string().unwrap())
            .collect())
    }

    #[test]
    fn words_in_brackets_become_json() {
        let cases = [
            (
                "[ --query [ --serviceName ringpop ] ]",
                r#"{"query":{"serviceName":"ringpop"}}"#,
            ),
            (
                "[ --a 5 --b [ 1 2 ] --c -t ]",
                r#"{"a":5,"b":[1,2],"c":true}"#,
            ),
            (
                "[ --a=5 --b= --c=x=y --d=[ 1 ] ]",
                r#"{"a":5,"b":"","c":"x=y","d":[1]}"#,
            ),
            ("[ ]", "[]"),
            ("[--]", "{}"),
            ("[ [] [--] [ ] ]", "[[],{},[]]"),
            (
                "[ -t -f -n -u -1.5e3 0x10 ]",
                r#"[true,false,null,null,-1.5e3,"0x10"]"#,
            ),
            ("[ --a -u --b 1 ]", r#"{"b":1}"#),
            ("[ -- --x -- [ ]", r#"["--x","["]"#),
            (r#"[ {"a":[1]} "q" ]"#, r#"[{"a":[1]},"\"q\""]"#),
        ];
        for (line, json) in cases {
            assert_eq!(folded(line), Ok(vec![json.into()]), "{line}");
        }
    }

    #[test]
    fn what_is_not_in_brackets_stays() {
        for line in [
            "call kv get {} -t x",
            "-3 [",
            "--body [ --x",
            "kv -- [ a",
            "[] ] --a=[",
        ] {
            assert_eq!(folded(line).unwrap().join(" "), line);
        }
        let folded = folded("call kv get [ --key foo ] --headers [ --h 1 ] -t f").unwrap();
        let expected = [
            "call",
            "kv",
            "get",
            r#"{"key":"foo"}"#,
            "--headers",
            r#"{"h":1}"#,
            "-t",
            "f",
        ];
        assert_eq!(folded, expected);
    }

    #[test]
    fn brackets_with_a_mistake() {
        let cases = [
            ("[", "expected a value or ], found nothing after: ["),
            ("[ --a", "expected a value, found nothing after: [ --a"),
            (
                "[ --a 1",
                "expected --KEY or ], found nothing after: [ --a 1",
            ),
            ("[ --a ]", "expected a value, found ] after: [ --a ]"),
            (
                "[ --a 1 b ]",
                "expected --KEY or ], found b after: [ --a 1 b",
            ),
            (
                "[ 1 --a ]",
                "unexpected flag --a, write -- --a after: [ 1 --a",
            ),
            ("[ -- ", "expected a value or ], found nothing after: [ -- "),
            ("[ --", "expected a string, found nothing after: [ --"),
        ];
        for (line, bad) in cases {
            assert_eq!(folded(line), Err(bad.into()), "{line}");
        }
        let bad = folded("[ {a ]").unwrap_err();
        assert!(
            bad.starts_with("{a is no JSON: key must be a string"),
            "{bad}"
        );
        let deep = folded(&vec!["["; 100].join(" ")).unwrap_err();
        assert!(deep.starts_with("brackets deeper than 32"), "{deep}");
    }
}
