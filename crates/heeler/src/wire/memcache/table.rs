//! The commands, a line for each.

use AtNode::{Item, MemoryLimit, Says, Slabs, Stats, Verbosity, Version};

use crate::command::Family::{self, Admin, Arithmetic, Delete, Meta, Retrieval, Storage, Touch};
use crate::command::Id;

/// One command.
#[derive(Debug)]
pub struct Spec {
    /// Its name, in lower case as it must be sent.
    pub name: &'static str,
    /// Fewest words, the name included.
    pub least: usize,
    /// Most words, without `noreply`.
    pub most: usize,
    /// Where a proxy sends it.
    pub way: Way,
    /// What a node does with it.
    pub at_node: AtNode,
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
    /// Nowhere: a proxy does not know it.
    Unknown,
}

/// What a node does with a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtNode {
    /// It is executed as this hidden command.
    Item(Id),
    /// This is the answer.
    Says(&'static str),
    /// It tells its version.
    Version,
    /// It takes notice, and goes on as before.
    Verbosity,
    /// It limits its memory to so many MiB.
    MemoryLimit,
    /// It tells its numbers.
    Stats,
    /// It has no slabs, and says what a memcached does that moves none.
    Slabs,
    /// The connection ends.
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

/// What belongs to memcached's own memory and tools, with the texts of a memcached that has it off.
const NO_CRAWLER: &str = "CLIENT_ERROR lru crawler disabled\r\n";
const NO_WATCH: &str = "CLIENT_ERROR watch commands not allowed\r\n";
const NO_SHUTDOWN: &str = "ERROR: shutdown not enabled\r\n";

/// Every command that is carried, executed or answered. All others are not known.
pub const TABLE: &[Spec] = &[
    line(
        "get",
        2,
        NO_LIMIT,
        Way::Keys(1),
        Item(Id::ItemGet),
        Form::Plain,
        Retrieval,
    ),
    line(
        "set",
        5,
        6,
        Way::Key,
        Item(Id::ItemSet),
        Form::Storage,
        Storage,
    ),
    line(
        "gets",
        2,
        NO_LIMIT,
        Way::Keys(1),
        Item(Id::ItemGets),
        Form::Plain,
        Retrieval,
    ),
    line(
        "mg",
        2,
        NO_LIMIT,
        Way::Key,
        Item(Id::ItemMetaGet),
        Form::Meta,
        Meta,
    ),
    line(
        "ms",
        2,
        NO_LIMIT,
        Way::Key,
        Item(Id::ItemMetaSet),
        Form::MetaSet,
        Meta,
    ),
    line(
        "mn",
        1,
        NO_LIMIT,
        Way::Here("MN\r\n"),
        Says("MN\r\n"),
        Form::Plain,
        Meta,
    ),
    line(
        "delete",
        2,
        4,
        Way::Key,
        Item(Id::ItemDelete),
        Form::Noreply,
        Delete,
    ),
    line(
        "add",
        5,
        6,
        Way::Key,
        Item(Id::ItemAdd),
        Form::Storage,
        Storage,
    ),
    line(
        "incr",
        3,
        4,
        Way::Key,
        Item(Id::ItemIncr),
        Form::Noreply,
        Arithmetic,
    ),
    line(
        "decr",
        3,
        4,
        Way::Key,
        Item(Id::ItemDecr),
        Form::Noreply,
        Arithmetic,
    ),
    line(
        "touch",
        3,
        4,
        Way::Key,
        Item(Id::ItemTouch),
        Form::Noreply,
        Touch,
    ),
    line(
        "cas",
        6,
        7,
        Way::Key,
        Item(Id::ItemCas),
        Form::Storage,
        Storage,
    ),
    line(
        "replace",
        5,
        6,
        Way::Key,
        Item(Id::ItemReplace),
        Form::Storage,
        Storage,
    ),
    line(
        "append",
        5,
        6,
        Way::Key,
        Item(Id::ItemAppend),
        Form::Storage,
        Storage,
    ),
    line(
        "prepend",
        5,
        6,
        Way::Key,
        Item(Id::ItemPrepend),
        Form::Storage,
        Storage,
    ),
    line(
        "gat",
        3,
        NO_LIMIT,
        Way::Keys(2),
        Item(Id::ItemGat),
        Form::Plain,
        Touch,
    ),
    line(
        "gats",
        3,
        NO_LIMIT,
        Way::Keys(2),
        Item(Id::ItemGats),
        Form::Plain,
        Touch,
    ),
    line(
        "md",
        2,
        NO_LIMIT,
        Way::Key,
        Item(Id::ItemMetaDelete),
        Form::Meta,
        Meta,
    ),
    line(
        "ma",
        2,
        NO_LIMIT,
        Way::Key,
        Item(Id::ItemMetaArithmetic),
        Form::Meta,
        Meta,
    ),
    line(
        "me",
        2,
        NO_LIMIT,
        Way::Key,
        Item(Id::ItemMetaDebug),
        Form::Meta,
        Meta,
    ),
    line(
        "version",
        1,
        NO_LIMIT,
        Way::Any,
        Version,
        Form::Plain,
        Admin,
    ),
    line(
        "verbosity",
        2,
        3,
        Way::Every,
        Verbosity,
        Form::Noreply,
        Admin,
    ),
    line(
        "flush_all",
        1,
        3,
        Way::Every,
        Item(Id::ItemFlush),
        Form::Noreply,
        Admin,
    ),
    line(
        "stats",
        1,
        NO_LIMIT,
        Way::Here(STATS),
        Stats,
        Form::Plain,
        Admin,
    ),
    line(
        "quit",
        1,
        NO_LIMIT,
        Way::Quit,
        AtNode::Quit,
        Form::Plain,
        Admin,
    ),
    node_only("shutdown", 1, NO_SHUTDOWN),
    node_only("watch", 1, NO_WATCH),
    line(
        "slabs",
        2,
        NO_LIMIT,
        Way::Unknown,
        Slabs,
        Form::Plain,
        Admin,
    ),
    node_only("lru_crawler", 2, NO_CRAWLER),
    line(
        "cache_memlimit",
        2,
        3,
        Way::Unknown,
        MemoryLimit,
        Form::Noreply,
        Admin,
    ),
];

const fn node_only(name: &'static str, least: usize, says: &'static str) -> Spec {
    let says = Says(says);
    line(
        name,
        least,
        NO_LIMIT,
        Way::Unknown,
        says,
        Form::Plain,
        Admin,
    )
}

const fn line(
    name: &'static str,
    least: usize,
    most: usize,
    way: Way,
    at_node: AtNode,
    form: Form,
    family: Family,
) -> Spec {
    Spec {
        name,
        least,
        most,
        way,
        at_node,
        form,
        family,
    }
}

/// The line of a command. The commonest are the first.
pub fn find(name: &[u8]) -> Option<&'static Spec> {
    TABLE.iter().find(|spec| spec.name.as_bytes() == name)
}
