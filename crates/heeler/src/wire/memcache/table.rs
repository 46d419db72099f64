//! The commands, a line for each.

use crate::command::Family::{self, Admin, Arithmetic, Delete, Meta, Retrieval, Storage, Touch};

/// One command.
#[derive(Debug)]
pub struct Spec {
    /// Its name, in lower case as it must be sent.
    pub name: &'static str,
    /// Fewest words, the name included.
    pub least: usize,
    /// Most words, without `noreply`.
    pub most: usize,
    /// Where it goes.
    pub way: Way,
    /// What its words are.
    pub form: Form,
    /// The family that it is counted in.
    pub family: Family,
}

/// Where a command goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To the servers of its keys, which are the words from this one on.
    Keys(usize),
    /// To the server of its key, which is word 1.
    Key,
    /// To every live server.
    Every,
    /// To any server.
    Any,
    /// Nowhere: this is the answer.
    Here(&'static str),
    /// Nowhere: the connection ends.
    Quit,
}

/// What the words of a command are, as far as that must be known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Words, and `noreply` is none but a word.
    Plain,
    /// Words, and perhaps `noreply` as the last.
    Noreply,
    /// Key, flags, seconds, bytes, perhaps a number for cas, perhaps `noreply`; then data.
    Storage,
    /// Key and flags.
    Meta,
    /// Key, bytes and flags; then data.
    MetaSet,
}

const NO_LIMIT: usize = usize::MAX;

/// The server's own numbers are asked of the server: those of all together would be nobody's.
const STATS: &str = "SERVER_ERROR stats belong to one server, ask each server for its own\r\n";

/// Every command that is carried or answered. All others are not known.
pub const TABLE: &[Spec] = &[
    line("get", 2, NO_LIMIT, Way::Keys(1), Form::Plain, Retrieval),
    line("set", 5, 6, Way::Key, Form::Storage, Storage),
    line("gets", 2, NO_LIMIT, Way::Keys(1), Form::Plain, Retrieval),
    line("mg", 2, NO_LIMIT, Way::Key, Form::Meta, Meta),
    line("ms", 2, NO_LIMIT, Way::Key, Form::MetaSet, Meta),
    line("mn", 1, NO_LIMIT, Way::Here("MN\r\n"), Form::Plain, Meta),
    line("delete", 2, 4, Way::Key, Form::Noreply, Delete),
    line("add", 5, 6, Way::Key, Form::Storage, Storage),
    line("incr", 3, 4, Way::Key, Form::Noreply, Arithmetic),
    line("decr", 3, 4, Way::Key, Form::Noreply, Arithmetic),
    line("touch", 3, 4, Way::Key, Form::Noreply, Touch),
    line("cas", 6, 7, Way::Key, Form::Storage, Storage),
    line("replace", 5, 6, Way::Key, Form::Storage, Storage),
    line("append", 5, 6, Way::Key, Form::Storage, Storage),
    line("prepend", 5, 6, Way::Key, Form::Storage, Storage),
    line("gat", 3, NO_LIMIT, Way::Keys(2), Form::Plain, Touch),
    line("gats", 3, NO_LIMIT, Way::Keys(2), Form::Plain, Touch),
    line("md", 2, NO_LIMIT, Way::Key, Form::Meta, Meta),
    line("ma", 2, NO_LIMIT, Way::Key, Form::Meta, Meta),
    line("me", 2, NO_LIMIT, Way::Key, Form::Meta, Meta),
    line("version", 1, NO_LIMIT, Way::Any, Form::Plain, Admin),
    line("verbosity", 2, 3, Way::Every, Form::Noreply, Admin),
    line("flush_all", 1, 3, Way::Every, Form::Noreply, Admin),
    line("stats", 1, NO_LIMIT, Way::Here(STATS), Form::Plain, Admin),
    line("quit", 1, NO_LIMIT, Way::Quit, Form::Plain, Admin),
];

const fn line(
    name: &'static str,
    least: usize,
    most: usize,
    way: Way,
    form: Form,
    family: Family,
) -> Spec {
    Spec {
        name,
        least,
        most,
        way,
        form,
        family,
    }
}

/// The line of a command. The commonest are the first.
pub fn find(name: &[u8]) -> Option<&'static Spec> {
    TABLE.iter().find(|spec| spec.name.as_bytes() == name)
}
