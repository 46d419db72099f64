//! From the words of a request to the table's line, with Redis's own texts where there is none.
//!
//! The texts are those of Redis 7.0, cut where Redis cuts them: names at their first zero byte and
//! at 128 bytes, the shown arguments at 128 bytes together, line breaks as blanks.

use bytes::Bytes;

use super::{Arg, Command, Reply, Spec, find, find_subcommand};

/// Why no line of the table was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// There is no such command.
    Command,
    /// The command is a container, and has no such subcommand.
    Subcommand,
}

/// The line of a command: of its subcommand where the command is a container and one is named.
///
/// # Errors
/// Which of the two words is not in the table.
#[inline]
pub fn resolve(name: &[u8], subcommand: Option<&[u8]>) -> Result<&'static Spec, Unknown> {
    let spec = find(name).ok_or(Unknown::Command)?;
    match subcommand {
        Some(word) if spec.is_container() => find_subcommand(spec, word).ok_or(Unknown::Subcommand),
        _ => Ok(spec),
    }
}

impl<'a> Command<'a> {
    /// Finds a request's line in the table and checks its number of arguments. `args` has at least
    /// one place, and all lie inside `raw`.
    ///
    /// # Errors
    /// The reply for the client: unknown command, unknown subcommand, or wrong number of arguments.
    pub fn resolve(raw: &'a [u8], args: &'a [Arg]) -> Result<Command<'a>, Reply> {
        Command::resolve_for(raw, args, |_| true)
    }

    /// [`resolve`](Command::resolve) at a door that serves only some lines: to the client, the
    /// others are not in the table.
    ///
    /// # Errors
    /// The same.
    #[inline]
    pub fn resolve_for(
        raw: &'a [u8],
        args: &'a [Arg],
        served: impl Fn(&Spec) -> bool,
    ) -> Result<Command<'a>, Reply> {
        let word = |i: usize| args.get(i).map(|a| &raw[a.start as usize..a.end as usize]);
        let name = word(0).unwrap_or_default();
        match resolve(name, word(1)) {
            Ok(spec) if served(spec) && spec.accepts(args.len()) => {
                Ok(Command::new(spec, raw, args))
            }
            Ok(spec) if served(spec) => Err(wrong_arity(spec)),
            _ => Err(unknown(name, (1..).map_while(word), served)),
        }
    }

    /// The reply of a door that does not serve this command: as if the table had no such line.
    /// `served` tells which lines the door serves.
    pub fn unknown(&self, served: impl Fn(&Spec) -> bool) -> Reply {
        unknown(self.arg(0), self.args(1), served)
    }
}

/// Redis speaks of an unknown subcommand where the container is known.
fn unknown<'a>(
    name: &[u8],
    args: impl Iterator<Item = &'a [u8]>,
    served: impl Fn(&Spec) -> bool,
) -> Reply {
    let mut args = args.peekable();
    let container = find(name).filter(|spec| spec.is_container() && spec.is_shown(served));
    match (container, args.peek()) {
        (Some(_), Some(subcommand)) => unknown_subcommand(name, subcommand),
        _ => unknown_command(name, args),
    }
}

/// Most bytes of a name, and of all arguments together, that an error text shows.
const SHOWN_BYTES: usize = 128;

/// `ERR unknown command 'x', with args beginning with: 'a' 'b' `.
pub fn unknown_command<'a>(name: &[u8], args: impl Iterator<Item = &'a [u8]>) -> Reply {
    let mut shown = Vec::new();
    for arg in args {
        if shown.len() >= SHOWN_BYTES {
            break;
        }
        let arg = cut(arg, SHOWN_BYTES - shown.len());
        shown.extend_from_slice(&[b"'", arg, b"' "].concat());
    }
    let name = cut(name, SHOWN_BYTES);
    error(&[
        b"ERR unknown command '",
        name,
        b"', with args beginning with: ",
        &shown,
    ])
}

/// `ERR unknown subcommand 'x'. Try CONFIG HELP.`
pub fn unknown_subcommand(container: &[u8], subcommand: &[u8]) -> Reply {
    let subcommand = cut(subcommand, SHOWN_BYTES);
    let container = container.to_ascii_uppercase();
    error(&[
        b"ERR unknown subcommand '",
        subcommand,
        b"'. Try ",
        &container,
        b" HELP.",
    ])
}

/// `ERR wrong number of arguments for 'get' command`.
pub fn wrong_arity(spec: &Spec) -> Reply {
    Reply::error(format!(
        "ERR wrong number of arguments for '{}' command",
        spec.name
    ))
}

/// What printf's `%.*s` shows of a word.
fn cut(word: &[u8], longest: usize) -> &[u8] {
    let end = memchr::memchr(0, word).unwrap_or(word.len());
    &word[..end.min(longest)]
}

/// An error in the client's own bytes, on one line.
fn error(parts: &[&[u8]]) -> Reply {
    let mut text = parts.concat();
    for byte in &mut text {
        if matches!(byte, b'\r' | b'\n') {
            *byte = b' ';
        }
    }
    match String::from_utf8(text) {
        Ok(text) => Reply::error(text),
        // A text that is no UTF-8 goes out as it came in.
        Err(text) => Reply::Raw(Bytes::from([b"-", text.as_bytes(), b"\r\n"].concat())),
    }
}
