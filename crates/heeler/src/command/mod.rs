//! The vocabulary that every room shares: [`Command`] on its way in, [`Reply`] on its way out, and
//! the [`table`] with one line for every command.
//!
//! A command is borrowed: it points into the bytes that its wire read, so a proxy forwards them
//! untouched and a store reads its arguments as slices of them. Nothing is allocated for it.

mod arguments;
mod bits;
mod categories;
mod deprecated;
mod describe;
mod docs;
mod family;
pub mod item;
mod key_spec;
mod keys;
pub mod meta;
pub mod number;
pub mod pattern;
mod reply;
mod resolve;
mod shape;
mod spec;
mod strings;
mod table;
mod tips;

pub use categories::Categories;
pub use describe::describe;
pub use family::Family;
pub use key_spec::KeyUse;
pub use keys::{Keys, Positions};
pub use reply::{Blob, Reply};
pub use resolve::{Unknown, resolve, unknown_command, unknown_subcommand, wrong_arity};
pub use shape::Shape;
pub use spec::{Flags, Group, Room, Spec, Split};
pub use strings::{Grouping, Strings};
pub use table::{Id, TABLE, find, find_subcommand, is_container, subcommands};

/// The place of one argument in a command's raw bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arg {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

/// A request as its wire read it: raw bytes and the places of the arguments in them.
///
/// The first argument is the command's name. Each [`Arg`] lies inside the raw bytes: the wire that
/// makes a command guarantees it.
#[derive(Clone, Copy, Debug)]
pub struct Command<'a> {
    /// The table's line for this command: the subcommand's line where there is one.
    pub spec: &'static Spec,
    raw: &'a [u8],
    args: &'a [Arg],
}

impl<'a> Command<'a> {
    /// A command of the given bytes. `args` has at least one place, and all lie inside `raw`.
    pub fn new(spec: &'static Spec, raw: &'a [u8], args: &'a [Arg]) -> Command<'a> {
        debug_assert!(!args.is_empty() && args.iter().all(|a| a.end as usize <= raw.len()));
        Command { spec, raw, args }
    }

    /// The number of arguments, the command's name included: what Redis calls `argc`.
    pub fn len(&self) -> usize {
        self.args.len()
    }

    /// Never: a command has at least its name.
    pub fn is_empty(&self) -> bool {
        self.args.is_empty()
    }

    /// Argument `i`, counted from the name at 0. Panics past [`len`](Command::len): the table's
    /// arity has been checked before a command reaches a room that reads its arguments.
    pub fn arg(&self, i: usize) -> &'a [u8] {
        let Arg { start, end } = self.args[i];
        &self.raw[start as usize..end as usize]
    }

    /// The arguments from `from` on.
    pub fn args(&self, from: usize) -> impl ExactSizeIterator<Item = &'a [u8]> + use<'a> {
        let raw = self.raw;
        self.args[from.min(self.args.len())..]
            .iter()
            .map(move |a| &raw[a.start as usize..a.end as usize])
    }

    /// The request as it came: for RESP, the whole array with its lengths.
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// Argument positions of this command's keys, by the table.
    ///
    /// # Errors
    /// The text of Redis's error where the arguments do not say how many keys there are.
    pub fn keys(&self) -> Result<Positions, &'static str> {
        self.spec.keys.positions(*self)
    }

    /// The command that stands in this one's arguments from `from` on.
    fn tail(&self, from: usize, spec: &'static Spec) -> Command<'a> {
        Command::new(spec, self.raw, &self.args[from..])
    }

    /// A copy that owns its bytes, those of the last argument left out.
    pub fn to_owned_but_last(&self) -> OwnedCommand {
        let mut args: Box<[Arg]> = self.args.into();
        let mut end = self.raw.len();
        if let Some(last) = args.last_mut() {
            last.end = last.start;
            end = last.end as usize;
        }
        // Only what lies behind all others can be cut off.
        let is_behind = args.iter().all(|arg| arg.end as usize <= end);
        OwnedCommand {
            spec: self.spec,
            raw: self.raw[..if is_behind { end } else { self.raw.len() }].into(),
            args,
        }
    }

    /// A copy that owns its bytes, for a queue (MULTI) or a log.
    pub fn to_owned(&self) -> OwnedCommand {
        OwnedCommand {
            spec: self.spec,
            raw: self.raw.into(),
            args: self.args.into(),
        }
    }
}

/// A [`Command`] that owns its bytes.
#[derive(Clone, Debug)]
pub struct OwnedCommand {
    spec: &'static Spec,
    raw: Box<[u8]>,
    args: Box<[Arg]>,
}

impl OwnedCommand {
    /// A command of this process's own making, from its words; the first one is its name. Together
    /// they have less than 4 GiB. Its raw bytes are the words side by side, which is no wire's
    /// form: so it is executed here, and never sent on.
    pub fn new<W>(spec: &'static Spec, words: W) -> OwnedCommand
    where
        W: IntoIterator<Item: AsRef<[u8]>, IntoIter: Clone>,
    {
        let (raw, args) = side_by_side(words.into_iter());
        OwnedCommand { spec, raw, args }
    }

    /// The command that these words are, by the table.
    ///
    /// # Errors
    /// As of [`Command::resolve`].
    pub fn resolve<W>(words: W) -> Result<OwnedCommand, Reply>
    where
        W: IntoIterator<Item: AsRef<[u8]>, IntoIter: Clone>,
    {
        let (raw, args) = side_by_side(words.into_iter());
        let spec = Command::resolve(&raw, &args)?.spec;
        Ok(OwnedCommand { spec, raw, args })
    }

    /// The command itself.
    pub fn as_command(&self) -> Command<'_> {
        Command {
            spec: self.spec,
            raw: &self.raw,
            args: &self.args,
        }
    }
}

/// The words one after another, and their places.
fn side_by_side<W>(words: impl Iterator<Item = W> + Clone) -> (Box<[u8]>, Box<[Arg]>)
where
    W: AsRef<[u8]>,
{
    let mut raw = Vec::with_capacity(words.clone().map(|word| word.as_ref().len()).sum());
    let args = words.map(|word| {
        let start = raw.len() as u32;
        raw.extend_from_slice(word.as_ref());
        let end = raw.len() as u32;
        Arg { start, end }
    });
    let args = args.collect();
    (raw.into(), args)
}
