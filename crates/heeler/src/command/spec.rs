//! One line of the command table.

use super::bits::bit_set;
use super::{Family, Id, KeyUse, Keys, is_container, subcommands};

/// What the table says of one command or subcommand.
#[derive(Debug)]
pub struct Spec {
    /// Which command.
    pub id: Id,
    /// Lower case; a subcommand is written `container|subcommand`.
    pub name: &'static str,
    /// Number of arguments with the name; negative: at least so many.
    pub arity: i8,
    /// Which arguments are keys.
    pub keys: Keys,
    /// What it does with them: one entry for each of its key specifications.
    pub uses: &'static [KeyUse],
    /// Which room of a node answers it.
    pub room: Room,
    /// How a proxy spreads it over servers and merges the parts.
    pub split: Split,
    /// Redis's group for it.
    pub group: Group,
    /// Redis's flags for it.
    pub flags: Flags,
}

impl Spec {
    /// Whether `argc` arguments (name and subcommand included) satisfy the arity.
    pub fn accepts(&self, argc: usize) -> bool {
        let arity = i64::from(self.arity);
        if arity >= 0 {
            argc as i64 == arity
        } else {
            argc as i64 >= -arity
        }
    }

    /// Whether it changes data.
    pub fn is_write(&self) -> bool {
        self.flags.has(Flags::WRITE)
    }

    /// The family that it is counted in.
    pub fn family(&self) -> Family {
        let hidden = self.flags.has(Flags::HIDDEN);
        let family = hidden.then(|| Family::of_hidden(self.id)).flatten();
        family.unwrap_or_else(|| self.group.into())
    }

    /// Whether it takes about the same short time whatever it finds: what Redis flags as fast, and
    /// the other ways to set a string.
    pub fn is_quick(&self) -> bool {
        self.flags.has(Flags::FAST) || matches!(self.id, Id::Set | Id::Setex | Id::Psetex)
    }

    /// Whether this line is a subcommand's.
    pub fn is_subcommand(&self) -> bool {
        self.name.contains('|')
    }

    /// Whether its first argument chooses a subcommand.
    pub fn is_container(&self) -> bool {
        is_container(self)
    }

    /// Whether a door shows this line to clients: it serves it, or one of its subcommands.
    pub fn is_shown(&self, served: impl Fn(&Spec) -> bool) -> bool {
        served(self) || subcommands(self).iter().any(served)
    }
}

/// The room of a node that answers a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// The store: it reads or writes keys.
    Store,
    /// The connection's own session: it is about this connection.
    Session,
    /// The process: it is about this server.
    Process,
    /// None yet: `-ERR unknown command`.
    Absent,
}

/// How a proxy spreads a command over its servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// All of it goes to the server of its keys.
    Whole,
    /// One part a server with the keys it owns; integer replies are added.
    Sum,
    /// One part a server with the keys it owns; elements are put back in the order asked.
    Gather,
    /// One part a server with the key-value pairs it owns; `+OK` when all say so.
    AllOk,
    /// To every server; integer replies are added.
    EverySum,
    /// To every server; elements follow one another.
    EveryGather,
    /// To every server; `+OK` when all say so.
    EveryOk,
    /// To every server; all say the same.
    EverySame,
    /// To every server; of each element the least.
    EveryLeast,
    /// To every server; one reply that is not null.
    EveryAny,
    /// To one server after the other, by a cursor that names the server.
    Scan,
    /// Answered by the proxy itself.
    Here,
    /// Not carried: `-ERR unknown command`.
    Never,
}

/// Redis's group of a command, as `COMMAND DOCS` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Group {
    String,
    Bitmap,
    Generic,
    List,
    Set,
    Hash,
    SortedSet,
    Hyperloglog,
    Geo,
    Stream,
    Pubsub,
    Transactions,
    Scripting,
    Connection,
    Server,
    Cluster,
}

impl Group {
    /// The group's name in `COMMAND DOCS`.
    pub fn name(self) -> &'static str {
        match self {
            Group::String => "string",
            Group::Bitmap => "bitmap",
            Group::Generic => "generic",
            Group::List => "list",
            Group::Set => "set",
            Group::Hash => "hash",
            Group::SortedSet => "sorted-set",
            Group::Hyperloglog => "hyperloglog",
            Group::Geo => "geo",
            Group::Stream => "stream",
            Group::Pubsub => "pubsub",
            Group::Transactions => "transactions",
            Group::Scripting => "scripting",
            Group::Connection => "connection",
            Group::Server => "server",
            Group::Cluster => "cluster",
        }
    }
}

bit_set! {
    /// Redis's command flags, as `COMMAND` shows them; and one of our own: a hidden command is for
    /// doors of other protocols and between nodes. To clients of Redis there is no such command.
    Flags
    WRITE 0 "write"
    READONLY 1 "readonly"
    DENYOOM 2 "denyoom"
    ADMIN 3 "admin"
    PUBSUB 4 "pubsub"
    NOSCRIPT 5 "noscript"
    BLOCKING 6 "blocking"
    LOADING 7 "loading"
    STALE 8 "stale"
    SKIP_MONITOR 9 "skip_monitor"
    SKIP_SLOWLOG 10 "skip_slowlog"
    ASKING 11 "asking"
    FAST 12 "fast"
    NO_AUTH 13 "no_auth"
    NO_MANDATORY_KEYS 14 "no_mandatory_keys"
    NO_ASYNC_LOADING 15 "no_async_loading"
    NO_MULTI 16 "no_multi"
    ALLOW_BUSY 17 "allow_busy"
    HIDDEN 18 "hidden"
}
