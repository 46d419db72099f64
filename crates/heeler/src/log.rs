//! The log: where it goes and how much is in it, both of which may change while the process runs.

mod complaint;

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use anyhow::Context;
use arc_swap::ArcSwap;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::prelude::*;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

pub use complaint::Complaint;

use crate::limits;

/// How the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// A line for people.
    #[default]
    Text,
    /// A JSON object a line.
    Json,
}

/// What is logged, how, and where.
#[derive(Clone, Debug)]
pub struct Settings {
    /// A level, or `target=level` by commas; nothing is as good as `info`.
    pub filter: String,
    /// One of nutcracker's levels, instead of the filter.
    pub verbosity: Option<u8>,
    /// How it is written.
    pub format: LogFormat,
    /// The file that it is appended to; standard error where it is `None`.
    pub file: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            filter: DEFAULT.into(),
            verbosity: None,
            format: LogFormat::Text,
            file: None,
        }
    }
}

/// The log of this process.
#[derive(Clone, Debug)]
pub struct Log {
    verbosity: Arc<AtomicU8>,
    filter: reload::Handle<EnvFilter, Registry>,
    file: Option<(PathBuf, Arc<ArcSwap<File>>)>,
}

/// What is logged where nothing else is asked for.
const DEFAULT: &str = "info";

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Redis's levels, each with that of nutcracker's that says as much.
pub const REDIS_LEVELS: [(&str, u8); 4] = [
    ("debug", limits::VERBOSITY),
    ("verbose", 7),
    ("notice", 5),
    ("warning", 4),
];

/// Signals are told at every level: tools look for them.
const ALWAYS: &str = "heeler::signals=info";

impl Log {
    /// Starts it, once in a process.
    ///
    /// # Errors
    /// The filter cannot be read, or the file cannot be written to.
    pub fn start(settings: &Settings) -> anyhow::Result<Log> {
        let asked = match (settings.verbosity, settings.filter.trim()) {
            (Some(verbosity), _) => level_of(verbosity),
            (None, "") => DEFAULT,
            (None, asked) => asked,
        };
        let filter = filter(asked)?;
        let verbosity = settings
            .verbosity
            .unwrap_or_else(|| verbosity_of(asked.parse::<EnvFilter>().ok()));
        let (filter, handle) = reload::Layer::new(filter);
        let file = match &settings.file {
            Some(path) => Some((path.clone(), Arc::new(ArcSwap::from_pointee(open(path)?)))),
            None => None,
        };
        let writer = match &file {
            Some((_, file)) => {
                let file = file.clone();
                BoxMakeWriter::new(move || file.load_full())
            }
            None => BoxMakeWriter::new(io::stderr),
        };
        let lines = fmt::layer()
            .with_writer(writer)
            .with_ansi(file.is_none() && io::stderr().is_terminal());
        let lines = match settings.format {
            LogFormat::Text => lines.with_target(false).boxed(),
            LogFormat::Json => lines.json().boxed(),
        };
        tracing_subscriber::registry()
            .with(filter)
            .with(lines)
            .try_init()?;
        Ok(Log {
            verbosity: Arc::new(AtomicU8::new(verbosity)),
            filter: handle,
            file,
        })
    }

    /// Opens the file anew, which may have been moved away. If that fails the old one is used on.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn reopen(&self) -> anyhow::Result<()> {
        if let Some((path, file)) = &self.file {
            file.store(Arc::new(open(path)?));
        }
        Ok(())
    }

    /// One of nutcracker's levels more. Returns it, unless it was the last.
    pub fn raise(&self) -> Option<u8> {
        let level = self.verbosity.load(Relaxed);
        (level < limits::VERBOSITY).then(|| self.set(level + 1))
    }

    /// One of nutcracker's levels less. Returns it, unless it was the first.
    pub fn lower(&self) -> Option<u8> {
        let level = self.verbosity.load(Relaxed);
        (level > 0).then(|| self.set(level - 1))
    }

    /// The level by Redis's name: of those that tell less than all of them, the last.
    pub fn redis_level(&self) -> &'static str {
        let level = self.verbosity.load(Relaxed);
        let tells = |(_, most): &&(&str, u8)| level >= *most;
        let found = REDIS_LEVELS.iter().find(tells);
        found.map_or("warning", |(name, _)| name)
    }

    /// From now on it is at one of [`REDIS_LEVELS`], in whatever letters.
    pub fn set_redis_level(&self, name: &str) {
        let mut levels = REDIS_LEVELS.into_iter();
        if let Some((_, level)) = levels.find(|(known, _)| known.eq_ignore_ascii_case(name)) {
            self.set(level);
        }
    }

    fn set(&self, verbosity: u8) -> u8 {
        self.verbosity.store(verbosity, Relaxed);
        if let Ok(filter) = filter(level_of(verbosity)) {
            // It fails only where the log is gone.
            let _ = self.filter.reload(filter);
        }
        verbosity
    }
}

fn filter(asked: &str) -> anyhow::Result<EnvFilter> {
    let words: Vec<&str> = asked.split(',').map(str::trim).collect();
    for word in &words {
        check(word).with_context(|| format!("--log (HEELER_LOG) '{asked}'"))?;
    }
    let filter: EnvFilter = words
        .join(",")
        .parse()
        .with_context(|| format!("--log (HEELER_LOG) '{asked}'"))?;
    Ok(filter.add_directive(ALWAYS.parse()?))
}

/// Refuses what is neither a level nor `target=level`: the filter would take it for a target, and
/// switch off all others.
fn check(word: &str) -> anyhow::Result<()> {
    let level = match word.rsplit_once('=') {
        Some(("", _)) => anyhow::bail!("'{word}' has no target before the ="),
        Some((_, level)) => level,
        None => word,
    };
    if LEVELS.iter().any(|known| known.eq_ignore_ascii_case(level)) {
        return Ok(());
    }
    let meant = match meant_by(&level.to_ascii_lowercase()) {
        Some(meant) => format!("; did you mean {meant}?"),
        None => String::new(),
    };
    anyhow::bail!(
        "'{level}' is no level: write off, error, warn, info, debug or trace, or target=level \
         such as heeler=debug, several by commas{meant}"
    )
}

/// The level that is shortened or lengthened, or has its letters in another order.
fn meant_by(word: &str) -> Option<&'static str> {
    let sorted = |word: &str| {
        let mut letters = word.as_bytes().to_vec();
        letters.sort_unstable();
        letters
    };
    let is_like = |level: &&str| {
        word.starts_with(*level)
            || (word.len() > 1 && level.starts_with(word))
            || sorted(word) == sorted(level)
    };
    LEVELS.into_iter().find(is_like)
}

fn open(path: &Path) -> anyhow::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o644)
        .open(path)
        .with_context(|| format!("cannot open the log file {}", path.display()))
}

/// nutcracker's levels are those of syslog, and four more below debug.
fn level_of(verbosity: u8) -> &'static str {
    match verbosity {
        0..=3 => "error",
        4 => "warn",
        5 | 6 => "info",
        7 => "debug",
        _ => "trace",
    }
}

fn verbosity_of(filter: Option<EnvFilter>) -> u8 {
    match filter.and_then(|f| f.max_level_hint()) {
        Some(LevelFilter::OFF | LevelFilter::ERROR) => 3,
        Some(LevelFilter::WARN) => 4,
        Some(LevelFilter::DEBUG) => 7,
        Some(LevelFilter::TRACE) => limits::VERBOSITY,
        Some(_) | None => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_asked_for() {
        for asked in [
            "off",
            "INFO",
            "heeler=debug",
            "warn,heeler::net=trace, heeler::pool=off",
        ] {
            assert!(filter(asked).is_ok(), "{asked}");
        }
    }

    #[test]
    fn what_is_no_level_is_refused_with_those_that_are() {
        for (asked, word, meant) in [
            ("warning", "warning", Some("warn")),
            ("inof", "inof", Some("info")),
            ("err", "err", Some("error")),
            ("foo", "foo", None),
            ("3", "3", None),
            ("heeler", "heeler", None),
            ("info,heeler::net=verbose", "verbose", None),
            ("heeler=", "", None),
            ("info,,warn", "", None),
        ] {
            let told = format!("{:#}", filter(asked).expect_err(asked));
            let levels = format!(
                "--log (HEELER_LOG) '{asked}': '{word}' is no level: write off, error, warn, \
                 info, debug or trace, or target=level"
            );
            assert!(told.starts_with(&levels), "{told}");
            let end = meant.map(|meant| format!("did you mean {meant}?"));
            match end {
                Some(end) => assert!(told.ends_with(&end), "{told}"),
                None => assert!(!told.contains("did you mean"), "{told}"),
            }
        }
        let told = format!("{:#}", filter("=info").unwrap_err());
        assert!(
            told.ends_with("'=info' has no target before the ="),
            "{told}"
        );
    }

    #[test]
    fn a_level_stays_what_it_is() {
        for level in ["error", "warn", "info", "debug", "trace"] {
            assert_eq!(level_of(verbosity_of(level.parse().ok())), level);
        }
        assert_eq!(verbosity_of("heeler=debug".parse().ok()), 7);
    }
}
