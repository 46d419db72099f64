//! Scripts of bytes in and bytes out.
//!
//! ```text
//! # a comment
//! == name of a case                 each case starts with empty stores
//! == name of a case | nodes only    what a proxy does not answer, or answers otherwise
//! > SET key "a value\r\n"           a request, sent as an array of bulk strings; lines that follow
//! > GET key                         each other are sent at once
//! < +OK                             the reply's lines, in order
//! < $9
//! < a value
//! <                                 a CRLF in a value ends a line too
//! <~ :*                             a line of which `*`, one or two, stands for anything
//! >> PING\r\nPI                     bytes as they are
//! nothing                           no reply to that yet
//! 2> PING                           a request of a second connection
//! closes                            the server closes the connection
//! ```
//!
//! Escapes are Rust's; `{x*100}` stands for 100 times `x`. In expected lines a run of 64 equal
//! bytes or more is written so.

use std::ops::Range;
use std::path::{Path, PathBuf};

use super::servers::request;
use super::target::{Heard, Target};

/// A file of cases.
#[derive(Debug)]
pub struct Script {
    /// The file's name.
    pub name: String,
    /// What it tells.
    pub cases: Vec<Case>,
    path: PathBuf,
    lines: Vec<String>,
}

/// One story with its connections.
#[derive(Debug)]
pub struct Case {
    name: String,
    /// Whether it holds for nodes only, not for proxies.
    pub nodes_only: bool,
    steps: Vec<Step>,
}

/// What is sent at once on one connection, and what comes back.
#[derive(Debug, Default)]
struct Step {
    /// The first line, counted from 0.
    line: usize,
    connection: usize,
    bytes: Vec<u8>,
    replies: Vec<String>,
    closes: bool,
    /// The lines of the file that tell what comes back.
    place: Range<usize>,
}

/// Where a case did not hold.
#[derive(Debug)]
pub struct Failure {
    step: usize,
    got: Heard,
}

impl Script {
    /// All scripts of a directory.
    pub fn read_all(directory: &Path) -> Vec<Script> {
        let entries = std::fs::read_dir(directory).expect("the directory of scripts");
        let mut paths: Vec<PathBuf> = entries
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|e| e == "txt"))
            .collect();
        paths.sort();
        paths.into_iter().map(Script::read).collect()
    }

    fn read(path: PathBuf) -> Script {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let mut cases = Vec::new();
        for (at, line) in lines.iter().enumerate() {
            if let Some(title) = line.strip_prefix("== ") {
                cases.push(Case::titled(title));
            } else if !line.is_empty() && !line.starts_with('#') {
                let case = cases.last_mut().expect("a line before the first case");
                case.take(at, line)
                    .unwrap_or_else(|e| panic!("{name}:{}: {e}: {line}", at + 1));
            }
        }
        Script {
            name,
            cases,
            path,
            lines,
        }
    }

    /// Writes the replies of the oracle into the file, for the cases that do not hold.
    pub fn update(&mut self, oracle: &dyn Target) {
        for case in self.cases.iter().rev() {
            if case.run(oracle).is_ok() {
                continue;
            }
            oracle.clear();
            let mut heard = Vec::new();
            let mut connections = Vec::new();
            for step in &case.steps {
                while connections.len() <= step.connection {
                    connections.push(oracle.connect());
                }
                heard.push(connections[step.connection].until_silent(&step.bytes));
            }
            for (step, heard) in case.steps.iter().zip(heard).rev() {
                self.lines.splice(step.place.clone(), step.as_heard(&heard));
            }
        }
        std::fs::write(&self.path, self.lines.join("\n") + "\n").unwrap();
    }
}

impl Case {
    fn titled(title: &str) -> Case {
        let (name, mark) = title.split_once(" | ").unwrap_or((title, ""));
        assert!(["", "nodes only"].contains(&mark), "no such mark: {title}");
        Case {
            name: name.into(),
            nodes_only: !mark.is_empty(),
            steps: Vec::new(),
        }
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn take(&mut self, at: usize, line: &str) -> Result<(), &'static str> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let (connection, word) = match word.as_bytes() {
            [digit @ b'2'..=b'9', rest @ ..] => (usize::from(digit - b'1'), rest),
            word => (0, word),
        };
        match word {
            b">" => self.send(at, connection, &request_of(rest)?),
            b">>" => self.send(at, connection, &unescape(rest)?),
            b"<" | b"<~" | b"closes" | b"nothing" => {
                let step = self.steps.last_mut().ok_or("nothing was sent yet")?;
                step.place = step.place.start..at + 1;
                match word {
                    b"closes" => step.closes = true,
                    b"nothing" => {}
                    _ => step.replies.push(line.to_owned()),
                }
            }
            _ => return Err("a line starts with ==, >, >>, <, <~, closes, nothing or #"),
        }
        Ok(())
    }

    fn send(&mut self, at: usize, connection: usize, bytes: &[u8]) {
        match self.steps.last_mut() {
            Some(last) if last.place.is_empty() && last.connection == connection => {
                last.bytes.extend_from_slice(bytes);
                last.place = at + 1..at + 1;
            }
            _ => self.steps.push(Step {
                line: at,
                connection,
                bytes: bytes.to_vec(),
                place: at + 1..at + 1,
                ..Step::default()
            }),
        }
    }

    /// Plays it at a target.
    pub fn run(&self, target: &dyn Target) -> Result<(), Failure> {
        target.clear();
        let mut connections = Vec::new();
        for (number, step) in self.steps.iter().enumerate() {
            while connections.len() <= step.connection {
                connections.push(target.connect());
            }
            let connection = &mut connections[step.connection];
            let got = connection.exchange(&step.bytes, step.replies.len(), step.closes);
            if !step.is_told_by(&got) {
                return Err(Failure { step: number, got });
            }
        }
        for (number, connection) in connections.into_iter().enumerate() {
            let of = |step: &Step| step.connection == number;
            let last = self
                .steps
                .iter()
                .rposition(of)
                .expect("a connection has a step");
            let Some(got) = (!self.steps[last].closes).then(|| connection.rest()) else {
                continue;
            };
            // Not a byte may come that nobody has asked for.
            if !got.bytes.is_empty() || got.trouble.is_some() {
                return Err(Failure { step: last, got });
            }
        }
        Ok(())
    }
}

impl Step {
    fn is_told_by(&self, heard: &Heard) -> bool {
        let lines = lines_of(&heard.bytes);
        heard.trouble.is_none()
            && heard.closed == self.closes
            && lines.len() == self.replies.len()
            && lines
                .iter()
                .zip(&self.replies)
                .all(|(got, told)| is_told(got, told))
    }

    /// The lines that tell what was heard; those that leave something open stay if they hold.
    fn as_heard(&self, heard: &Heard) -> Vec<String> {
        let line = |(i, got): (usize, String)| match self.replies.get(i) {
            Some(told) if is_told(&got, told) => told.clone(),
            _ => told_exactly(&got),
        };
        let mut lines: Vec<String> = lines_of(&heard.bytes)
            .into_iter()
            .enumerate()
            .map(line)
            .collect();
        match (heard.closed, lines.is_empty()) {
            (true, _) => lines.push("closes".into()),
            (false, true) => lines.push("nothing".into()),
            (false, false) => {}
        }
        lines
    }
}

impl Failure {
    /// For people.
    pub fn told(&self, target: &str, script: &str, case: &Case) -> String {
        let step = &case.steps[self.step];
        let mut text = format!(
            "\n{target}: {script}:{}: {}, step {}\n  sent\n    {}\n  expected\n",
            step.line + 1,
            case.name,
            self.step + 1,
            shortened(&step.bytes.escape_ascii().to_string()),
        );
        for line in &step.replies {
            text += &format!("    {line}\n");
        }
        text += if step.closes {
            "    closes\n  got\n"
        } else {
            "  got\n"
        };
        for line in lines_of(&self.got.bytes) {
            text += &format!("    < {line}\n");
        }
        text += if self.got.closed { "    closes\n" } else { "" };
        text + &self
            .got
            .trouble
            .as_ref()
            .map_or(String::new(), |t| format!("    ({t})\n"))
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(400) {
        Some((end, _)) => format!("{} …", &text[..end]),
        None => text.to_owned(),
    }
}

fn is_told(got: &str, told: &str) -> bool {
    if let Some(pattern) = told.strip_prefix("<~ ") {
        let (start, rest) = pattern.split_once('*').expect("a line after <~ has a *");
        let (middle, end) = rest.rsplit_once('*').unwrap_or(("", rest));
        let inside = got
            .strip_prefix(start)
            .and_then(|got| got.strip_suffix(end));
        return inside.is_some_and(|inside| inside.contains(middle));
    }
    told == told_exactly(got)
}

fn told_exactly(got: &str) -> String {
    if got.is_empty() {
        "<".into()
    } else {
        format!("< {got}")
    }
}

/// Bytes as lines, cut at each CRLF; what follows the last is a line that says so.
fn lines_of(bytes: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest = bytes;
    while let Some(end) = rest.windows(2).position(|w| w == b"\r\n") {
        lines.push(line_of(&rest[..end]));
        rest = &rest[end + 2..];
    }
    if !rest.is_empty() {
        lines.push(line_of(rest) + " (and no CRLF)");
    }
    lines
}

fn line_of(bytes: &[u8]) -> String {
    let mut line = String::new();
    for run in bytes.chunk_by(|a, b| a == b) {
        let byte = run[..1]
            .escape_ascii()
            .to_string()
            .replace("\\\"", "\"")
            .replace("\\'", "'");
        match run.len() {
            count @ 64.. => line += &format!("{{{byte}*{count}}}"),
            count => line += &byte.repeat(count),
        }
    }
    // A blank at a line's end would not be seen.
    match line.strip_suffix(' ') {
        Some(start) => format!("{start}\\x20"),
        None => line,
    }
}

/// A request's bytes, from its words: parted by blanks, or in double quotes.
fn request_of(text: &str) -> Result<Vec<u8>, &'static str> {
    let mut words = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (word, after) = match rest.strip_prefix('"') {
            Some(quoted) => {
                let end = closing_quote(quoted).ok_or("a quote is open")?;
                (&quoted[..end], &quoted[end + 1..])
            }
            None => rest.split_at(rest.find(' ').unwrap_or(rest.len())),
        };
        words.push(unescape(word)?);
        rest = after.trim_start();
    }
    let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
    Ok(request(&words))
}

fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    })
}

fn unescape(text: &str) -> Result<Vec<u8>, &'static str> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let (byte, after) = match (first, after) {
            (b'\\', after) => escaped(after).ok_or("no such escape")?,
            (b'{', after) => {
                if let Some((repeated, after)) = repetition(after) {
                    bytes.extend_from_slice(&repeated);
                    rest = after;
                    continue;
                }
                (b'{', after)
            }
            (other, after) => (*other, after),
        };
        bytes.push(byte);
        rest = after;
    }
    Ok(bytes)
}

fn escaped(text: &[u8]) -> Option<(u8, &[u8])> {
    let (&letter, rest) = text.split_first()?;
    let byte = match letter {
        b'r' => b'\r',
        b'n' => b'\n',
        b't' => b'\t',
        b'0' => 0,
        b'\\' | b'"' | b'\'' => letter,
        b'x' => {
            let (digits, rest) = rest.split_at_checked(2)?;
            let digits = std::str::from_utf8(digits).ok()?;
            return Some((u8::from_str_radix(digits, 16).ok()?, rest));
        }
        _ => return None,
    };
    Some((byte, rest))
}

/// `x*100}`, after its brace.
fn repetition(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let (byte, rest) = text.split_first()?;
    let rest = rest.strip_prefix(b"*")?;
    let end = rest.iter().position(|b| *b == b'}')?;
    let count = std::str::from_utf8(&rest[..end]).ok()?.parse().ok()?;
    Some((vec![*byte; count], &rest[end + 1..]))
}
