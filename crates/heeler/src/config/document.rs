//! The part of YAML that twemproxy takes: one document, block style, two levels of mappings.
//!
//! ```yaml
//! pool:
//!   key: value
//!   servers:
//!     - item
//! ```
//!
//! The text becomes [`Block`]s of [`Entry`]s with their places. Scalars stay text: `012345` is not
//! a number here, and `yes` is not a boolean. What else YAML has (flow style, anchors, aliases,
//! tags, directives, document marks) is refused, as twemproxy refuses it.

use std::borrow::Cow;
use std::ops::Range;

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError, StructureStyle, options};

use super::conceal::{self, quoted};
use super::diagnostic::{Finding, Findings};

/// A pool as it is written.
#[derive(Debug)]
pub(super) struct Block<'t> {
    pub(super) name: Scalar<'t>,
    pub(super) entries: Vec<Entry<'t>>,
    /// False if the pool has no keys: that has been reported.
    pub(super) is_mapping: bool,
    /// The key that has a list.
    pub(super) list: Option<Scalar<'t>>,
    /// Keys with a value that is no scalar: that has been reported.
    pub(super) reported: Vec<Scalar<'t>>,
}

/// A key with a value. A key with a list is one entry for each item.
#[derive(Debug)]
pub(super) struct Entry<'t> {
    pub(super) key: Scalar<'t>,
    pub(super) value: Scalar<'t>,
}

/// A piece of text with its place.
#[derive(Debug, Clone)]
pub(super) struct Scalar<'t> {
    /// Quotes and escapes resolved.
    pub(super) text: Cow<'t, str>,
    /// Its bytes in the file, quotes included.
    pub(super) at: Range<usize>,
    /// True if the text stands in the file as it is, without quotes and escapes.
    verbatim: bool,
}

impl Scalar<'_> {
    /// The place of a part of the text, or of the whole if it is written with quotes or escapes.
    pub(super) fn place_of(&self, part: Range<usize>) -> Range<usize> {
        match self.verbatim {
            true => self.at.start + part.start..self.at.start + part.end,
            false => self.at.clone(),
        }
    }
}

type Placed<'t> = (Event<'t>, Range<usize>);

/// Keys that may have a list beside that of the servers. twemproxy knows none of them.
pub(super) const LISTS: [&str; 2] = ["tls_cert", "tls_key"];

/// Deepest nesting that is read at all; what is deeper than allowed gets its error up to here.
const NESTING: usize = 16;

/// The blocks of a text. What is wrong with its form goes into `findings`; after a fault that
/// leaves no sense in the rest, there are no blocks.
pub(super) fn read<'t>(
    text: &'t str,
    findings: &mut Findings<'_>,
    is_key: fn(&str) -> bool,
) -> Vec<Block<'t>> {
    let events = match events(text) {
        Ok(events) => events,
        Err(error) => {
            report_syntax(&error, text, findings, is_key);
            return Vec::new();
        }
    };
    if report_foreign_style(&events, text, findings) {
        return Vec::new();
    }
    let mut walk = Walk {
        text,
        events,
        next: 0,
        findings,
        is_key,
    };
    walk.root()
}

fn events(text: &str) -> Result<Vec<Placed<'_>>, ScanError> {
    let options = options! {
        disallow_directives: true,
        emit_unresolved_aliases: true,
        emit_anchor_events: true,
        emit_comments: false,
        flow_nesting_limit: NESTING,
        block_nesting_limit: NESTING,
    };
    Parser::new_from_str_with_options(text, options)
        .map(|next| {
            let (event, span) = next?;
            // A tagged node is refused, so its tag's place is the one to show.
            let span = span.tag_span().unwrap_or(span);
            Ok((event, clamp(span.byte_range(), text)))
        })
        .collect()
}

fn clamp(bytes: Option<Range<usize>>, text: &str) -> Range<usize> {
    let Range { start, end } = bytes.unwrap_or_default();
    let start = text.floor_char_boundary(start);
    start..text.floor_char_boundary(end).max(start)
}

/// Refuses what is YAML but not in twemproxy's part of it. True if there is any.
fn report_foreign_style(events: &[Placed<'_>], text: &str, findings: &mut Findings<'_>) -> bool {
    let mut depth = 0;
    let mut any = false;
    for (event, at) in events {
        let outermost = depth == 0;
        match event {
            Event::MappingStart(StructureStyle::Flow, ..)
            | Event::SequenceStart(StructureStyle::Flow, ..) => depth += 1,
            Event::MappingEnd | Event::SequenceEnd if depth > 0 => depth -= 1,
            _ => {}
        }
        if let Some(fault) = foreign_style(event, at, text).filter(|_| outermost) {
            findings.push(fault);
            any = true;
        }
    }
    any
}

fn foreign_style(event: &Event<'_>, at: &Range<usize>, text: &str) -> Option<Finding> {
    let fault = |message: &str, help: &str| Some(Finding::error(at.clone(), message).help(help));
    if event.tag().is_some() {
        return fault(
            "a YAML tag ('!') is not allowed",
            "leave the tag out, or quote the value",
        );
    }
    match event {
        Event::DocumentStart(true, _) => fault(
            "'---' is not allowed",
            "remove the line: a file is one document",
        ),
        Event::DocumentEnd if !at.is_empty() => fault(
            "'...' is not allowed",
            "remove the line: a file is one document",
        ),
        Event::SequenceStart(StructureStyle::Flow, ..) => fault(
            "a list in brackets is not allowed",
            "write each item on a line of its own: '- item'; a value that begins with '[' needs \
             quotes",
        ),
        Event::MappingStart(StructureStyle::Flow, ..) if text[at.start..].starts_with("{}") => {
            fault(
                "braces without quotes are not allowed",
                "put quotes around them: \"{}\"",
            )
        }
        Event::MappingStart(StructureStyle::Flow, ..) => fault(
            "a mapping in braces is not allowed",
            "write each 'key: value' on a line of its own; a value that begins with '{' needs \
             quotes",
        ),
        Event::Anchor(..) => fault(
            "a YAML anchor ('&') is not allowed",
            "write the value out, or quote it",
        ),
        Event::Alias(_) | Event::UnresolvedAlias(_) => fault(
            "a YAML alias ('*') is not allowed",
            "write the value out, or quote it",
        ),
        _ => None,
    }
}

/// Lines such as `timeout:1000`: for YAML that is not a key with a value, but one word.
pub(super) fn missing_blanks(
    text: &str,
    within: Range<usize>,
    is_key: fn(&str) -> bool,
) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut start = conceal::line_start(text, within.start);
    for line in text[start..within.end].split_inclusive(['\n', '\r']) {
        let word = conceal::first_word(line);
        let indent = line.len() - line.trim_start_matches([' ', '\t']).len();
        let after = line[indent..]
            .strip_prefix(word)
            .and_then(|rest| rest.strip_prefix(':'));
        let value = after.map(str::trim_end).unwrap_or_default();
        if is_key(word) && !value.is_empty() && !value.starts_with([' ', '\t']) {
            let at = start + indent..start + indent + word.len() + 1;
            let fix = quoted(&format!("{word}: {value}"));
            let fault = Finding::error(at, "a blank is missing after the colon");
            found.push(fault.key(word).help(format!("write {fix}")));
        }
        start += line.len();
    }
    found
}

/// Lines such as `timeout 1000`, in a text that is not YAML.
fn missing_colons(text: &str, is_key: fn(&str) -> bool) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive(['\n', '\r']) {
        let word = conceal::first_word(line);
        let indent = line.len() - line.trim_start_matches([' ', '\t']).len();
        let value = line[indent..]
            .strip_prefix(word)
            .map(str::trim)
            .unwrap_or_default();
        if is_key(word) && !value.is_empty() && !value.starts_with(':') {
            let at = start + indent..start + indent + word.len();
            let fix = quoted(&format!("{word}: {value}"));
            let fault = Finding::error(at, "a colon is missing after the key");
            found.push(fault.key(word).help(format!("write {fix}")));
        }
        start += line.len();
    }
    found
}

fn report_syntax(
    error: &ScanError,
    text: &str,
    findings: &mut Findings<'_>,
    is_key: fn(&str) -> bool,
) {
    let mut slips = missing_blanks(text, 0..text.len(), is_key);
    if slips.is_empty() {
        slips = missing_colons(text, is_key);
    }
    if !slips.is_empty() {
        return slips.into_iter().for_each(|fault| findings.push(fault));
    }
    let at = error.marker().byte_offset().unwrap_or_default();
    let (message, help) = explain(error.kind());
    let finding = Finding::error(clamp(Some(at..at + 1), text), message);
    findings.push(match help {
        Some(help) => finding.help(help),
        None => finding,
    });
}

/// A fault of YAML's grammar in words for someone who has not read it.
fn explain(kind: &ErrorKind) -> (String, Option<&'static str>) {
    use ErrorKind as K;
    const INDENT: &str =
        "give all keys of a pool the same indentation, and the items of a list one more";
    let (message, help) = match kind {
        K::TabNotAllowed | K::TabInBlockIndentation | K::TabInIndentation | K::TabInPlainScalar => {
            ("a tab is not allowed here", "indent with blanks")
        }
        K::UnexpectedCharacter { character } if character.is_control() => {
            let code = u32::from(*character);
            let help = "remove it; in a value, write it as an escape in double quotes";
            return (
                format!("the control character U+{code:04X} is not allowed"),
                Some(help),
            );
        }
        K::UnexpectedCharacter { character } => {
            let help = "put quotes around the value";
            return (
                format!("a value cannot begin with '{character}'"),
                Some(help),
            );
        }
        K::MappingValueNotAllowed => ("a key is not allowed here", INDENT),
        K::SimpleKeyExpected => (
            "a colon and a blank are missing after the key",
            "write 'key: value'",
        ),
        K::ExpectedBlockMappingKey | K::ExpectedBlockSequenceEntry | K::InvalidIndentation => {
            ("this line does not belong to the lines above it", INDENT)
        }
        K::BlockSequenceEntryNotAllowed => (
            "a list is not allowed here",
            "begin it on the line after the key",
        ),
        K::UnclosedQuotedScalar | K::InvalidQuotedScalarIndent => (
            "a quote is not closed before here",
            "close it on the line where it begins",
        ),
        K::InvalidTrailingSingleQuotedScalar | K::InvalidTrailingDoubleQuotedScalar => (
            "something follows the closing quote",
            "put the quotes around the whole value",
        ),
        K::DirectiveDisallowed => ("a YAML directive ('%') is not allowed", "remove the line"),
        K::BomInsideDocument => ("a byte-order mark is not allowed here", "remove it"),
        K::RecursionLimitExceeded => ("nested too deeply", "a file has pools, and a pool has keys"),
        other => return (format!("not YAML: {other}"), None),
    };
    (message.to_owned(), Some(help))
}

/// Reads the events of a document that is in block style throughout.
struct Walk<'t, 'w, 'f> {
    text: &'t str,
    events: Vec<Placed<'t>>,
    next: usize,
    findings: &'w mut Findings<'f>,
    is_key: fn(&str) -> bool,
}

impl<'t> Walk<'t, '_, '_> {
    fn root(&mut self) -> Vec<Block<'t>> {
        while let Event::StreamStart | Event::DocumentStart(..) = self.peek() {
            self.next += 1;
        }
        if !matches!(self.peek(), Event::MappingStart(..)) {
            let at = self.place();
            let fault = match self.peek() {
                Event::Scalar(..) if !at.is_empty() => "no pool, but a single value",
                Event::SequenceStart(..) => "no pool, but a list",
                _ => "the file has no pool",
            };
            let help = "write 'name:' and below it, indented, the keys of the pool";
            self.push_or_missing_blank(Finding::error(at, fault).help(help));
            return Vec::new();
        }
        self.next += 1;
        let mut blocks = Vec::new();
        while !matches!(self.peek(), Event::MappingEnd | Event::StreamEnd) {
            blocks.extend(self.block());
        }
        blocks
    }

    fn block(&mut self) -> Option<Block<'t>> {
        let Some(name) = self.scalar("the name of a pool") else {
            self.skip();
            return None;
        };
        let mut block = Block {
            name,
            entries: Vec::new(),
            is_mapping: true,
            list: None,
            reported: Vec::new(),
        };
        let name = block.name.text.clone();
        let help = "write its keys below it, indented: 'listen: …', 'servers:'";
        let fault = match self.peek() {
            Event::MappingStart(..) => None,
            Event::SequenceStart(..) => Some("a list stands where the keys of the pool belong"),
            _ if self.place().is_empty() => Some("the pool has no keys"),
            _ => Some("a value stands where the keys of the pool belong"),
        };
        if let Some(fault) = fault {
            let at = if self.place().is_empty() {
                block.name.at.clone()
            } else {
                self.place()
            };
            self.push_or_missing_blank(Finding::error(at, fault).pool(&name).help(help));
            self.skip();
            block.is_mapping = false;
            return Some(block);
        }
        self.next += 1;
        while !matches!(self.peek(), Event::MappingEnd | Event::StreamEnd) {
            self.entry(&mut block);
        }
        self.next += 1;
        Some(block)
    }

    fn entry(&mut self, block: &mut Block<'t>) {
        let pool = block.name.text.clone();
        let Some(key) = self.scalar("a key") else {
            return self.skip();
        };
        match self.peek() {
            Event::Scalar(..) => {
                if let Some(value) = self.scalar("a value") {
                    block.entries.push(Entry { key, value });
                }
            }
            Event::SequenceStart(..) if LISTS.contains(&&*key.text) => self.items(key, block),
            Event::SequenceStart(..) => {
                if let Some(first) = &block.list {
                    let line = self.findings.line_of(&first.at);
                    let fault = format!("a second list in one pool, after the one on line {line}");
                    let fault = Finding::error(key.at.clone(), fault)
                        .pool(&pool)
                        .key(&key.text);
                    self.findings.push(fault.help("only 'servers' is a list"));
                    return self.skip();
                }
                block.list = Some(key.clone());
                self.items(key, block);
            }
            _ => {
                let fault = Finding::error(key.at.clone(), "keys stand where its value belongs");
                let help = "write 'key: value'; check the indentation of the lines below";
                self.findings
                    .push(fault.pool(&pool).key(&key.text).help(help));
                self.skip();
            }
        }
    }

    fn items(&mut self, key: Scalar<'t>, block: &mut Block<'t>) {
        self.next += 1;
        while !matches!(self.peek(), Event::SequenceEnd | Event::StreamEnd) {
            if let Event::Scalar(..) = self.peek() {
                let value = self.scalar("an item");
                let entry = |value| Entry {
                    key: key.clone(),
                    value,
                };
                block.entries.extend(value.map(entry));
                continue;
            }
            let fault = match self.peek() {
                Event::MappingStart(..) => "an item with a key is not allowed",
                _ => "a list in a list is not allowed",
            };
            let help = "write '- host:port:weight name', without a blank after a colon";
            let fault = Finding::error(self.item_place(), fault).help(help);
            self.findings
                .push(fault.pool(&block.name.text).key(&key.text));
            self.skip();
        }
        self.next += 1;
    }

    /// The place of a collection's first scalar: its own place is empty.
    fn item_place(&self) -> Range<usize> {
        let scalars = self.events[self.next..].iter();
        let mut scalars = scalars.filter(|(event, _)| matches!(event, Event::Scalar(..)));
        scalars.next().map_or(self.place(), |(_, at)| at.clone())
    }

    /// The scalar that comes next, or a finding that says it should be one, and the node skipped.
    fn scalar(&mut self, what: &str) -> Option<Scalar<'t>> {
        let at = self.place();
        let Event::Scalar(text, style, ..) = self.peek().clone() else {
            self.findings
                .push(Finding::error(at, format!("{what} has to be one word")));
            self.skip();
            return None;
        };
        self.next += 1;
        self.report_tab(&at);
        // A value that is not there at all is reported by the parser as "~".
        let absent = style == ScalarStyle::Plain && at.is_empty();
        let text = if absent { "".into() } else { text };
        let verbatim = self.text[at.clone()] == *text;
        Some(Scalar { text, at, verbatim })
    }

    /// twemproxy takes no tab between the margin, or a list's dash, and a word.
    fn report_tab(&mut self, at: &Range<usize>) {
        let start = conceal::line_start(self.text, at.start);
        let before = &self.text[start..at.start];
        if before.bytes().all(|byte| b" \t-?".contains(&byte))
            && let Some(tab) = before.find('\t')
        {
            let tab = start + tab..start + tab + 1;
            self.findings
                .push(Finding::error(tab, "a tab is not allowed here").help("write blanks"));
        }
    }

    /// A value on the wrong level is often a key without the blank after its colon.
    fn push_or_missing_blank(&mut self, fault: Finding) {
        let blanks = missing_blanks(self.text, fault.at.clone(), self.is_key);
        match blanks.is_empty() {
            true => self.findings.push(fault),
            false => blanks
                .into_iter()
                .for_each(|fault| self.findings.push(fault)),
        }
    }

    /// Skips one node with all that is in it.
    fn skip(&mut self) {
        let mut depth = 0;
        loop {
            match self.peek() {
                Event::MappingStart(..) | Event::SequenceStart(..) => depth += 1,
                Event::MappingEnd | Event::SequenceEnd => depth -= 1,
                Event::StreamEnd => return,
                _ => {}
            }
            self.next += 1;
            if depth <= 0 {
                return;
            }
        }
    }

    fn peek(&self) -> &Event<'t> {
        self.events
            .get(self.next)
            .map_or(&Event::StreamEnd, |(event, _)| event)
    }

    fn place(&self) -> Range<usize> {
        let end = self.text.len()..self.text.len();
        self.events.get(self.next).map_or(end, |(_, at)| at.clone())
    }
}
