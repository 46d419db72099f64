//! The commands, a line for each.

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
    line("get", 2, NO_LIMIT, Way::Keys(1), Form::Plain),
    line("set", 5, 6, Way::Key, Form::Storage),
    line("gets", 2, NO_LIMIT, Way::Keys(1), Form::Plain),
    line("mg", 2, NO_LIMIT, Way::Key, Form::Meta),
    line("ms", 2, NO_LIMIT, Way::Key, Form::MetaSet),
    line("mn", 1, NO_LIMIT, Way::Here("MN\r\n"), Form::Plain),
    line("delete", 2, 4, Way::Key, Form::Noreply),
    line("add", 5, 6, Way::Key, Form::Storage),
    line("incr", 3, 4, Way::Key, Form::Noreply),
    line("decr", 3, 4, Way::Key, Form::Noreply),
    line("touch", 3, 4, Way::Key, Form::Noreply),
    line("cas", 6, 7, Way::Key, Form::Storage),
    line("replace", 5, 6, Way::Key, Form::Storage),
    line("append", 5, 6, Way::Key, Form::Storage),
    line("prepend", 5, 6, Way::Key, Form::Storage),
    line("gat", 3, NO_LIMIT, Way::Keys(2), Form::Plain),
    line("gats", 3, NO_LIMIT, Way::Keys(2), Form::Plain),
    line("md", 2, NO_LIMIT, Way::Key, Form::Meta),
    line("ma", 2, NO_LIMIT, Way::Key, Form::Meta),
    line("me", 2, NO_LIMIT, Way::Key, Form::Meta),
    line("version", 1, NO_LIMIT, Way::Any, Form::Plain),
    line("verbosity", 2, 3, Way::Every, Form::Noreply),
    line("flush_all", 1, 3, Way::Every, Form::Noreply),
    line("stats", 1, NO_LIMIT, Way::Here(STATS), Form::Plain),
    line("quit", 1, NO_LIMIT, Way::Quit, Form::Plain),
];

const fn line(name: &'static str, least: usize, most: usize, way: Way, form: Form) -> Spec {
    Spec {
        name,
        least,
        most,
        way,
        form,
    }
}

/// The line of a command. The commonest are the first.
pub fn find(name: &[u8]) -> Option<&'static Spec> {
    TABLE.iter().find(|spec| spec.name.as_bytes() == name)
}
