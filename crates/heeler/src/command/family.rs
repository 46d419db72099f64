//! What kind of command it is: how numbers of commands are put together, so that there are few.

use super::{Group, Id};

/// A family of commands. The first are Redis's [groups](Group), the others memcached's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Family {
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
    /// No command that is served.
    #[default]
    Unknown,
    /// memcached: `set`, `add`, `cas` …
    Storage,
    /// memcached: `get`, `gets`.
    Retrieval,
    /// memcached: `delete`.
    Delete,
    /// memcached: `incr`, `decr`.
    Arithmetic,
    /// memcached: `touch`, `gat`, `gats`.
    Touch,
    /// memcached: `mg`, `ms`, `md`, `ma`, `mn`, `me`.
    Meta,
    /// memcached: what is about the server or the connection.
    Admin,
}

impl Family {
    /// All, in order.
    pub const ALL: [Family; 24] = [
        Family::String,
        Family::Bitmap,
        Family::Generic,
        Family::List,
        Family::Set,
        Family::Hash,
        Family::SortedSet,
        Family::Hyperloglog,
        Family::Geo,
        Family::Stream,
        Family::Pubsub,
        Family::Transactions,
        Family::Scripting,
        Family::Connection,
        Family::Server,
        Family::Cluster,
        Family::Unknown,
        Family::Storage,
        Family::Retrieval,
        Family::Delete,
        Family::Arithmetic,
        Family::Touch,
        Family::Meta,
        Family::Admin,
    ];

    /// Its name among the labels of a metric.
    pub fn name(self) -> &'static str {
        match self {
            Family::String => "string",
            Family::Bitmap => "bitmap",
            Family::Generic => "generic",
            Family::List => "list",
            Family::Set => "set",
            Family::Hash => "hash",
            Family::SortedSet => "sorted-set",
            Family::Hyperloglog => "hyperloglog",
            Family::Geo => "geo",
            Family::Stream => "stream",
            Family::Pubsub => "pubsub",
            Family::Transactions => "transactions",
            Family::Scripting => "scripting",
            Family::Connection => "connection",
            Family::Server => "server",
            Family::Cluster => "cluster",
            Family::Unknown => "unknown",
            Family::Storage => "storage",
            Family::Retrieval => "retrieval",
            Family::Delete => "delete",
            Family::Arithmetic => "arithmetic",
            Family::Touch => "touch",
            Family::Meta => "meta",
            Family::Admin => "admin",
        }
    }
}

impl Family {
    /// The family of a hidden command: that of the request which it stands for.
    pub(super) fn of_hidden(id: Id) -> Option<Family> {
        Some(match id {
            Id::ItemGet | Id::ItemGetMany | Id::ItemGets => Family::Retrieval,
            Id::ItemGat | Id::ItemGats | Id::ItemTouch => Family::Touch,
            Id::ItemSet | Id::ItemAdd | Id::ItemReplace | Id::ItemCas => Family::Storage,
            Id::ItemAppend | Id::ItemPrepend => Family::Storage,
            Id::ItemDelete => Family::Delete,
            Id::ItemIncr | Id::ItemDecr => Family::Arithmetic,
            Id::ItemMetaGet | Id::ItemMetaTouch | Id::ItemMetaSet => Family::Meta,
            Id::ItemMetaDelete | Id::ItemMetaArithmetic | Id::ItemMetaDebug => Family::Meta,
            Id::ItemFlush => Family::Admin,
            _ => return None,
        })
    }
}

impl From<Group> for Family {
    fn from(group: Group) -> Family {
        // Both lists begin alike.
        Family::ALL[group as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::super::TABLE;
    use super::*;

    #[test]
    fn a_group_is_the_family_of_its_name() {
        for spec in TABLE {
            let is_item = spec.name.starts_with("memcached.");
            assert_eq!(
                Family::of_hidden(spec.id).is_some(),
                is_item,
                "{}",
                spec.name
            );
            assert_eq!(Family::from(spec.group).name(), spec.group.name());
        }
        for (i, family) in Family::ALL.into_iter().enumerate() {
            assert_eq!(family as usize, i);
        }
    }
}
