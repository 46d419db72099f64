//! The ACL categories of a command: what kind of data it is about, and how it behaves.

use super::bits::bit_set;
use super::{Flags, Group, Id, Spec};

bit_set! {
    /// Redis's ACL categories.
    Categories
    KEYSPACE 0 "@keyspace"
    READ 1 "@read"
    WRITE 2 "@write"
    SET 3 "@set"
    SORTED_SET 4 "@sortedset"
    LIST 5 "@list"
    HASH 6 "@hash"
    STRING 7 "@string"
    BITMAP 8 "@bitmap"
    HYPERLOGLOG 9 "@hyperloglog"
    GEO 10 "@geo"
    STREAM 11 "@stream"
    PUBSUB 12 "@pubsub"
    ADMIN 13 "@admin"
    FAST 14 "@fast"
    SLOW 15 "@slow"
    BLOCKING 16 "@blocking"
    DANGEROUS 17 "@dangerous"
    CONNECTION 18 "@connection"
    TRANSACTION 19 "@transaction"
    SCRIPTING 20 "@scripting"
}

impl Spec {
    /// The categories that Redis puts the command in.
    pub fn categories(&self) -> Categories {
        data(self).and(behaviour(self))
    }
}

/// What follows from the flags, and the few that Redis calls dangerous beside them.
fn behaviour(spec: &Spec) -> Categories {
    let flag = |flag, category| {
        if spec.flags.has(flag) {
            category
        } else {
            Categories::NONE
        }
    };
    let dangerous = match spec.id {
        Id::Role | Id::Lastsave => Categories::ADMIN.and(Categories::DANGEROUS),
        Id::Flushall | Id::Flushdb | Id::Swapdb | Id::Info | Id::Keys => Categories::DANGEROUS,
        Id::Migrate | Id::Restore | Id::RestoreAsking => Categories::DANGEROUS,
        Id::Sort | Id::SortRo => Categories::DANGEROUS,
        _ => Categories::NONE,
    };
    let read = match spec.group {
        Group::Scripting => Categories::NONE,
        _ => flag(Flags::READONLY, Categories::READ),
    };
    let speed = if spec.flags.has(Flags::FAST) {
        Categories::FAST
    } else {
        Categories::SLOW
    };
    read.and(speed)
        .and(dangerous)
        .and(flag(Flags::WRITE, Categories::WRITE))
        .and(flag(
            Flags::ADMIN,
            Categories::ADMIN.and(Categories::DANGEROUS),
        ))
        .and(flag(Flags::PUBSUB, Categories::PUBSUB))
        .and(flag(Flags::BLOCKING, Categories::BLOCKING))
}

/// What follows from the group, and the lines where Redis sees it otherwise.
fn data(spec: &Spec) -> Categories {
    match spec.id {
        Id::Sort | Id::SortRo => Categories::LIST
            .and(Categories::SET)
            .and(Categories::SORTED_SET),
        Id::Dbsize | Id::Flushall | Id::Flushdb | Id::Swapdb | Id::RestoreAsking => {
            Categories::KEYSPACE
        }
        Id::Wait | Id::Asking | Id::Readonly | Id::Readwrite => Categories::CONNECTION,
        _ if spec.name.split('|').next() == Some("command") => Categories::CONNECTION,
        Id::PubsubHelp => Categories::NONE,
        _ if spec.is_container() => Categories::NONE,
        _ => of_group(spec.group),
    }
}

fn of_group(group: Group) -> Categories {
    match group {
        Group::String => Categories::STRING,
        Group::Bitmap => Categories::BITMAP,
        Group::Generic => Categories::KEYSPACE,
        Group::List => Categories::LIST,
        Group::Set => Categories::SET,
        Group::Hash => Categories::HASH,
        Group::SortedSet => Categories::SORTED_SET,
        Group::Hyperloglog => Categories::HYPERLOGLOG,
        Group::Geo => Categories::GEO,
        Group::Stream => Categories::STREAM,
        Group::Pubsub => Categories::PUBSUB,
        Group::Transactions => Categories::TRANSACTION,
        Group::Scripting => Categories::SCRIPTING,
        Group::Connection => Categories::CONNECTION,
        Group::Server | Group::Cluster => Categories::NONE,
    }
}
