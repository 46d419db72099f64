//! nutcracker's command line: what getopt makes of it, and what nutcracker says to it.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use lexopt::{Arg, Parser, ValueExt};

use super::VERSION;
use crate::limits;
use crate::stats::{Field, POOL_FIELDS, SERVER_FIELDS};

/// nutcracker's flags.
#[derive(clap::Args, Clone, Debug, PartialEq, Eq)]
pub struct Flags {
    /// Check the file, say what is wrong with it, and exit with 0 or 1.
    #[arg(short = 't', long)]
    pub test_conf: bool,
    /// Run in the background. Returns once clients can connect, or with the reason why not.
    #[arg(short = 'd', long)]
    pub daemonize: bool,
    /// Say what the numbers of the statistics are, and exit.
    #[arg(short = 'D', long)]
    pub describe_stats: bool,
    /// How much to log, instead of --log: 0 to 3 errors, 4 warnings, 5 notices, 7 debug, 11 all.
    #[arg(short = 'v', long, value_name = "N", value_parser = verbosity)]
    pub verbose: Option<u8>,
    /// Append the log to a file, which is opened anew on SIGHUP [default: standard error].
    #[arg(short = 'o', long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// The file with the pools, as nutcracker reads it.
    #[arg(short = 'c', long, value_name = "FILE", default_value = CONF_FILE)]
    pub conf_file: PathBuf,
    /// The port that tells statistics as JSON to whoever connects [default: 22222].
    #[arg(short = 's', long, value_name = "PORT", value_parser = stats_port)]
    pub stats_port: Option<u16>,
    /// Where that port is: an address of this machine, or the path of a Unix socket.
    #[arg(short = 'a', long, value_name = "ADDRESS", default_value = STATS_ADDR)]
    pub stats_addr: String,
    /// For nutcracker's sake, in milliseconds: statistics are always of this moment.
    #[arg(short = 'i', long, value_name = "N", default_value = STATS_INTERVAL,
          value_parser = stats_interval)]
    pub stats_interval: u32,
    /// Write the process's number to a file, as long as it runs.
    #[arg(short = 'p', long, value_name = "FILE")]
    pub pid_file: Option<PathBuf>,
    /// For nutcracker's sake, in bytes: here buffers grow and shrink as they are used.
    #[arg(short = 'm', long, value_name = "N", default_value = MBUF_SIZE,
          value_parser = mbuf_size)]
    pub mbuf_size: u32,
}

const CONF_FILE: &str = "conf/nutcracker.yml";
const STATS_ADDR: &str = "0.0.0.0";
const STATS_INTERVAL: &str = "30000";
const MBUF_SIZE: &str = "16384";
/// nutcracker's own level: its notices.
const VERBOSITY: u8 = 5;
/// Where statistics are told, if nothing else is said.
const STATS_PORT: u16 = 22222;

impl Default for Flags {
    fn default() -> Flags {
        Flags {
            test_conf: false,
            daemonize: false,
            describe_stats: false,
            verbose: Some(VERBOSITY),
            output: None,
            conf_file: CONF_FILE.into(),
            stats_port: Some(STATS_PORT),
            stats_addr: STATS_ADDR.into(),
            stats_interval: 30_000,
            pid_file: None,
            mbuf_size: 16_384,
        }
    }
}

impl Flags {
    /// The port of the statistics, and whether it was asked for: then it must be had.
    pub fn stats_port(&self) -> (u16, bool) {
        (
            self.stats_port.unwrap_or(STATS_PORT),
            self.stats_port.is_some(),
        )
    }
}

/// What a command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// To show these texts and exit with 0.
    Show {
        /// The usage.
        usage: bool,
        /// What the statistics are.
        stats: bool,
    },
    /// To run, or to check the file.
    Run {
        /// How.
        flags: Box<Flags>,
        /// `--threads`, which nutcracker does not have.
        threads: Option<usize>,
    },
}

/// The options by their letters and names, as in nutcracker's usage.
const OPTIONS: [(char, &str); 13] = [
    ('h', "help"),
    ('V', "version"),
    ('t', "test-conf"),
    ('d', "daemonize"),
    ('D', "describe-stats"),
    ('v', "verbose"),
    ('o', "output"),
    ('c', "conf-file"),
    ('s', "stats-port"),
    ('a', "stats-addr"),
    ('i', "stats-interval"),
    ('p', "pid-file"),
    ('m', "mbuf-size"),
];

/// Reads the arguments after the program's name as nutcracker does: options anywhere, long ones
/// also by a beginning that is no other's, the last of several counts, other words do not matter.
///
/// # Errors
/// nutcracker's words for what is wrong, without `nutcracker: `.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Request, String> {
    let mut parser = Parser::from_args(args);
    let (mut flags, mut threads) = (Flags::default(), None);
    let (mut show, mut usage) = (false, false);
    while let Some(arg) = parser.next().map_err(|e| invalid(&e))? {
        let letter = match arg {
            Arg::Short(letter) => letter,
            Arg::Long("threads") => {
                threads = Some(number_of_threads(&mut parser)?);
                continue;
            }
            Arg::Long(name) => long(name)?,
            Arg::Value(_) => continue,
        };
        match letter {
            'h' => (show, usage) = (true, true),
            'V' => show = true,
            't' => flags.test_conf = true,
            'd' => flags.daemonize = true,
            'D' => (show, flags.describe_stats) = (true, true),
            letter => {
                let missing = |_| format!("option -{letter} requires {}", kind(letter));
                let is_known = OPTIONS.iter().any(|(l, _)| *l == letter);
                let value = match is_known {
                    true => parser.value().map_err(missing)?,
                    false => return Err(format!("invalid option -- '{letter}'")),
                };
                set(&mut flags, letter, value)?;
            }
        }
    }
    Ok(match show {
        true => Request::Show {
            usage,
            stats: flags.describe_stats,
        },
        false => Request::Run {
            flags: Box::new(flags),
            threads,
        },
    })
}

/// The letter of a long option, by its name or a beginning of it.
fn long(name: &str) -> Result<char, String> {
    let begins = OPTIONS.iter().filter(|(_, long)| long.starts_with(name));
    match begins.collect::<Vec<_>>().as_slice() {
        [(letter, _)] => Ok(*letter),
        _ => Err(format!("invalid option -- '{name}'")),
    }
}

/// What getopt refuses: a value for an option that takes none.
fn invalid(error: &lexopt::Error) -> String {
    match error {
        lexopt::Error::UnexpectedValue { option, .. } => {
            let name = option.trim_start_matches('-');
            let letter = long(name).map_or(name.to_owned(), String::from);
            format!("invalid option -- '{letter}'")
        }
        other => other.to_string(),
    }
}

fn kind(letter: char) -> &'static str {
    match letter {
        'o' | 'c' | 'p' => "a file name",
        'a' => "a string",
        _ => "a number",
    }
}

fn set(flags: &mut Flags, letter: char, value: OsString) -> Result<(), String> {
    let text = || value.to_str().unwrap_or_default();
    match letter {
        'v' => flags.verbose = Some(verbosity(text())?),
        'o' => flags.output = Some(value.into()),
        'c' => flags.conf_file = value.into(),
        's' => flags.stats_port = Some(stats_port(text())?),
        'a' => flags.stats_addr = value.to_string_lossy().into_owned(),
        'i' => flags.stats_interval = stats_interval(text())?,
        'p' => flags.pid_file = Some(value.into()),
        'm' => flags.mbuf_size = mbuf_size(text())?,
        other => return Err(format!("invalid option -- '{other}'")),
    }
    Ok(())
}

fn number_of_threads(parser: &mut Parser) -> Result<usize, String> {
    let wrong = |_| "option --threads requires a number from 1 to 1024".to_owned();
    let threads: usize = parser.value().map_err(wrong)?.parse().map_err(wrong)?;
    match (1..=1024).contains(&threads) {
        true => Ok(threads),
        false => Err("option --threads requires a number from 1 to 1024".into()),
    }
}

/// Digits alone are a number, as nutcracker reads it.
fn number(text: &str, letter: char, what: &str) -> Result<u32, String> {
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let number = is_number.then(|| text.parse::<i32>().ok()).flatten();
    number
        .map(i32::cast_unsigned)
        .ok_or_else(|| format!("option -{letter} requires {what}"))
}

fn verbosity(text: &str) -> Result<u8, String> {
    let level = number(text, 'v', "a number")?;
    Ok(level.min(limits::VERBOSITY.into()) as u8)
}

fn stats_port(text: &str) -> Result<u16, String> {
    let port = number(text, 's', "a number")?;
    u16::try_from(port)
        .ok()
        .filter(|&port| port > 0)
        .ok_or_else(|| format!("option -s value {port} is not a valid port"))
}

fn stats_interval(text: &str) -> Result<u32, String> {
    number(text, 'i', "a number")
}

fn mbuf_size(text: &str) -> Result<u32, String> {
    let what = "a non-zero number";
    match number(text, 'm', what)? {
        0 => Err(format!("option -m requires {what}")),
        size @ 512..=16_777_216 => Ok(size),
        _ => Err("mbuf chunk size must be between 512 and 16777216 bytes".into()),
    }
}

/// Whether the program was called by nutcracker's name, through a link.
pub fn is_called(program: &OsStr) -> bool {
    std::path::Path::new(program).file_name() == Some(OsStr::new("nutcracker"))
}

/// The version block: nutcracker's first lines, and whose program it is.
pub fn version() -> String {
    format!(
        "This is nutcracker-{VERSION}\nasync event backend: epoll\nby Heeler {}, in its place\n\n",
        env!("CARGO_PKG_VERSION")
    )
}

/// The usage: nutcracker's, with what differs.
pub fn usage() -> String {
    format!(
        "\
Usage: nutcracker [-?hVdDt] [-v verbosity level] [-o output file]
                  [-c conf file] [-s stats port] [-a stats addr]
                  [-i stats interval] [-p pid file] [-m mbuf size]

Options:
  -h, --help             : this help
  -V, --version          : show version and exit
  -t, --test-conf        : test configuration for syntax errors and exit
  -d, --daemonize        : run as a daemon
  -D, --describe-stats   : print stats description and exit
  -v, --verbose=N        : set logging level (default: {VERBOSITY}, min: 0, max: {})
  -o, --output=S         : set logging file (default: stderr)
  -c, --conf-file=S      : set configuration file (default: {CONF_FILE})
  -s, --stats-port=N     : set stats monitoring port (default: {STATS_PORT})
  -a, --stats-addr=S     : set stats monitoring ip (default: {STATS_ADDR})
  -i, --stats-interval=N : taken for compatibility, stats are always current
  -p, --pid-file=S       : set pid file (default: off)
  -m, --mbuf-size=N      : taken for compatibility, buffers grow as needed
      --threads=N        : set number of threads that serve clients (default: one a core)

",
        limits::VERBOSITY
    )
}

/// What the numbers of the statistics are: `-D`.
pub fn describe_stats() -> String {
    let lines = |fields: &[Field]| -> String {
        let line = |f: &Field| format!("  {:<20}\"{}\"\n", f.name, f.description);
        fields.iter().map(line).collect()
    };
    format!(
        "pool stats:\n{}\nserver stats:\n{}",
        lines(&POOL_FIELDS),
        lines(&SERVER_FIELDS)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Request, String> {
        parse(line.split_ascii_whitespace().map(OsString::from))
    }

    fn flags(line: &str) -> Flags {
        match parsed(line) {
            Ok(Request::Run { flags, .. }) => *flags,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn options_are_short_or_long_or_the_beginning_of_a_long_one() {
        let asked = Flags {
            test_conf: true,
            daemonize: true,
            verbose: Some(11),
            output: Some("log".into()),
            conf_file: "file".into(),
            stats_port: Some(1),
            stats_addr: "::1".into(),
            stats_interval: 1,
            pid_file: Some("pid".into()),
            mbuf_size: 512,
            ..Flags::default()
        };
        for line in [
            "-t -d -v 11 -o log -c file -s 1 -a ::1 -i 1 -p pid -m 512",
            "word -tdv99 -olog -cfile -s1 -a::1 -i1 -ppid word -m512",
            "--test-conf --daemonize --verbose=11 --output=log --conf-file=file --stats-port=1 \
             --stats-addr=::1 --stats-interval=1 --pid-file=pid --mbuf-size=512",
            "--t --da --verb 11 --o log --conf file --stats-p 1 --stats-a ::1 --stats-i 1 --p pid \
             --m 512",
            "-s 5 -s 1 -c other -tdv 11 -olog -cfile -a::1 -i1 -ppid -m512",
        ] {
            assert_eq!(flags(line), asked, "{line}");
        }
        assert_eq!(flags(""), Flags::default());
    }

    #[test]
    fn a_user_can_ask_for_texts() {
        let show = |usage, stats| Ok(Request::Show { usage, stats });
        assert_eq!(parsed("-h"), show(true, false));
        assert_eq!(parsed("-t --version"), show(false, false));
        assert_eq!(parsed("-D"), show(false, true));
        assert_eq!(parsed("-hD"), show(true, true));
    }

    #[test]
    fn threads_are_ours() {
        let Ok(Request::Run { threads, .. }) = parsed("--threads=3") else {
            panic!("it runs")
        };
        assert_eq!(threads, Some(3));
        for wrong in ["--threads", "--threads=0", "--threads=x", "--threads=2000"] {
            assert!(parsed(wrong).unwrap_err().contains("from 1 to 1024"));
        }
    }
}
