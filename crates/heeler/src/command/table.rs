//! One line for every command of Redis 7.0, subcommands included, and for the hidden ones, which
//! only other doors and other nodes use: what it is called, how many arguments it takes, which of
//! them are keys and what it does with them, which room of a node answers it, and how a proxy
//! spreads it over its servers.
//!
//! Adding a command touches a line here, one in `docs` and one in `arguments.txt`, one arm in the
//! room that answers it, and one test row. A container is served where one of its subcommands is.
//! No blocking command goes through a proxy: it would hold up everyone on the same server
//! connection.

use super::Keys::*;
use super::{Flags, Group, KeyUse, Room::*, Spec, Split::*};

macro_rules! table {
    ($($id:ident, $name:literal, $arity:literal, $keys:expr, [$($use:ident)*],
       $room:expr, $split:expr, $group:ident, $($flag:ident)|+;)*) => {
        /// Every command and subcommand, by name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(missing_docs)]
        pub enum Id { $($id),* }

        /// Every line, in the order of [`Id`].
        pub static TABLE: &[Spec] = &[$(Spec {
            id: Id::$id,
            name: $name,
            arity: $arity,
            keys: $keys,
            uses: &[$(KeyUse::$use),*],
            room: $room,
            split: $split,
            group: Group::$group,
            flags: Flags::NONE$(.and(Flags::$flag))+,
        }),*];
    };
}

table! {
    // id                      name                           arity keys          their uses                   room     split        group         flags

    // string
    Append,                    "append",                      3,   Range(1,1,1),   [RW_INSERT],                 Store,   Whole,       String,       DENYOOM | FAST | WRITE;
    Decr,                      "decr",                        2,   Range(1,1,1),   [RW_ACCESS_UPDATE],          Store,   Whole,       String,       DENYOOM | FAST | WRITE;
    Decrby,                    "decrby",                      3,   Range(1,1,1),   [RW_ACCESS_UPDATE],          Store,   Whole,       String,       DENYOOM | FAST | WRITE;
    Get,                       "get",                         2,   Range(1,1,1),   [RO_ACCESS],                 Store,   Whole,       String,       FAST | READONLY;
    Getdel,                    "getdel",                      2,   Range(1,1,1),   [RW_ACCESS_DELETE],          Store,   Whole,       String,       FAST | WRITE;
    Getex,                     "getex",                       -2,  Range(1,1,1),   [RW_ACCESS_UPDATE],          Store,   Whole,       String,       FAST | WRITE;
    Getrange,                  "getrange",                    4,   Range(1,1,1),   [RO_ACCESS],                 Store,   Whole,       String,       READONLY;
    Getset,                    "getset",                      3,   Range(1,1,1),   [RW_ACCESS_UPDATE],          Store,   Whole,       String,       DENYOOM | FAST | WRITE;
    Incr,                      "incr",                        2,   Range(1,1,1),   [RW_ACCESS_UPDATE],          Store,   Whole,       String,       DENYOOM | FAST | WRITE;
    Incrby,                    "incrby",                      3,   Range(1,1,1),   [RW_ACCESS_UPDATE],          Store,   Whole,       String,       DENYOOM | FAST | WRITE;
    Incrbyfloat,               "incrbyfloat",                 3,   Range(1,1,1),   [RW_ACCESS_UPDATE],          Store,   Whole,       String,       DENYOOM | FAST | WRITE;
    Lcs,                       "lcs",                         -3,  Range(1,2,1),   [RO_ACCESS],                 Store,   Whole,       String,       READONLY;
    Mget,                      "mget",                        -2,  Range(1,-1,1),  [RO_ACCESS],                 Store,   Gather,      String,       FAST | READONLY;
    Mset,                      "mset",                        -3,  Range(1,-1,2),  [OW_UPDATE],                 Store,   AllOk,       String,       DENYOOM | WRITE;
    Msetnx,                    "msetnx",                      -3,  Range(1,-1,2),  [OW_INSERT],                 Store,   Whole,       String,       DENYOOM | WRITE;
    Psetex,                    "psetex",                      4,   Range(1,1,1),   [OW_UPDATE],                 Store,   Whole,       String,       DENYOOM | WRITE;
    Set,                       "set",                         -3,  Range(1,1,1),   [RW_ACCESS_UPDATE_OR_LESS],  Store,   Whole,       String,       DENYOOM | WRITE;
    Setex,                     "setex",                       4,   Range(1,1,1),   [OW_UPDATE],                 Store,   Whole,       String,       DENYOOM | WRITE;
    Setnx,                     "setnx",                       3,   Range(1,1,1),   [OW_INSERT],                 Store,   Whole,       String,       DENYOOM | FAST | WRITE;
    Setrange,                  "setrange",                    4,   Range(1,1,1),   [RW_UPDATE],                 Store,   Whole,       String,       DENYOOM | WRITE;
    Strlen,                    "strlen",                      2,   Range(1,1,1),   [RO],                        Store,   Whole,       String,       FAST | READONLY;
    Substr,                    "substr",                      4,   Range(1,1,1),   [RO_ACCESS],                 Store,   Whole,       String,       READONLY;

    // bitmap
    Bitcount,                  "bitcount",                    -2,  Range(1,1,1),   [RO_ACCESS],                 Store,   Whole,       Bitmap,       READONLY;
    Bitfield,                  "bitfield",                    -2,  Range(1,1,1),   [RW_ACCESS_UPDATE_OR_LESS],  Store,   Whole,       Bitmap,       DENYOOM | WRITE;
    BitfieldRo,                "bitfield_ro",                 -2,  Range(1,1,1),   [RO_ACCESS],                 Store,   Whole,       Bitmap,       FAST | READONLY;
    Bitop,                     "bitop",                       -4,  Range(2,-1,1),  [OW_UPDATE RO_ACCESS],       Store,   Whole,       Bitmap,       DENYOOM | WRITE;
    Bitpos,                    "bitpos",                      -3,  Range(1,1,1),   [RO_ACCESS],                 Store,   Whole,       Bitmap,       READONLY;
    Getbit,                    "getbit",                      3,   Range(1,1,1),   [RO_ACCESS],                 Store,   Whole,       Bitmap,       FAST | READONLY;
    Setbit,                    "setbit",                      4,   Range(1,1,1),   [RW_ACCESS_UPDATE],          Store,   Whole,       Bitmap,       DENYOOM | WRITE;

    // generic
    Copy,                      "copy",                        -3,  Range(1,2,1),   [RO_ACCESS OW_UPDATE],       Store,   Whole,       Generic,      DENYOOM | WRITE;
    Del,                       "del",                         -2,  Range(1,-1,1),  [RM_DELETE],                 Store,   Sum,         Generic,      WRITE;
    Dump,                      "dump",                        2,   Range(1,1,1),   [RO_ACCESS],                 Store,   Whole,       Generic,      READONLY;
    Exists,                    "exists",                      -2,  Range(1,-1,1),  [RO],                        Store,   Sum,         Generic,      FAST | READONLY;
    Expire,                    "expire",                      -3,  Range(1,1,1),   [RW_UPDATE],                 Store,   Whole,       Generic,      FAST | WRITE;
    Expireat,                  "expireat",                    -3,  Range(1,1,1),   [RW_UPDATE],                 Store,   Whole,       Generic,      FAST | WRITE;
    Expiretime,                "expiretime",                  2,   Range(1,1,1),   [RO_ACCESS],                 Store,   Whole,       Generic,      FAST | READONLY;
    Keys,                      "keys",                        2,   Keyless,        [],                          Store,   EveryGather, Generic,      READONLY;
    Migrate,                   "migrate",                     -6,  Migrate,        [RW_ACCESS_DELETE RW_ACCESS_DELETE], Absent,  Never,       Generic,      WRITE;
    Move,                      "move",                        3,   Range(1,1,1),   [RW_ACCESS_UPDATE],          Store,   Never,       Generic,      FAST | WRITE;
    Object,                    "object",                      -2,  Keyless,        [],                          Store,   Whole,       Generic,      NONE;
    ObjectEncoding,            "object|encoding",             3,   Range(2,2,1),   [RO],                        Store,   Whole,       Generic,      READONLY;
    ObjectFreq,                "object|freq",                 3,   Range(2,2,1),   [RO],                        Store,   Whole,       Generic,      READONLY;
    ObjectHelp,                "object|help",                 2,   Keyless,        [],                          Store,   Never,       Generic,      LOADING | STALE;
    ObjectIdletime,            "object|idletime",             3,   Range(2,2,1),   [RO],                        Store,   Whole,       Generic,      READONLY;
    ObjectRefcount,            "object|refcount",             3,   Range(2,2,1),   [RO],                        Store,   Whole,       Generic,      READONLY;
    Persist,                   "persist",                     2,   Range(1,1,1),   [RW_UPDATE],                 Store,   Whole,       Generic,      FAST | WRITE;
    Pexpire,                   "pexpire",                     -3,  Range(1,1,1),   [RW_UPDATE],                 Store,   Whole,       Generic,      FAST | WRITE;
    Pexpireat,                 "pexpireat",                   -3,  Range(1,1,1),   [RW_UPDATE],                 Store,   Whole,       Generic,      FAST | WRITE;
    Pexpiretime,               "pexpiretime",                 2,   Range(1,1,1),   [RO_ACCESS],                 Store,   Whole,       Generic,      FAST | READONLY;
    Pttl,                      "pttl",                        2,   Range(1,1,1),   [RO_ACCESS],                 Store,   Whole,       Generic,      FAST | READONLY;
    Randomkey,                 "randomkey",                   1,   Keyless,        [],                          Store,   EveryAny,    Generic,      READONLY;
    Rename,                    "rename",                      3,   Range(1,2,1),   [RW_ACCESS_DELETE OW_UPDATE], Store,   Whole,       Generic,      WRITE;
    Renamenx,                  "renamenx",                    3,   Range(1,2,1),   [RW_ACCESS_DELETE OW_INSERT], Store,   Whole,       Generic,      FAST | WRITE;
    Restore,                   "restore",                     -4,  Range(1,1,1),   [OW_UPDATE],                 Store,   Whole,       Generic,      DENYOOM | WRITE;
    Scan,                      "scan",                        -2,  Keyless,        [],                          Store,   Scan,        Generic,      READONLY;
    Sort,                      "sort",                        -2,  Sort,           [RO_ACCESS RO_ACCESS OW_UPDATE], Store,   Whole,       Generic,      DENYOOM | WRITE;
    SortRo,                    "sort_ro",                     -2,  Sort,           [RO_ACCESS RO_ACCESS],       Store,   Whole,       Generic,      READONLY;
    Touch,                     "touch",                       -2,  Range(1,-1,1),  [RO],                        Store,   Sum,         Generic,      FAST | READONLY;
    Ttl,                       "ttl",                         2,   Range(1,1,1),   [RO_ACCESS],                 Store,   Whole,       Generic,      FAST | READONLY;
    Type,                      "type",                        2,   Range(1,1,1),   [RO],                        Store,   Whole,       Generic,      FAST | READONLY;
    Unlink,                    "unlink",                      -2,  Range(1,-1,1),  [RM_DELETE],                 Store,   Sum,         Generic,      FAST | WRITE;
    Wait,                      "wait",                        3,   Keyless,        [],                          Process, Never,       Generic,      NOSCRIPT;

    // list
    Blmove,                    "blmove",                      6,   Range(1,2,1),   [RW_ACCESS_DELETE RW_INSERT], Store,   Never,       List,         BLOCKING | DENYOOM | NOSCRIPT | WRITE;
    Blmpop,                    "blmpop",                      -5,  Counted(2),     [RW_ACCESS_DELETE],          Store,   Never,       List,         BLOCKING | WRITE;
    Blpop,                     "blpop",                       -3,  Range(1,-2,1),  [RW_ACCESS_DELETE],          Store,   Never,       List,         BLOCKING | NOSCRIPT | WRITE;
    Brpop,                     "brpop",                       -3,  Range(1,-2,1),  [RW_ACCESS_DELETE],          Store,   Never,       List,         BLOCKING | NOSCRIPT | WRITE;
    Brpoplpush,                "brpoplpush",                  4,   Range(1,2,1),   [RW_ACCESS_DELETE RW_INSERT], Store,   Never,       List,         BLOCKING | DENYOOM | NOSCRIPT | WRITE;
    Lindex,                    "lindex",                      3,   Range(1,1,1),   [RO_ACCESS],                 Store,   Whole,       List,         READONLY;
    Linsert,                   "linsert",                     5,   Range(1,1,1),   [RW_INSERT],                 Store,   Whole,       List,         DENYOOM | WRITE;
    Llen,                      "llen",                        2,   Range(1,1,1),   [RO],                        Store,   Whole,       List,         FAST | READONLY;
    Lmove,                     "lmove",                       5,   Range(1,2,1),   [RW_ACCESS_DELETE RW_INSERT], Store,   Whole,       List,         DENYOOM | WRITE;
    Lmpop,                     "lmpop",                       -4,  Counted(1),     [RW_ACCESS_DELETE],          Store,   Whole,       List,         WRITE;
    Lpop,                      "lpop",                        -2,  Range(1,1,1),   [RW_ACCESS_DELETE],          Store,   Whole,       List,         FAST | WRITE;
    Lpos,                      "lpos",                        -3,  Range(1,1,1),   [RO_ACCESS],                 Store,   Whole,       List,         READONLY;
    Lpush,                     "lpush",                       -3,  Range(1,1,1),   [RW_INSERT],                 Store,   Whole,       List,         DENYOOM | FAST | WRITE;
    Lpushx,                    "lpushx",                      -3,  Range(1,1,1),   [RW_INSERT],                 Store,   Whole,       List,         DENYOOM | FAST | WRITE;
    Lrange,                    "lrange",                      4,   Range(1,1,1),   [RO_ACCESS],                 Store,   Whole,       List,         READONLY;
    Lrem,                      "lrem",                        4,   Range(1,1,1),   [RW_DELETE],                 Store,   Whole,       List,         WRITE;
    Lset,                      "lset",                        4,   Range(1,1,1),   [RW_UPDATE],                 Store,   Whole,       List,         DENYOOM | WRITE;
    Ltrim,                     "ltrim",                       4,   Range(1,1,1),   [RW_DELETE],                 Store,   Whole,       List,         WRITE;
    Rpop,                      "rpop",                        -2,  Range(1,1,1),   [RW_ACCESS_DELETE],          Store,   Whole,       List,         FAST | WRITE;
    Rpoplpush,                 "rpoplpush",                   3,   Range(1,2,1),   [RW_ACCESS_DELETE RW_INSERT], Store,   Whole,       List,         DENYOOM | WRITE;
    Rpush,                     "rpush",                       -3,  Range(1,1,1),   [RW_INSERT],                 Store,   Whole,       List,         DENYOOM | FAST | WRITE;
    Rpushx,                    "rpushx",                      -3,  Range(1,1,1),   [RW_INSERT],                 Store,   Whole,       List,         DENYOOM | FAST | WRITE;

    // set
    Sadd,                      "sadd",                        -3,  Range(1,1,1),   [RW_INSERT],                 Store,   Whole,       Set,          DENYOOM | FAST | WRITE;
    Scard,                     "scard",                       2,   Range(1,1,1),   [RO],                        Store,   Whole,       Set,          FAST | READONLY;
    Sdiff,                     "sdiff",                       -2,  Range(1,-1,1),  [RO_ACCESS],                 Store,   Whole,       Set,          READONLY;
    Sdiffstore,                "sdiffstore",                  -3,  Range(1,-1,1),  [OW_UPDATE RO_ACCESS],       Store,   Whole,       Set,          DENYOOM | WRITE;
    Sinter,                    "sinter",                      -2,  Range(1,-1,1),  [RO_ACCESS],                 Store,   Whole,       Set,          READONLY;
    Sintercard,                "sintercard",                  -3,  Counted(1),     [RO_ACCESS],                 Store,   Whole,       Set,          READONLY;
    Sinterstore,               "sinterstore",                 -3,  Range(1,-1,1),  [RW_UPDATE RO_ACCESS],       Store,   Whole,       Set,          DENYOOM | WRITE;
    Sismember,                 "sismember",                   3,   Range(1,1,1),   [RO],                        Store,   Whole,       Set,          FAST | READONLY;
    Smembers,                  "smembers",                    2,   Range(1,1,1),   [RO_ACCESS],                 Store,   Whole,       Set,          READONLY;
    Smismember,                "smismember",                  -3,  Range(1,1,1),   [RO_ACCESS],                 Store,   Whole,       Set,          FAST | READONLY;
    Smove,                     "smove",                       4,   Range(1,2,1),   [RW_ACCESS_DELETE RW_INSERT], Store,   Whole,       Set,          FAST | WRITE;
    Spop,                      "spop",                        -2,  Range(1,1,1),   [RW_ACCESS_DELETE],          Store,   Whole,       Set,          FAST | WRITE;
    Srandmember,               "srandmember",                 -2,  Range(1,1,1),   [RO_ACCESS],                 Store,   Whole,       Set,          READONLY;
    Srem,                      "srem",                        -3,  Range(1,1,1),   [RW_DELETE],                 Store,   Whole,       Set,          FAST | WRITE;
    Sscan,                     "sscan",                       -3,  Range(1,1,1),   [RO_ACCESS],                 Store,   Whole,       Set,          READONLY;
    Sunion,                    "sunion",                      -2,  Range(1,-1,1),  [RO_ACCESS],                 Store,   Whole,       Set,          READONLY;
    Sunionstore,               "sunionstore",                 -3,  Range(1,-1,1),  [OW_UPDATE RO_ACCESS],       Store,   Whole,       Set,          DENYOOM | WRITE;

    // hash
    Hdel,                      "hdel",                        -3,  Range(1,1,1),   [RW_DELETE],                 Store,   Whole,       Hash,         FAST | WRITE;
    Hexists,                   "hexists",                     3,   Range(1,1,1),   [RO],                        Store,   Whole,       Hash,         FAST | READONLY;
    Hget,                      "hget",                        3,   Range(1,1,1),   [RO_ACCESS],                 Store,   Whole,       Hash,         FAST | READONLY;
    Hgetall,                   "hgetall",                     2,   Range(1,1,1),   [RO_ACCESS],                 Store,   Whole,       Hash,         READONLY;
    Hincrby,                   "hincrby",                     4,   Range(1,1,1),   [RW_ACCESS_UPDATE],          Store,   Whole,       Hash,         DENYOOM | FAST | WRITE;
    Hincrbyfloat,              "hincrbyfloat",                4,   Range(1,1,1),   [RW_ACCESS_UPDATE],          Store,   Whole,       Hash,         DENYOOM | FAST | WRITE;
    Hkeys,                     "hkeys",                       2,   Range(1,1,1),   [RO_ACCESS],                 Store,   Whole,       Hash,         READONLY;
    Hlen,                      "hlen",                        2,   Range(1,1,1),   [RO],                        Store,   Whole,       Hash,         FAST | READONLY;
    Hmget,                     "hmget",                       -3,  Range(1,1,1),   [RO_ACCESS],                 Store,   Whole,       Hash,         FAST | READONLY;
    Hmset,                     "hmset",                       -4,  Range(1,1,1),   [RW_UPDATE],                 Store,   Whole,       Hash,         DENYOOM | FAST | WRITE;
    Hrandfield,                "hrandfield",                  -2,  Range(1,1,1),   [RO_ACCESS],                 Store,   Whole,       Hash,         READONLY;
    Hscan,                     "hscan",                       -3,  Range(1,1,1),   [RO_ACCESS],                 Store,   Whole,       Hash,         READONLY;
    Hset,                      "hset",                        -4,  Range(1,1,1),   [RW_UPDATE],                 Store,   Whole,       Hash,         DENYOOM | FAST | WRITE;
    Hsetnx,                    "hsetnx",                      4,   Range(1,1,1),   [RW_INSERT],                 Store,   Whole,       Hash,         DENYOOM | FAST | WRITE;
    Hstrlen,                   "hstrlen",                     3,   Range(1,1,1),   [RO],                        Store,   Whole,       Hash,         FAST | READONLY;
    Hvals,                     "hvals",                       2,   Range(1,1,1),   [RO_ACCESS],                 Store,   Whole,       Hash,         READONLY;

    // sorted-set
    Bzmpop,                    "bzmpop",                      -5,  Counted(2),     [RW_ACCESS_DELETE],          Store,   Never,       SortedSet,    BLOCKING | WRITE;
    Bzpopmax,                  "bzpopmax",                    -3,  Range(1,-2,1),  [RW_ACCESS_DELETE],          Store,   Never,       SortedSet,    BLOCKING | FAST | NOSCRIPT | WRITE;
    Bzpopmin,                  "bzpopmin",                    -3,  Range(1,-2,1),  [RW_ACCESS_DELETE],          Store,   Never,       SortedSet,    BLOCKING | FAST | NOSCRIPT | WRITE;
    Zadd,                      "zadd",                        -4,  Range(1,1,1),   [RW_UPDATE],                 Store,   Whole,       SortedSet,    DENYOOM | FAST | WRITE;
    Zcard,                     "zcard",                       2,   Range(1,1,1),   [RO],                        Store,   Whole,       SortedSet,    FAST | READONLY;
    Zcount,                    "zcount",                      4,   Range(1,1,1),   [RO_ACCESS],                 Store,   Whole,       SortedSet,    FAST | READONLY;
    Zdiff,                     "zdiff",                       -3,  Counted(1),     [RO_ACCESS],                 Store,   Whole,       SortedSet,    READONLY;
    Zdiffstore,                "zdiffstore",                  -4,  DestCounted(2), [OW_UPDATE RO_ACCESS],       Store,   Whole,       SortedSet,    DENYOOM | WRITE;
    Zincrby,                   "zincrby",                     4,   Range(1,1,1),   [RW_ACCESS_UPDATE],          Store,   Whole,       SortedSet,    DENYOOM | FAST | WRITE;
    Zinter,                    "zinter",                      -3,  Counted(1),     [RO_ACCESS],                 Store,   Whole,       SortedSet,    READONLY;
    Zintercard,                "zintercard",                  -3,  Counted(1),     [RO_ACCESS],                 Store,   Whole,       SortedSet,    READONLY;
    Zinterstore,               "zinterstore",                 -4,  DestCounted(2), [OW_UPDATE RO_ACCESS],       Store,   Whole,       SortedSet,    DENYOOM | WRITE;
    Zlexcount,                 "zlexcount",                   4,   Range(1,1,1),   [RO_ACCESS],                 Store,   Whole,       SortedSet,    FAST | READONLY;
    Zmpop,                     "zmpop",                       -4,  Counted(1),     [RW_ACCESS_DELETE],          Store,   Whole,       SortedSet,    WRITE;
    Zmscore,                   "zmscore",                     -3,  Range(1,1,1),   [RO_ACCESS],                 Store,   Whole,       SortedSet,    FAST | READONLY;
    Zpopmax,                   "zpopmax",                     -2,  Range(1,1,1),   [RW_ACCESS_DELETE],          Store,   Whole,       SortedSet,    FAST | WRITE;
    Zpopmin,                   "zpopmin",                     -2,  Range(1,1,1),   [RW_ACCESS_DELETE],          Store,   Whole,       SortedSet,    FAST | WRITE;
    Zrandmember,               "zrandmember",                 -2,  Range(1,1,1),   [RO_ACCESS],                 Store,   Whole,       SortedSet,    READONLY;
    Zrange,                    "zrange",                      -4,  Range(1,1,1),   [RO_ACCESS],                 Store,   Whole,       SortedSet,    READONLY;
    Zrangebylex,               "zrangebylex",                 -4,  Range(1,1,1),   [RO_ACCESS],                 Store,   Whole,       SortedSet,    READONLY;
    Zrangebyscore,             "zrangebyscore",               -4,  Range(1,1,1),   [RO_ACCESS],                 Store,   Whole,       SortedSet,    READONLY;
    Zrangestore,               "zrangestore",                 -5,  Range(1,2,1),   [OW_UPDATE RO_ACCESS],       Store,   Whole,       SortedSet,    DENYOOM | WRITE;
    Zrank,                     "zrank",                       3,   Range(1,1,1),   [RO_ACCESS],                 Store,   Whole,       SortedSet,    FAST | READONLY;
    Zrem,                      "zrem",                        -3,  Range(1,1,1),   [RW_DELETE],                 Store,   Whole,       SortedSet,    FAST | WRITE;
    Zremrangebylex,            "zremrangebylex",              4,   Range(1,1,1),   [RW_DELETE],                 Store,   Whole,       SortedSet,    WRITE;
    Zremrangebyrank,           "zremrangebyrank",             4,   Range(1,1,1),   [RW_DELETE],                 Store,   Whole,       SortedSet,    WRITE;
    Zremrangebyscore,          "zremrangebyscore",            4,   Range(1,1,1),   [RW_DELETE],                 Store,   Whole,       SortedSet,    WRITE;
    Zrevrange,                 "zrevrange",                   -4,  Range(1,1,1),   [RO_ACCESS],                 Store,   Whole,       SortedSet,    READONLY;
    Zrevrangebylex,            "zrevrangebylex",              -4,  Range(1,1,1),   [RO_ACCESS],                 Store,   Whole,       SortedSet,    READONLY;
    Zrevrangebyscore,          "zrevrangebyscore",            -4,  Range(1,1,1),   [RO_ACCESS],                 Store,   Whole,       SortedSet,    READONLY;
    Zrevrank,                  "zrevrank",                    3,   Range(1,1,1),   [RO_ACCESS],                 Store,   Whole,       SortedSet,    FAST | READONLY;
    Zscan,                     "zscan",                       -3,  Range(1,1,1),   [RO_ACCESS],                 Store,   Whole,       SortedSet,    READONLY;
    Zscore,                    "zscore",                      3,   Range(1,1,1),   [RO_ACCESS],                 Store,   Whole,       SortedSet,    FAST | READONLY;
    Zunion,                    "zunion",                      -3,  Counted(1),     [RO_ACCESS],                 Store,   Whole,       SortedSet,    READONLY;
    Zunionstore,               "zunionstore",                 -4,  DestCounted(2), [OW_UPDATE RO_ACCESS],       Store,   Whole,       SortedSet,    DENYOOM | WRITE;

    // hyperloglog
    Pfadd,                     "pfadd",                       -2,  Range(1,1,1),   [RW_INSERT],                 Store,   Whole,       Hyperloglog,  DENYOOM | FAST | WRITE;
    Pfcount,                   "pfcount",                     -2,  Range(1,-1,1),  [RW_ACCESS],                 Store,   Whole,       Hyperloglog,  READONLY;
    Pfdebug,                   "pfdebug",                     3,   Range(2,2,1),   [RW_ACCESS],                 Store,   Never,       Hyperloglog,  ADMIN | DENYOOM | WRITE;
    Pfmerge,                   "pfmerge",                     -2,  Range(1,-1,1),  [RW_ACCESS_INSERT RO_ACCESS], Store,   Whole,       Hyperloglog,  DENYOOM | WRITE;
    Pfselftest,                "pfselftest",                  1,   Keyless,        [],                          Process, Never,       Hyperloglog,  ADMIN;

    // geo
    Geoadd,                    "geoadd",                      -5,  Range(1,1,1),   [RW_UPDATE],                 Absent,  Whole,       Geo,          DENYOOM | WRITE;
    Geodist,                   "geodist",                     -4,  Range(1,1,1),   [RO_ACCESS],                 Absent,  Whole,       Geo,          READONLY;
    Geohash,                   "geohash",                     -2,  Range(1,1,1),   [RO_ACCESS],                 Absent,  Whole,       Geo,          READONLY;
    Geopos,                    "geopos",                      -2,  Range(1,1,1),   [RO_ACCESS],                 Absent,  Whole,       Geo,          READONLY;
    Georadius,                 "georadius",                   -6,  GeoRadius,      [RO_ACCESS OW_UPDATE OW_UPDATE], Absent,  Whole,       Geo,          DENYOOM | WRITE;
    GeoradiusRo,               "georadius_ro",                -6,  Range(1,1,1),   [RO_ACCESS],                 Absent,  Whole,       Geo,          READONLY;
    Georadiusbymember,         "georadiusbymember",           -5,  GeoRadius,      [RO_ACCESS OW_UPDATE OW_UPDATE], Absent,  Whole,       Geo,          DENYOOM | WRITE;
    GeoradiusbymemberRo,       "georadiusbymember_ro",        -5,  Range(1,1,1),   [RO_ACCESS],                 Absent,  Whole,       Geo,          READONLY;
    Geosearch,                 "geosearch",                   -7,  Range(1,1,1),   [RO_ACCESS],                 Absent,  Whole,       Geo,          READONLY;
    Geosearchstore,            "geosearchstore",              -8,  Range(1,2,1),   [OW_UPDATE RO_ACCESS],       Absent,  Whole,       Geo,          DENYOOM | WRITE;

    // stream
    Xack,                      "xack",                        -4,  Range(1,1,1),   [RW_UPDATE],                 Absent,  Whole,       Stream,       FAST | WRITE;
    Xadd,                      "xadd",                        -5,  Range(1,1,1),   [RW_UPDATE],                 Absent,  Whole,       Stream,       DENYOOM | FAST | WRITE;
    Xautoclaim,                "xautoclaim",                  -6,  Range(1,1,1),   [RW_DELETE],                 Absent,  Whole,       Stream,       FAST | WRITE;
    Xclaim,                    "xclaim",                      -6,  Range(1,1,1),   [RW_UPDATE],                 Absent,  Whole,       Stream,       FAST | WRITE;
    Xdel,                      "xdel",                        -3,  Range(1,1,1),   [RW_DELETE],                 Absent,  Whole,       Stream,       FAST | WRITE;
    Xgroup,                    "xgroup",                      -2,  Keyless,        [],                          Absent,  Whole,       Stream,       NONE;
    XgroupCreate,              "xgroup|create",               -5,  Range(2,2,1),   [RW_INSERT],                 Absent,  Whole,       Stream,       DENYOOM | WRITE;
    XgroupCreateconsumer,      "xgroup|createconsumer",       5,   Range(2,2,1),   [RW_INSERT],                 Absent,  Whole,       Stream,       DENYOOM | WRITE;
    XgroupDelconsumer,         "xgroup|delconsumer",          5,   Range(2,2,1),   [RW_DELETE],                 Absent,  Whole,       Stream,       WRITE;
    XgroupDestroy,             "xgroup|destroy",              4,   Range(2,2,1),   [RW_DELETE],                 Absent,  Whole,       Stream,       WRITE;
    XgroupHelp,                "xgroup|help",                 2,   Keyless,        [],                          Absent,  Never,       Stream,       LOADING | STALE;
    XgroupSetid,               "xgroup|setid",                -5,  Range(2,2,1),   [RW_UPDATE],                 Absent,  Whole,       Stream,       WRITE;
    Xinfo,                     "xinfo",                       -2,  Keyless,        [],                          Absent,  Whole,       Stream,       NONE;
    XinfoConsumers,            "xinfo|consumers",             4,   Range(2,2,1),   [RO_ACCESS],                 Absent,  Whole,       Stream,       READONLY;
    XinfoGroups,               "xinfo|groups",                3,   Range(2,2,1),   [RO_ACCESS],                 Absent,  Whole,       Stream,       READONLY;
    XinfoHelp,                 "xinfo|help",                  2,   Keyless,        [],                          Absent,  Never,       Stream,       LOADING | STALE;
    XinfoStream,               "xinfo|stream",                -3,  Range(2,2,1),   [RO_ACCESS],                 Absent,  Whole,       Stream,       READONLY;
    Xlen,                      "xlen",                        2,   Range(1,1,1),   [RO],                        Absent,  Whole,       Stream,       FAST | READONLY;
    Xpending,                  "xpending",                    -3,  Range(1,1,1),   [RO_ACCESS],                 Absent,  Whole,       Stream,       READONLY;
    Xrange,                    "xrange",                      -4,  Range(1,1,1),   [RO_ACCESS],                 Absent,  Whole,       Stream,       READONLY;
    Xread,                     "xread",                       -4,  Streams,        [RO_ACCESS],                 Absent,  Never,       Stream,       BLOCKING | READONLY;
    Xreadgroup,                "xreadgroup",                  -7,  Streams,        [RO_ACCESS],                 Absent,  Never,       Stream,       BLOCKING | WRITE;
    Xrevrange,                 "xrevrange",                   -4,  Range(1,1,1),   [RO_ACCESS],                 Absent,  Whole,       Stream,       READONLY;
    Xsetid,                    "xsetid",                      -3,  Range(1,1,1),   [RW_UPDATE],                 Absent,  Whole,       Stream,       DENYOOM | FAST | WRITE;
    Xtrim,                     "xtrim",                       -4,  Range(1,1,1),   [RW_DELETE],                 Absent,  Whole,       Stream,       WRITE;

    // pubsub
    Psubscribe,                "psubscribe",                  -2,  Keyless,        [],                          Session,  Never,       Pubsub,       LOADING | NOSCRIPT | PUBSUB | STALE;
    Publish,                   "publish",                     3,   Keyless,        [],                          Process,  Never,       Pubsub,       FAST | LOADING | PUBSUB | STALE;
    Pubsub,                    "pubsub",                      -2,  Keyless,        [],                          Process,  Never,       Pubsub,       NONE;
    PubsubChannels,            "pubsub|channels",             -2,  Keyless,        [],                          Process,  Never,       Pubsub,       LOADING | PUBSUB | STALE;
    PubsubHelp,                "pubsub|help",                 2,   Keyless,        [],                          Process,  Never,       Pubsub,       LOADING | STALE;
    PubsubNumpat,              "pubsub|numpat",               2,   Keyless,        [],                          Process,  Never,       Pubsub,       LOADING | PUBSUB | STALE;
    PubsubNumsub,              "pubsub|numsub",               -2,  Keyless,        [],                          Process,  Never,       Pubsub,       LOADING | PUBSUB | STALE;
    PubsubShardchannels,       "pubsub|shardchannels",        -2,  Keyless,        [],                          Process,  Never,       Pubsub,       LOADING | PUBSUB | STALE;
    PubsubShardnumsub,         "pubsub|shardnumsub",          -2,  Keyless,        [],                          Process,  Never,       Pubsub,       LOADING | PUBSUB | STALE;
    Punsubscribe,              "punsubscribe",                -1,  Keyless,        [],                          Session,  Never,       Pubsub,       LOADING | NOSCRIPT | PUBSUB | STALE;
    Spublish,                  "spublish",                    3,   Range(1,1,1),   [NOT_KEY],                   Process,  Never,       Pubsub,       FAST | LOADING | PUBSUB | STALE;
    Ssubscribe,                "ssubscribe",                  -2,  Range(1,-1,1),  [NOT_KEY],                   Session,  Never,       Pubsub,       LOADING | NOSCRIPT | PUBSUB | STALE;
    Subscribe,                 "subscribe",                   -2,  Keyless,        [],                          Session,  Never,       Pubsub,       LOADING | NOSCRIPT | PUBSUB | STALE;
    Sunsubscribe,              "sunsubscribe",                -1,  Range(1,-1,1),  [NOT_KEY],                   Session,  Never,       Pubsub,       LOADING | NOSCRIPT | PUBSUB | STALE;
    Unsubscribe,               "unsubscribe",                 -1,  Keyless,        [],                          Session,  Never,       Pubsub,       LOADING | NOSCRIPT | PUBSUB | STALE;

    // transactions
    Discard,                   "discard",                     1,   Keyless,        [],                          Session, Never,       Transactions, ALLOW_BUSY | FAST | LOADING | NOSCRIPT | STALE;
    Exec,                      "exec",                        1,   Keyless,        [],                          Session, Never,       Transactions, LOADING | NOSCRIPT | SKIP_SLOWLOG | STALE;
    Multi,                     "multi",                       1,   Keyless,        [],                          Session, Never,       Transactions, ALLOW_BUSY | FAST | LOADING | NOSCRIPT | STALE;
    Unwatch,                   "unwatch",                     1,   Keyless,        [],                          Session, Never,       Transactions, ALLOW_BUSY | FAST | LOADING | NOSCRIPT | STALE;
    Watch,                     "watch",                       -2,  Range(1,-1,1),  [RO],                        Session, Never,       Transactions, ALLOW_BUSY | FAST | LOADING | NOSCRIPT | STALE;

    // scripting
    Eval,                      "eval",                        -3,  Counted(2),     [RW_ACCESS_UPDATE],          Absent,  Whole,       Scripting,    NO_MANDATORY_KEYS | NOSCRIPT | SKIP_MONITOR | STALE;
    EvalRo,                    "eval_ro",                     -3,  Counted(2),     [RO_ACCESS],                 Absent,  Whole,       Scripting,    NO_MANDATORY_KEYS | NOSCRIPT | READONLY | SKIP_MONITOR | STALE;
    Evalsha,                   "evalsha",                     -3,  Counted(2),     [RW_ACCESS_UPDATE],          Absent,  Whole,       Scripting,    NO_MANDATORY_KEYS | NOSCRIPT | SKIP_MONITOR | STALE;
    EvalshaRo,                 "evalsha_ro",                  -3,  Counted(2),     [RO_ACCESS],                 Absent,  Whole,       Scripting,    NO_MANDATORY_KEYS | NOSCRIPT | READONLY | SKIP_MONITOR | STALE;
    Fcall,                     "fcall",                       -3,  Counted(2),     [RW_ACCESS_UPDATE],          Absent,  Whole,       Scripting,    NO_MANDATORY_KEYS | NOSCRIPT | SKIP_MONITOR | STALE;
    FcallRo,                   "fcall_ro",                    -3,  Counted(2),     [RO_ACCESS],                 Absent,  Whole,       Scripting,    NO_MANDATORY_KEYS | NOSCRIPT | READONLY | SKIP_MONITOR | STALE;
    Function,                  "function",                    -2,  Keyless,        [],                          Absent,  Never,       Scripting,    NONE;
    FunctionDelete,            "function|delete",             3,   Keyless,        [],                          Absent,  Never,       Scripting,    NOSCRIPT | WRITE;
    FunctionDump,              "function|dump",               2,   Keyless,        [],                          Absent,  Never,       Scripting,    NOSCRIPT;
    FunctionFlush,             "function|flush",              -2,  Keyless,        [],                          Absent,  Never,       Scripting,    NOSCRIPT | WRITE;
    FunctionHelp,              "function|help",               2,   Keyless,        [],                          Absent,  Never,       Scripting,    LOADING | STALE;
    FunctionKill,              "function|kill",               2,   Keyless,        [],                          Absent,  Never,       Scripting,    ALLOW_BUSY | NOSCRIPT;
    FunctionList,              "function|list",               -2,  Keyless,        [],                          Absent,  Never,       Scripting,    NOSCRIPT;
    FunctionLoad,              "function|load",               -3,  Keyless,        [],                          Absent,  Never,       Scripting,    DENYOOM | NOSCRIPT | WRITE;
    FunctionRestore,           "function|restore",            -3,  Keyless,        [],                          Absent,  Never,       Scripting,    DENYOOM | NOSCRIPT | WRITE;
    FunctionStats,             "function|stats",              2,   Keyless,        [],                          Absent,  Never,       Scripting,    ALLOW_BUSY | NOSCRIPT;
    Script,                    "script",                      -2,  Keyless,        [],                          Absent,  EveryOk,     Scripting,    NONE;
    ScriptDebug,               "script|debug",                3,   Keyless,        [],                          Absent,  Never,       Scripting,    NOSCRIPT;
    ScriptExists,              "script|exists",               -3,  Keyless,        [],                          Absent,  EveryLeast,  Scripting,    NOSCRIPT;
    ScriptFlush,               "script|flush",                -2,  Keyless,        [],                          Absent,  EveryOk,     Scripting,    NOSCRIPT;
    ScriptHelp,                "script|help",                 2,   Keyless,        [],                          Absent,  Never,       Scripting,    LOADING | STALE;
    ScriptKill,                "script|kill",                 2,   Keyless,        [],                          Absent,  Never,       Scripting,    ALLOW_BUSY | NOSCRIPT;
    ScriptLoad,                "script|load",                 3,   Keyless,        [],                          Absent,  EverySame,   Scripting,    NOSCRIPT | STALE;

    // connection
    Auth,                      "auth",                        -2,  Keyless,        [],                          Session, Here,        Connection,   ALLOW_BUSY | FAST | LOADING | NO_AUTH | NOSCRIPT | STALE;
    Client,                    "client",                      -2,  Keyless,        [],                          Process, Here,        Connection,   NONE;
    ClientCaching,             "client|caching",              3,   Keyless,        [],                          Session,  Never,       Connection,   LOADING | NOSCRIPT | STALE;
    ClientGetname,             "client|getname",              2,   Keyless,        [],                          Session, Here,        Connection,   LOADING | NOSCRIPT | STALE;
    ClientGetredir,            "client|getredir",             2,   Keyless,        [],                          Session,  Never,       Connection,   LOADING | NOSCRIPT | STALE;
    ClientHelp,                "client|help",                 2,   Keyless,        [],                          Process, Here,        Connection,   LOADING | STALE;
    ClientId,                  "client|id",                   2,   Keyless,        [],                          Session, Here,        Connection,   LOADING | NOSCRIPT | STALE;
    ClientInfo,                "client|info",                 2,   Keyless,        [],                          Session, Here,        Connection,   LOADING | NOSCRIPT | STALE;
    ClientKill,                "client|kill",                 -3,  Keyless,        [],                          Process, Here,        Connection,   ADMIN | LOADING | NOSCRIPT | STALE;
    ClientList,                "client|list",                 -2,  Keyless,        [],                          Process, Here,        Connection,   ADMIN | LOADING | NOSCRIPT | STALE;
    ClientNoEvict,             "client|no-evict",             3,   Keyless,        [],                          Session,  Never,       Connection,   ADMIN | LOADING | NOSCRIPT | STALE;
    ClientPause,               "client|pause",                -3,  Keyless,        [],                          Process,  Never,       Connection,   ADMIN | LOADING | NOSCRIPT | STALE;
    ClientReply,               "client|reply",                3,   Keyless,        [],                          Session, Here,        Connection,   LOADING | NOSCRIPT | STALE;
    ClientSetname,             "client|setname",              3,   Keyless,        [],                          Session, Here,        Connection,   LOADING | NOSCRIPT | STALE;
    ClientTracking,            "client|tracking",             -3,  Keyless,        [],                          Session,  Never,       Connection,   LOADING | NOSCRIPT | STALE;
    ClientTrackinginfo,        "client|trackinginfo",         2,   Keyless,        [],                          Session,  Never,       Connection,   LOADING | NOSCRIPT | STALE;
    ClientUnblock,             "client|unblock",              -3,  Keyless,        [],                          Process,  Never,       Connection,   ADMIN | LOADING | NOSCRIPT | STALE;
    ClientUnpause,             "client|unpause",              2,   Keyless,        [],                          Process,  Never,       Connection,   ADMIN | LOADING | NOSCRIPT | STALE;
    Echo,                      "echo",                        2,   Keyless,        [],                          Session, Here,        Connection,   FAST | LOADING | STALE;
    Hello,                     "hello",                       -1,  Keyless,        [],                          Session, Here,        Connection,   ALLOW_BUSY | FAST | LOADING | NO_AUTH | NOSCRIPT | STALE;
    Ping,                      "ping",                        -1,  Keyless,        [],                          Session, Here,        Connection,   FAST;
    Quit,                      "quit",                        -1,  Keyless,        [],                          Session, Here,        Connection,   ALLOW_BUSY | FAST | LOADING | NO_AUTH | NOSCRIPT | STALE;
    Reset,                     "reset",                       1,   Keyless,        [],                          Session, Here,        Connection,   ALLOW_BUSY | FAST | LOADING | NO_AUTH | NOSCRIPT | STALE;
    Select,                    "select",                      2,   Keyless,        [],                          Session, Here,        Connection,   FAST | LOADING | STALE;

    // server
    Acl,                       "acl",                         -2,  Keyless,        [],                          Absent,  Never,       Server,       NONE;
    AclCat,                    "acl|cat",                     -2,  Keyless,        [],                          Absent,  Never,       Server,       LOADING | NOSCRIPT | STALE;
    AclDeluser,                "acl|deluser",                 -3,  Keyless,        [],                          Absent,  Never,       Server,       ADMIN | LOADING | NOSCRIPT | STALE;
    AclDryrun,                 "acl|dryrun",                  -4,  Keyless,        [],                          Absent,  Never,       Server,       ADMIN | LOADING | NOSCRIPT | STALE;
    AclGenpass,                "acl|genpass",                 -2,  Keyless,        [],                          Absent,  Never,       Server,       LOADING | NOSCRIPT | STALE;
    AclGetuser,                "acl|getuser",                 3,   Keyless,        [],                          Absent,  Never,       Server,       ADMIN | LOADING | NOSCRIPT | STALE;
    AclHelp,                   "acl|help",                    2,   Keyless,        [],                          Absent,  Never,       Server,       LOADING | STALE;
    AclList,                   "acl|list",                    2,   Keyless,        [],                          Absent,  Never,       Server,       ADMIN | LOADING | NOSCRIPT | STALE;
    AclLoad,                   "acl|load",                    2,   Keyless,        [],                          Absent,  Never,       Server,       ADMIN | LOADING | NOSCRIPT | STALE;
    AclLog,                    "acl|log",                     -2,  Keyless,        [],                          Absent,  Never,       Server,       ADMIN | LOADING | NOSCRIPT | STALE;
    AclSave,                   "acl|save",                    2,   Keyless,        [],                          Absent,  Never,       Server,       ADMIN | LOADING | NOSCRIPT | STALE;
    AclSetuser,                "acl|setuser",                 -3,  Keyless,        [],                          Absent,  Never,       Server,       ADMIN | LOADING | NOSCRIPT | STALE;
    AclUsers,                  "acl|users",                   2,   Keyless,        [],                          Absent,  Never,       Server,       ADMIN | LOADING | NOSCRIPT | STALE;
    AclWhoami,                 "acl|whoami",                  2,   Keyless,        [],                          Absent,  Never,       Server,       LOADING | NOSCRIPT | STALE;
    Bgrewriteaof,              "bgrewriteaof",                1,   Keyless,        [],                          Process, Never,       Server,       ADMIN | NO_ASYNC_LOADING | NOSCRIPT;
    Bgsave,                    "bgsave",                      -1,  Keyless,        [],                          Process, Never,       Server,       ADMIN | NO_ASYNC_LOADING | NOSCRIPT;
    Command,                   "command",                     -1,  Keyless,        [],                          Process, Here,        Server,       LOADING | STALE;
    CommandCount,              "command|count",               2,   Keyless,        [],                          Process, Here,        Server,       LOADING | STALE;
    CommandDocs,               "command|docs",                -2,  Keyless,        [],                          Process, Here,        Server,       LOADING | STALE;
    CommandGetkeys,            "command|getkeys",             -4,  Keyless,        [],                          Process, Here,        Server,       LOADING | STALE;
    CommandGetkeysandflags,    "command|getkeysandflags",     -4,  Keyless,        [],                          Process, Here,        Server,       LOADING | STALE;
    CommandHelp,               "command|help",                2,   Keyless,        [],                          Process, Here,        Server,       LOADING | STALE;
    CommandInfo,               "command|info",                -2,  Keyless,        [],                          Process, Here,        Server,       LOADING | STALE;
    CommandList,               "command|list",                -2,  Keyless,        [],                          Process, Here,        Server,       LOADING | STALE;
    Config,                    "config",                      -2,  Keyless,        [],                          Process, Here,        Server,       NONE;
    ConfigGet,                 "config|get",                  -3,  Keyless,        [],                          Process, Here,        Server,       ADMIN | LOADING | NOSCRIPT | STALE;
    ConfigHelp,                "config|help",                 2,   Keyless,        [],                          Process, Here,        Server,       LOADING | STALE;
    ConfigResetstat,           "config|resetstat",            2,   Keyless,        [],                          Process, Never,       Server,       ADMIN | LOADING | NOSCRIPT | STALE;
    ConfigRewrite,             "config|rewrite",              2,   Keyless,        [],                          Process,  Never,       Server,       ADMIN | LOADING | NOSCRIPT | STALE;
    ConfigSet,                 "config|set",                  -4,  Keyless,        [],                          Process,  Never,       Server,       ADMIN | LOADING | NOSCRIPT | STALE;
    Dbsize,                    "dbsize",                      1,   Keyless,        [],                          Store,   EverySum,    Server,       FAST | READONLY;
    Debug,                     "debug",                       -2,  Keyless,        [],                          Process,  Never,       Server,       ADMIN | LOADING | NOSCRIPT | STALE;
    Failover,                  "failover",                    -1,  Keyless,        [],                          Absent,  Never,       Server,       ADMIN | NOSCRIPT | STALE;
    Flushall,                  "flushall",                    -1,  Keyless,        [],                          Store,   EveryOk,     Server,       WRITE;
    Flushdb,                   "flushdb",                     -1,  Keyless,        [],                          Store,   EveryOk,     Server,       WRITE;
    Info,                      "info",                        -1,  Keyless,        [],                          Process, Here,        Server,       LOADING | STALE;
    Lastsave,                  "lastsave",                    1,   Keyless,        [],                          Process,  Never,       Server,       FAST | LOADING | STALE;
    Latency,                   "latency",                     -2,  Keyless,        [],                          Process,  Never,       Server,       NONE;
    LatencyDoctor,             "latency|doctor",              2,   Keyless,        [],                          Process,  Never,       Server,       ADMIN | LOADING | NOSCRIPT | STALE;
    LatencyGraph,              "latency|graph",               3,   Keyless,        [],                          Process,  Never,       Server,       ADMIN | LOADING | NOSCRIPT | STALE;
    LatencyHelp,               "latency|help",                2,   Keyless,        [],                          Process,  Never,       Server,       LOADING | STALE;
    LatencyHistogram,          "latency|histogram",           -2,  Keyless,        [],                          Process,  Never,       Server,       ADMIN | LOADING | NOSCRIPT | STALE;
    LatencyHistory,            "latency|history",             3,   Keyless,        [],                          Process,  Never,       Server,       ADMIN | LOADING | NOSCRIPT | STALE;
    LatencyLatest,             "latency|latest",              2,   Keyless,        [],                          Process,  Never,       Server,       ADMIN | LOADING | NOSCRIPT | STALE;
    LatencyReset,              "latency|reset",               -2,  Keyless,        [],                          Process,  Never,       Server,       ADMIN | LOADING | NOSCRIPT | STALE;
    Lolwut,                    "lolwut",                      -1,  Keyless,        [],                          Process, Here,        Server,       FAST | READONLY;
    Memory,                    "memory",                      -2,  Keyless,        [],                          Process,  Whole,       Server,       NONE;
    MemoryDoctor,              "memory|doctor",               2,   Keyless,        [],                          Process,  Never,       Server,       NONE;
    MemoryHelp,                "memory|help",                 2,   Keyless,        [],                          Process,  Never,       Server,       LOADING | STALE;
    MemoryMallocStats,         "memory|malloc-stats",         2,   Keyless,        [],                          Process,  Never,       Server,       NONE;
    MemoryPurge,               "memory|purge",                2,   Keyless,        [],                          Process,  Never,       Server,       NONE;
    MemoryStats,               "memory|stats",                2,   Keyless,        [],                          Process,  Never,       Server,       NONE;
    MemoryUsage,               "memory|usage",                -3,  Range(2,2,1),   [RO],                        Store,   Whole,       Server,       READONLY;
    Module,                    "module",                      -2,  Keyless,        [],                          Absent,  Never,       Server,       NONE;
    ModuleHelp,                "module|help",                 2,   Keyless,        [],                          Absent,  Never,       Server,       LOADING | STALE;
    ModuleList,                "module|list",                 2,   Keyless,        [],                          Absent,  Never,       Server,       ADMIN | NOSCRIPT;
    ModuleLoad,                "module|load",                 -3,  Keyless,        [],                          Absent,  Never,       Server,       ADMIN | NO_ASYNC_LOADING | NOSCRIPT;
    ModuleLoadex,              "module|loadex",               -3,  Keyless,        [],                          Absent,  Never,       Server,       ADMIN | NO_ASYNC_LOADING | NOSCRIPT;
    ModuleUnload,              "module|unload",               3,   Keyless,        [],                          Absent,  Never,       Server,       ADMIN | NO_ASYNC_LOADING | NOSCRIPT;
    Monitor,                   "monitor",                     1,   Keyless,        [],                          Process, Never,       Server,       ADMIN | LOADING | NOSCRIPT | STALE;
    Psync,                     "psync",                       -3,  Keyless,        [],                          Absent,  Never,       Server,       ADMIN | NO_ASYNC_LOADING | NO_MULTI | NOSCRIPT;
    Replconf,                  "replconf",                    -1,  Keyless,        [],                          Absent,  Never,       Server,       ADMIN | ALLOW_BUSY | LOADING | NOSCRIPT | STALE;
    Replicaof,                 "replicaof",                   3,   Keyless,        [],                          Absent,  Never,       Server,       ADMIN | NO_ASYNC_LOADING | NOSCRIPT | STALE;
    RestoreAsking,             "restore-asking",              -4,  Range(1,1,1),   [OW_UPDATE],                 Absent,  Never,       Server,       ASKING | DENYOOM | WRITE;
    Role,                      "role",                        1,   Keyless,        [],                          Process, Never,       Server,       FAST | LOADING | NOSCRIPT | STALE;
    Save,                      "save",                        1,   Keyless,        [],                          Process, Never,       Server,       ADMIN | NO_ASYNC_LOADING | NO_MULTI | NOSCRIPT;
    Shutdown,                  "shutdown",                    -1,  Keyless,        [],                          Process, Never,       Server,       ADMIN | ALLOW_BUSY | LOADING | NO_MULTI | NOSCRIPT | STALE;
    Slaveof,                   "slaveof",                     3,   Keyless,        [],                          Absent,  Never,       Server,       ADMIN | NO_ASYNC_LOADING | NOSCRIPT | STALE;
    Slowlog,                   "slowlog",                     -2,  Keyless,        [],                          Process, Here,        Server,       NONE;
    SlowlogGet,                "slowlog|get",                 -2,  Keyless,        [],                          Process, Here,        Server,       ADMIN | LOADING | STALE;
    SlowlogHelp,               "slowlog|help",                2,   Keyless,        [],                          Process, Here,        Server,       LOADING | STALE;
    SlowlogLen,                "slowlog|len",                 2,   Keyless,        [],                          Process, Here,        Server,       ADMIN | LOADING | STALE;
    SlowlogReset,              "slowlog|reset",               2,   Keyless,        [],                          Process, Here,        Server,       ADMIN | LOADING | STALE;
    Swapdb,                    "swapdb",                      3,   Keyless,        [],                          Store,   Never,       Server,       FAST | WRITE;
    Sync,                      "sync",                        1,   Keyless,        [],                          Absent,  Never,       Server,       ADMIN | NO_ASYNC_LOADING | NO_MULTI | NOSCRIPT;
    Time,                      "time",                        1,   Keyless,        [],                          Process, Here,        Server,       FAST | LOADING | STALE;

    // cluster
    Asking,                    "asking",                      1,   Keyless,        [],                          Process, Never,       Cluster,      FAST;
    Cluster,                   "cluster",                     -2,  Keyless,        [],                          Process, Never,       Cluster,      NONE;
    ClusterAddslots,           "cluster|addslots",            -3,  Keyless,        [],                          Process, Never,       Cluster,      ADMIN | NO_ASYNC_LOADING | STALE;
    ClusterAddslotsrange,      "cluster|addslotsrange",       -4,  Keyless,        [],                          Process, Never,       Cluster,      ADMIN | NO_ASYNC_LOADING | STALE;
    ClusterBumpepoch,          "cluster|bumpepoch",           2,   Keyless,        [],                          Process, Never,       Cluster,      ADMIN | NO_ASYNC_LOADING | STALE;
    ClusterCountFailureReports, "cluster|count-failure-reports", 3,   Keyless,        [],                          Process, Never,       Cluster,      ADMIN | STALE;
    ClusterCountkeysinslot,    "cluster|countkeysinslot",     3,   Keyless,        [],                          Process, Never,       Cluster,      STALE;
    ClusterDelslots,           "cluster|delslots",            -3,  Keyless,        [],                          Process, Never,       Cluster,      ADMIN | NO_ASYNC_LOADING | STALE;
    ClusterDelslotsrange,      "cluster|delslotsrange",       -4,  Keyless,        [],                          Process, Never,       Cluster,      ADMIN | NO_ASYNC_LOADING | STALE;
    ClusterFailover,           "cluster|failover",            -2,  Keyless,        [],                          Process, Never,       Cluster,      ADMIN | NO_ASYNC_LOADING | STALE;
    ClusterFlushslots,         "cluster|flushslots",          2,   Keyless,        [],                          Process, Never,       Cluster,      ADMIN | NO_ASYNC_LOADING | STALE;
    ClusterForget,             "cluster|forget",              3,   Keyless,        [],                          Process, Never,       Cluster,      ADMIN | NO_ASYNC_LOADING | STALE;
    ClusterGetkeysinslot,      "cluster|getkeysinslot",       4,   Keyless,        [],                          Process, Never,       Cluster,      STALE;
    ClusterHelp,               "cluster|help",                2,   Keyless,        [],                          Process, Never,       Cluster,      LOADING | STALE;
    ClusterInfo,               "cluster|info",                2,   Keyless,        [],                          Process, Never,       Cluster,      STALE;
    ClusterKeyslot,            "cluster|keyslot",             3,   Keyless,        [],                          Process, Never,       Cluster,      STALE;
    ClusterLinks,              "cluster|links",               2,   Keyless,        [],                          Process, Never,       Cluster,      STALE;
    ClusterMeet,               "cluster|meet",                -4,  Keyless,        [],                          Process, Never,       Cluster,      ADMIN | NO_ASYNC_LOADING | STALE;
    ClusterMyid,               "cluster|myid",                2,   Keyless,        [],                          Process, Never,       Cluster,      STALE;
    ClusterNodes,              "cluster|nodes",               2,   Keyless,        [],                          Process, Never,       Cluster,      STALE;
    ClusterReplicas,           "cluster|replicas",            3,   Keyless,        [],                          Process, Never,       Cluster,      ADMIN | STALE;
    ClusterReplicate,          "cluster|replicate",           3,   Keyless,        [],                          Process, Never,       Cluster,      ADMIN | NO_ASYNC_LOADING | STALE;
    ClusterReset,              "cluster|reset",               -2,  Keyless,        [],                          Process, Never,       Cluster,      ADMIN | NOSCRIPT | STALE;
    ClusterSaveconfig,         "cluster|saveconfig",          2,   Keyless,        [],                          Process, Never,       Cluster,      ADMIN | NO_ASYNC_LOADING | STALE;
    ClusterSetConfigEpoch,     "cluster|set-config-epoch",    3,   Keyless,        [],                          Process, Never,       Cluster,      ADMIN | NO_ASYNC_LOADING | STALE;
    ClusterSetslot,            "cluster|setslot",             -4,  Keyless,        [],                          Process, Never,       Cluster,      ADMIN | NO_ASYNC_LOADING | STALE;
    ClusterShards,             "cluster|shards",              2,   Keyless,        [],                          Process, Never,       Cluster,      STALE;
    ClusterSlaves,             "cluster|slaves",              3,   Keyless,        [],                          Process, Never,       Cluster,      ADMIN | STALE;
    ClusterSlots,              "cluster|slots",               2,   Keyless,        [],                          Process, Never,       Cluster,      STALE;
    Readonly,                  "readonly",                    1,   Keyless,        [],                          Process, Never,       Cluster,      FAST | LOADING | STALE;
    Readwrite,                 "readwrite",                   1,   Keyless,        [],                          Process, Never,       Cluster,      FAST | LOADING | STALE;

    // memcached: what that door's requests become
    ItemGet,                   "memcached.get",               2,   Range(1,1,1),   [RO_ACCESS],                 Store,   Whole,       String,       FAST | HIDDEN | READONLY;
    ItemGetMany,               "memcached.get-many",          -2,  Range(1,-1,1),  [RO_ACCESS],                 Store,   Gather,      String,       FAST | HIDDEN | READONLY;
    ItemGets,                  "memcached.gets",              -2,  Range(1,-1,1),  [RO_ACCESS],                 Store,   Gather,      String,       FAST | HIDDEN | READONLY;
    ItemGat,                   "memcached.gat",               -3,  Range(2,-1,1),  [RW_ACCESS_UPDATE],          Store,   Gather,      String,       FAST | HIDDEN | WRITE;
    ItemGats,                  "memcached.gats",              -3,  Range(2,-1,1),  [RW_ACCESS_UPDATE],          Store,   Gather,      String,       FAST | HIDDEN | WRITE;
    ItemSet,                   "memcached.set",               -6,  Range(1,1,1),   [OW_UPDATE],                 Store,   Whole,       String,       DENYOOM | FAST | HIDDEN | WRITE;
    ItemAdd,                   "memcached.add",               -6,  Range(1,1,1),   [OW_INSERT],                 Store,   Whole,       String,       DENYOOM | FAST | HIDDEN | WRITE;
    ItemReplace,               "memcached.replace",           -6,  Range(1,1,1),   [OW_UPDATE],                 Store,   Whole,       String,       DENYOOM | FAST | HIDDEN | WRITE;
    ItemAppend,                "memcached.append",            -6,  Range(1,1,1),   [RW_INSERT],                 Store,   Whole,       String,       DENYOOM | FAST | HIDDEN | WRITE;
    ItemPrepend,               "memcached.prepend",           -6,  Range(1,1,1),   [RW_INSERT],                 Store,   Whole,       String,       DENYOOM | FAST | HIDDEN | WRITE;
    ItemCas,                   "memcached.cas",               -7,  Range(1,1,1),   [OW_UPDATE],                 Store,   Whole,       String,       DENYOOM | FAST | HIDDEN | WRITE;
    ItemDelete,                "memcached.delete",            -2,  Range(1,1,1),   [RM_DELETE],                 Store,   Whole,       String,       FAST | HIDDEN | WRITE;
    ItemIncr,                  "memcached.incr",              -3,  Range(1,1,1),   [RW_ACCESS_UPDATE],          Store,   Whole,       String,       DENYOOM | FAST | HIDDEN | WRITE;
    ItemDecr,                  "memcached.decr",              -3,  Range(1,1,1),   [RW_ACCESS_UPDATE],          Store,   Whole,       String,       DENYOOM | FAST | HIDDEN | WRITE;
    ItemTouch,                 "memcached.touch",             -3,  Range(1,1,1),   [RW_UPDATE],                 Store,   Whole,       String,       FAST | HIDDEN | WRITE;
    ItemMetaGet,               "memcached.mg",                -2,  Range(1,1,1),   [RO_ACCESS],                 Store,   Whole,       String,       FAST | HIDDEN | READONLY;
    ItemMetaTouch,             "memcached.mg-write",          -2,  Range(1,1,1),   [RW_ACCESS_UPDATE],          Store,   Whole,       String,       DENYOOM | FAST | HIDDEN | WRITE;
    ItemMetaSet,               "memcached.ms",                -4,  Range(1,1,1),   [RW_UPDATE],                 Store,   Whole,       String,       DENYOOM | FAST | HIDDEN | WRITE;
    ItemMetaDelete,            "memcached.md",                -2,  Range(1,1,1),   [RM_DELETE],                 Store,   Whole,       String,       FAST | HIDDEN | WRITE;
    ItemMetaArithmetic,        "memcached.ma",                -2,  Range(1,1,1),   [RW_ACCESS_UPDATE],          Store,   Whole,       String,       DENYOOM | FAST | HIDDEN | WRITE;
    ItemMetaDebug,             "memcached.me",                -2,  Range(1,1,1),   [RO],                        Store,   Whole,       String,       FAST | HIDDEN | READONLY;
    ItemFlush,                 "memcached.flush_all",         -1,  Keyless,        [],                          Store,   EveryOk,     String,       HIDDEN | WRITE;

    // hidden: documents, for the HTTP door
    DocumentChange,            "document.change",             8,   Range(1,1,1),   [RW_ACCESS_UPDATE],          Store,   Whole,       Generic,      DENYOOM | HIDDEN | WRITE;
    DocumentDelete,            "document.delete",             4,   Range(1,1,1),   [RM_DELETE],                 Store,   Whole,       Generic,      FAST | HIDDEN | WRITE;
    DocumentIndex,             "document.index",              3,   Range(1,1,1),   [RO_ACCESS],                 Store,   Whole,       Generic,      HIDDEN | READONLY;
    DocumentItem,              "document.item",               3,   Range(1,1,1),   [RO_ACCESS],                 Store,   Whole,       Generic,      HIDDEN | READONLY;
    DocumentKeys,              "document.keys",               4,   Keyless,        [],                          Store,   Here,        Generic,      HIDDEN | READONLY;
    DocumentLoad,              "document.load",               3,   Range(1,1,1),   [RO_ACCESS],                 Store,   Whole,       Generic,      FAST | HIDDEN | READONLY;
    DocumentStore,             "document.store",              -7,  Range(1,1,1),   [RW_ACCESS_UPDATE],          Store,   Whole,       Generic,      DENYOOM | FAST | HIDDEN | WRITE;
}

impl Id {
    /// The command's line.
    pub fn spec(self) -> &'static Spec {
        &TABLE[self as usize]
    }
}

/// The line of a command by its name, in any case; containers too, subcommands not.
pub fn find(name: &[u8]) -> Option<&'static Spec> {
    let (head, tail) = ends(name);
    let mut at = hash(head, tail, name.len());
    loop {
        let slot = &INDEX[at % SLOTS];
        if slot.line == EMPTY {
            return None;
        }
        if slot.head == head && slot.tail == tail && slot.len as usize == name.len() {
            let spec = &TABLE[slot.line as usize];
            // The ends are the whole name, unless it is longer than both.
            if name.len() <= 16 || spec.name.as_bytes().eq_ignore_ascii_case(name) {
                return Some(spec);
            }
        }
        at += 1;
    }
}

/// The line of a container's subcommand, in any case: `find_subcommand(Id::Config.spec(), b"GET")`.
pub fn find_subcommand(container: &Spec, name: &[u8]) -> Option<&'static Spec> {
    let prefix = container.name.len() + 1;
    subcommands(container)
        .iter()
        .find(|s| s.name.as_bytes()[prefix..].eq_ignore_ascii_case(name))
}

/// The lines of a container's subcommands; none for any other command.
pub fn subcommands(container: &Spec) -> &'static [Spec] {
    let first = container.id as usize + 1;
    &TABLE[first..first + SUBCOMMANDS[container.id as usize] as usize]
}

/// Whether the command's first argument chooses a subcommand.
pub fn is_container(spec: &Spec) -> bool {
    SUBCOMMANDS[spec.id as usize] > 0
}

/// For each line, how many lines of subcommands follow it.
static SUBCOMMANDS: [u8; TABLE.len()] = {
    let mut counts = [0; TABLE.len()];
    let mut container = 0;
    let mut line = 0;
    while line < TABLE.len() {
        if is_subcommand(TABLE[line].name) {
            counts[container] += 1;
        } else {
            container = line;
        }
        line += 1;
    }
    counts
};

const fn is_subcommand(name: &str) -> bool {
    let mut i = 0;
    while i < name.len() {
        if name.as_bytes()[i] == b'|' {
            return true;
        }
        i += 1;
    }
    false
}

const EMPTY: u16 = u16::MAX;
const SLOTS: usize = 512;

/// One place of the index: a name's two ends and its length, and its line.
#[derive(Clone, Copy)]
struct Slot {
    head: u64,
    tail: u64,
    len: u8,
    line: u16,
}

/// An open-addressed hash table over the commands' names, laid out when the program is compiled.
static INDEX: [Slot; SLOTS] = {
    let empty = Slot {
        head: 0,
        tail: 0,
        len: 0,
        line: EMPTY,
    };
    let mut index = [empty; SLOTS];
    let mut line = 0;
    while line < TABLE.len() {
        let name = TABLE[line].name;
        if !is_subcommand(name) {
            let (head, tail) = ends(name.as_bytes());
            let mut at = hash(head, tail, name.len());
            while index[at % SLOTS].line != EMPTY {
                at += 1;
            }
            index[at % SLOTS] = Slot {
                head,
                tail,
                len: name.len() as u8,
                line: line as u16,
            };
        }
        line += 1;
    }
    index
};

/// A name's first and last eight bytes in lower case; they overlap where it is shorter.
const fn ends(name: &[u8]) -> (u64, u64) {
    if let (Some(head), Some(tail)) = (name.first_chunk::<8>(), name.last_chunk::<8>()) {
        return (
            lower(u64::from_le_bytes(*head)),
            lower(u64::from_le_bytes(*tail)),
        );
    }
    if let (Some(head), Some(tail)) = (name.first_chunk::<4>(), name.last_chunk::<4>()) {
        let both = (u32::from_le_bytes(*tail) as u64) << 32 | u32::from_le_bytes(*head) as u64;
        return (lower(both), 0);
    }
    let bytes = match name {
        [a] => *a as u64,
        [a, b] => *a as u64 | (*b as u64) << 8,
        [a, b, c] => *a as u64 | (*b as u64) << 8 | (*c as u64) << 16,
        _ => 0,
    };
    (lower(bytes), 0)
}

/// Eight bytes with their capital letters made small, all at once.
const fn lower(bytes: u64) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let low_bits = bytes & (EACH * 0x7f);
    let from_a = low_bits + EACH * (0x80 - b'A' as u64);
    let past_z = low_bits + EACH * (0x7f - b'Z' as u64);
    let capital = (from_a ^ past_z) & !bytes & (EACH * 0x80);
    bytes | capital >> 2
}

const fn hash(head: u64, tail: u64, len: usize) -> usize {
    let mixed = (head ^ tail.rotate_left(23) ^ len as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 48) as usize
}
