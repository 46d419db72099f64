//! What an operator reads when a file has a mistake in it.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets as annotate;
use annotate_snippets::{AnnotationKind, Renderer, Snippet};

use super::conceal::{self, Lines};
use crate::limits;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// The file is refused.
    Error,
    /// The file is used as it is, but it hardly does what was meant.
    Warning,
}

/// One problem of a file. It never holds a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Error or warning.
    pub level: Level,
    /// The file, as it was named by the caller.
    pub file: Arc<str>,
    /// Where it is. `None` if the file as a whole is meant, or could not be read.
    pub place: Option<Place>,
    /// The pool it is about.
    pub pool: Option<String>,
    /// The key it is about.
    pub key: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What to write instead: the allowed values or the fix.
    pub help: Option<String>,
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The line itself, passwords cut out.
    source: String,
    /// The bytes of `source` that are meant.
    marked: Range<usize>,
}

impl Diagnostic {
    /// One line for a log: `file:line:col: pool 'x': key 'timeout': what is wrong; the fix`.
    pub fn one_line(&self) -> String {
        let place = match &self.place {
            Some(place) => format!("{}:{}:{}", self.file, place.line, place.column),
            None => self.file.to_string(),
        };
        match &self.help {
            Some(help) => format!("{place}: {}; {help}", self.title()),
            None => format!("{place}: {}", self.title()),
        }
    }

    /// For a person: several lines, with the source line and a mark under the place. With `color`,
    /// for a terminal.
    pub fn render(&self, color: bool) -> String {
        let level = match self.level {
            Level::Error => annotate::Level::ERROR,
            Level::Warning => annotate::Level::WARNING,
        };
        let title = match self.place {
            Some(_) => self.title(),
            None => format!("{}: {}", self.file, self.title()),
        };
        let mut group = annotate::Group::with_title(level.primary_title(title));
        if let Some(place) = &self.place {
            let mark = AnnotationKind::Primary.span(place.marked.clone());
            let snippet = Snippet::source(place.source.as_str())
                .line_start(place.line)
                .path(&*self.file)
                .annotation(mark);
            group = group.element(snippet);
        }
        if let Some(help) = &self.help {
            group = group.element(annotate::Level::HELP.message(help.as_str()));
        }
        match color {
            true => Renderer::styled().render(&[group]),
            false => Renderer::plain().render(&[group]),
        }
    }

    fn title(&self) -> String {
        let mut title = String::new();
        if let Some(pool) = &self.pool {
            title.push_str(&format!("pool {}: ", conceal::quoted(pool)));
        }
        if let Some(key) = &self.key {
            title.push_str(&format!("key {}: ", conceal::quoted(key)));
        }
        title + &self.message
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

/// A file that is refused: all the problems that were found in it, in the order of their places.
///
/// Its `Display` form is for a person: each problem with its source line and what to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// At least one.
    pub problems: Vec<Diagnostic>,
}

impl Invalid {
    /// A file that cannot be read at all.
    pub(super) fn unreadable(file: &str, message: String, help: Option<String>) -> Invalid {
        let problem = Diagnostic {
            level: Level::Error,
            file: file.into(),
            place: None,
            pool: None,
            key: None,
            message,
            help,
        };
        Invalid {
            problems: vec![problem],
        }
    }

    /// All problems, as [`Diagnostic::render`] shows them.
    pub fn render(&self, color: bool) -> String {
        let mut text = String::new();
        for problem in self.problems.iter().take(limits::CONFIG_PROBLEMS) {
            text.push_str(&problem.render(color));
            text.push_str("\n\n");
        }
        let file = self
            .problems
            .first()
            .map_or("the file", |problem| &*problem.file);
        match self.problems.len() {
            1 => text.push_str(&format!("{file}: 1 problem")),
            n if n > limits::CONFIG_PROBLEMS => {
                let shown = limits::CONFIG_PROBLEMS;
                text.push_str(&format!(
                    "{file}: more than {shown} problems, the rest is not shown"
                ));
            }
            n => text.push_str(&format!("{file}: {n} problems")),
        }
        text
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Invalid {}

/// Collects what is found while a file is read. Places are byte ranges of its text.
pub(super) struct Findings<'t> {
    file: Arc<str>,
    text: &'t str,
    found: Vec<Finding>,
    references: Vec<(Finding, String)>,
    secrets: Vec<Range<usize>>,
    is_key: fn(&str) -> bool,
}

/// A value that names something outside the file, and a diagnostic without a message for what may
/// be wrong with that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference {
    pub(super) value: String,
    pub(super) blank: Diagnostic,
}

/// What a file without errors has shown.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) warnings: Vec<Diagnostic>,
    pub(super) references: Vec<Reference>,
}

/// Something found: [`Diagnostic`] before its source line is cut out.
pub(super) struct Finding {
    pub(super) level: Level,
    pub(super) at: Range<usize>,
    pub(super) pool: Option<String>,
    pub(super) key: Option<String>,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl Finding {
    /// An error at a place, not yet about a pool or a key.
    pub(super) fn error(at: Range<usize>, message: impl Into<String>) -> Finding {
        let message = message.into();
        Finding {
            level: Level::Error,
            at,
            pool: None,
            key: None,
            message,
            help: None,
        }
    }

    /// A warning at a place, not yet about a pool or a key.
    pub(super) fn warning(at: Range<usize>, message: impl Into<String>) -> Finding {
        Finding {
            level: Level::Warning,
            ..Finding::error(at, message)
        }
    }

    pub(super) fn pool(self, pool: &str) -> Finding {
        Finding {
            pool: Some(pool.to_owned()),
            ..self
        }
    }

    pub(super) fn key(self, key: &str) -> Finding {
        Finding {
            key: Some(key.to_owned()),
            ..self
        }
    }

    pub(super) fn help(self, help: impl Into<String>) -> Finding {
        Finding {
            help: Some(help.into()),
            ..self
        }
    }
}

impl<'t> Findings<'t> {
    /// Nothing found yet. `is_key` tells the known keys of this kind of file.
    pub(super) fn new(file: &str, text: &'t str, is_key: fn(&str) -> bool) -> Findings<'t> {
        Findings {
            file: file.into(),
            text,
            found: Vec::new(),
            references: Vec::new(),
            secrets: Vec::new(),
            is_key,
        }
    }

    pub(super) fn push(&mut self, finding: Finding) {
        // One more than is shown, so that the reader learns of the rest.
        let errors = self
            .found
            .iter()
            .filter(|found| found.level == finding.level)
            .count();
        if errors <= limits::CONFIG_PROBLEMS {
            self.found.push(finding);
        }
    }

    /// A value names something outside the file.
    pub(super) fn refer(&mut self, place: Finding, value: &str) {
        self.references.push((place, value.to_owned()));
    }

    /// The text at `secret` is a password.
    pub(super) fn hide(&mut self, secret: Range<usize>) {
        self.secrets.push(secret);
    }

    /// The line of a place, from 1.
    pub(super) fn line_of(&self, at: &Range<usize>) -> usize {
        line_and_column(self.text, at.start).0
    }

    /// The errors, or if there is none the warnings, by their places.
    pub(super) fn finish(mut self) -> Result<Found, Invalid> {
        let mut found = std::mem::take(&mut self.found);
        found.sort_by_key(|finding| finding.at.start);
        let (errors, warnings): (Vec<Finding>, Vec<Finding>) = found
            .into_iter()
            .partition(|finding| finding.level == Level::Error);
        let references = std::mem::take(&mut self.references);
        if errors.is_empty() && warnings.is_empty() && references.is_empty() {
            return Ok(Found {
                warnings: Vec::new(),
                references: Vec::new(),
            });
        }
        let lines = Lines::new(self.text, &self.secrets, self.is_key);
        let diagnose = |finding| self.diagnose(finding, &lines);
        match errors.is_empty() {
            true => Ok(Found {
                warnings: warnings.into_iter().map(diagnose).collect(),
                references: references
                    .into_iter()
                    .map(|(place, value)| Reference {
                        value,
                        blank: diagnose(place),
                    })
                    .collect(),
            }),
            false => Err(Invalid {
                problems: errors.into_iter().map(diagnose).collect(),
            }),
        }
    }

    fn diagnose(&self, finding: Finding, lines: &Lines) -> Diagnostic {
        let Finding {
            level,
            at,
            pool,
            key,
            message,
            help,
        } = finding;
        let scrub = |text: String| lines.scrub(text);
        Diagnostic {
            level,
            file: self.file.clone(),
            place: (!self.text.is_empty()).then(|| self.place(&at, lines)),
            pool: pool
                .or_else(|| conceal::pool_around(self.text, at.start))
                .map(|pool| scrub(conceal::without_secret(&pool))),
            key: key.map(|key| scrub(conceal::without_secret(&key))),
            message: scrub(message),
            help: help.map(scrub),
        }
    }

    fn place(&self, at: &Range<usize>, lines: &Lines) -> Place {
        let begin = self.text.floor_char_boundary(at.start);
        let (line, column) = line_and_column(self.text, begin);
        let (line_start, source) = lines.line(begin);
        let offset = begin - line_start;
        let start = source.floor_char_boundary(offset);
        let end = source.floor_char_boundary(offset + at.len()).max(start);
        Place {
            line,
            column,
            marked: start..end,
            source,
        }
    }
}

/// Line and column of byte `at`, both from 1. A carriage return, a newline or both end a line.
pub(super) fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let start = conceal::line_start(text, at);
    let before = &text.as_bytes()[..start];
    let returns = |i: usize| before[i] == b'\r' && before.get(i + 1) != Some(&b'\n');
    let breaks = (0..before.len())
        .filter(|&i| before[i] == b'\n' || returns(i))
        .count();
    let column = text[start..at]
        .trim_start_matches('\u{feff}')
        .chars()
        .count();
    (breaks + 1, column + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_from_one() {
        let text = "ab\nc\r\nd\re\u{e9}f";
        for (needle, line, column) in [("a", 1, 1), ("b", 1, 2), ("c", 2, 1), ("d", 3, 1)] {
            let at = text.find(needle).unwrap();
            assert_eq!(line_and_column(text, at), (line, column), "{needle}");
        }
        assert_eq!(line_and_column(text, text.find('f').unwrap()), (4, 3));
        assert_eq!(line_and_column("", 0), (1, 1));
        assert_eq!(line_and_column("\u{feff}a", 3), (1, 1));
    }

    #[test]
    fn the_end_of_the_text_has_a_place() {
        for text in ["a\n", "a", "\n", "é"] {
            let mut findings = Findings::new("f", text, |_| false);
            findings.push(Finding::error(text.len()..text.len(), "ends too early"));
            let invalid = findings.finish().unwrap_err();
            assert!(invalid.to_string().contains("ends too early"), "{invalid}");
        }
    }
}
