//! Which function answers which command.

use super::errors::Outcome;
use super::view::View;
use super::{
    bitfield, bits, blocking, documents, dump, expiry, hashes, hyperloglog, items, keys, keyspace,
    lcs, listing, lists, memory, scan, sets, sort, strings, zset_operations, zsets,
};
use crate::command::{Command, Group, Id, Reply, unknown_command};

/// Answers a command on a view that has its keys locked.
#[inline]
pub(super) fn run(view: &mut View<'_>, command: &Command<'_>) -> Reply {
    answer(view, command).unwrap_or_else(Reply::Error)
}

/// Whether a command locks all shards of its database or of more, even when it stands alone.
pub(super) fn needs_all_shards(command: &Command<'_>) -> bool {
    match command.spec.id {
        Id::Flushall | Id::Flushdb | Id::ItemFlush | Id::Swapdb => true,
        Id::Sort | Id::SortRo => sort::reads_other_keys(command),
        _ => false,
    }
}

/// Whether a command may have to do with a key of another database.
pub(super) fn reaches_elsewhere(command: &Command<'_>) -> bool {
    matches!(command.spec.id, Id::Copy | Id::Move)
}

fn answer(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    match command.spec.group {
        Group::String => string(view, command),
        Group::Bitmap => bitmap(view, command),
        Group::Generic => generic(view, command),
        Group::List => list(view, command),
        Group::Set => set(view, command),
        Group::Hash => hash(view, command),
        Group::SortedSet => sorted_set(view, command),
        Group::Hyperloglog => hyperloglog(view, command),
        Group::Server => server(view, command),
        _ => unknown(command),
    }
}

fn string(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    match command.spec.id {
        Id::Append => strings::append(view, command),
        Id::Decr => strings::decr(view, command),
        Id::Decrby => strings::decrby(view, command),
        Id::Get => strings::get(view, command),
        Id::Getdel => strings::getdel(view, command),
        Id::Getex => strings::getex(view, command),
        Id::Getrange | Id::Substr => strings::getrange(view, command),
        Id::Getset => strings::getset(view, command),
        Id::Incr => strings::incr(view, command),
        Id::Incrby => strings::incrby(view, command),
        Id::Incrbyfloat => strings::incrbyfloat(view, command),
        Id::Lcs => lcs::lcs(view, command),
        Id::Mget => strings::mget(view, command),
        Id::Mset => strings::mset(view, command),
        Id::Msetnx => strings::msetnx(view, command),
        Id::Psetex => strings::psetex(view, command),
        Id::Set => strings::set(view, command),
        Id::Setex => strings::setex(view, command),
        Id::Setnx => strings::setnx(view, command),
        Id::Setrange => strings::setrange(view, command),
        Id::Strlen => strings::strlen(view, command),
        _ => items::run(view, command),
    }
}

fn bitmap(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    match command.spec.id {
        Id::Bitcount => bits::bitcount(view, command),
        Id::Bitfield => bitfield::bitfield(view, command),
        Id::BitfieldRo => bitfield::bitfield_ro(view, command),
        Id::Bitop => bits::bitop(view, command),
        Id::Bitpos => bits::bitpos(view, command),
        Id::Getbit => bits::getbit(view, command),
        Id::Setbit => bits::setbit(view, command),
        _ => unknown(command),
    }
}

fn generic(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    match command.spec.id {
        Id::Copy => keys::copy(view, command),
        Id::Del | Id::Unlink => keys::del(view, command),
        Id::DocumentChange => documents::change(view, command),
        Id::DocumentDelete => documents::delete(view, command),
        Id::DocumentIndex => documents::index(view, command),
        Id::DocumentItem => documents::item(view, command),
        Id::DocumentKeys => listing::keys(view, command),
        Id::DocumentLoad => documents::load(view, command),
        Id::DocumentStore => documents::store(view, command),
        Id::Dump => dump::dump(view, command),
        Id::Exists => keys::exists(view, command),
        Id::Expire => expiry::expire(view, command),
        Id::Expireat => expiry::expireat(view, command),
        Id::Expiretime => expiry::expiretime(view, command),
        Id::Keys => scan::keys(view, command),
        Id::Move => keys::move_to_database(view, command),
        Id::Object => keys::object_unknown(view, command),
        Id::ObjectEncoding => keys::object_encoding(view, command),
        Id::ObjectFreq => keys::object_freq(view, command),
        Id::ObjectHelp => keys::object_help(view, command),
        Id::ObjectIdletime => keys::object_idletime(view, command),
        Id::ObjectRefcount => keys::object_refcount(view, command),
        Id::Persist => expiry::persist(view, command),
        Id::Pexpire => expiry::pexpire(view, command),
        Id::Pexpireat => expiry::pexpireat(view, command),
        Id::Pexpiretime => expiry::pexpiretime(view, command),
        Id::Pttl => expiry::pttl(view, command),
        Id::Randomkey => scan::randomkey(view, command),
        Id::Rename => keys::rename(view, command),
        Id::Renamenx => keys::renamenx(view, command),
        Id::Restore => dump::restore(view, command),
        Id::Scan => scan::scan(view, command),
        Id::Sort | Id::SortRo => sort::sort(view, command),
        Id::Touch => keys::touch(view, command),
        Id::Ttl => expiry::ttl(view, command),
        Id::Type => keys::kind(view, command),
        _ => unknown(command),
    }
}

fn server(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    match command.spec.id {
        Id::Dbsize => keyspace::dbsize(view, command),
        Id::MemoryUsage => memory::usage(view, command),
        Id::Flushall | Id::Flushdb => keyspace::flush(view, command),
        Id::Swapdb => keyspace::swapdb(view, command),
        _ => unknown(command),
    }
}

fn list(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    match command.spec.id {
        Id::Blmove | Id::Blmpop | Id::Blpop | Id::Brpop | Id::Brpoplpush => {
            blocking::at_once(view, command)
        }
        Id::Lindex => lists::lindex(view, command),
        Id::Linsert => lists::linsert(view, command),
        Id::Llen => lists::llen(view, command),
        Id::Lmove => lists::lmove(view, command),
        Id::Lmpop => lists::lmpop(view, command),
        Id::Lpop => lists::lpop(view, command),
        Id::Lpos => lists::lpos(view, command),
        Id::Lpush => lists::lpush(view, command),
        Id::Lpushx => lists::lpushx(view, command),
        Id::Lrange => lists::lrange(view, command),
        Id::Lrem => lists::lrem(view, command),
        Id::Lset => lists::lset(view, command),
        Id::Ltrim => lists::ltrim(view, command),
        Id::Rpop => lists::rpop(view, command),
        Id::Rpoplpush => lists::rpoplpush(view, command),
        Id::Rpush => lists::rpush(view, command),
        Id::Rpushx => lists::rpushx(view, command),
        _ => unknown(command),
    }
}

fn set(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    match command.spec.id {
        Id::Sadd => sets::sadd(view, command),
        Id::Scard => sets::scard(view, command),
        Id::Sdiff => sets::sdiff(view, command),
        Id::Sdiffstore => sets::sdiffstore(view, command),
        Id::Sinter => sets::sinter(view, command),
        Id::Sintercard => sets::sintercard(view, command),
        Id::Sinterstore => sets::sinterstore(view, command),
        Id::Sismember => sets::sismember(view, command),
        Id::Smembers => sets::smembers(view, command),
        Id::Smismember => sets::smismember(view, command),
        Id::Smove => sets::smove(view, command),
        Id::Spop => sets::spop(view, command),
        Id::Srandmember => sets::srandmember(view, command),
        Id::Srem => sets::srem(view, command),
        Id::Sscan => sets::sscan(view, command),
        Id::Sunion => sets::sunion(view, command),
        Id::Sunionstore => sets::sunionstore(view, command),
        _ => unknown(command),
    }
}

fn hash(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    match command.spec.id {
        Id::Hdel => hashes::hdel(view, command),
        Id::Hexists => hashes::hexists(view, command),
        Id::Hget => hashes::hget(view, command),
        Id::Hgetall => hashes::hgetall(view, command),
        Id::Hincrby => hashes::hincrby(view, command),
        Id::Hincrbyfloat => hashes::hincrbyfloat(view, command),
        Id::Hkeys => hashes::hkeys(view, command),
        Id::Hlen => hashes::hlen(view, command),
        Id::Hmget => hashes::hmget(view, command),
        Id::Hmset => hashes::hmset(view, command),
        Id::Hrandfield => hashes::hrandfield(view, command),
        Id::Hscan => hashes::hscan(view, command),
        Id::Hset => hashes::hset(view, command),
        Id::Hsetnx => hashes::hsetnx(view, command),
        Id::Hstrlen => hashes::hstrlen(view, command),
        Id::Hvals => hashes::hvals(view, command),
        _ => unknown(command),
    }
}

fn sorted_set(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    match command.spec.id {
        Id::Bzmpop | Id::Bzpopmax | Id::Bzpopmin => blocking::at_once(view, command),
        Id::Zadd => zsets::zadd(view, command),
        Id::Zcard => zsets::zcard(view, command),
        Id::Zcount => zsets::zcount(view, command),
        Id::Zdiff => zset_operations::zdiff(view, command),
        Id::Zdiffstore => zset_operations::zdiffstore(view, command),
        Id::Zincrby => zsets::zincrby(view, command),
        Id::Zinter => zset_operations::zinter(view, command),
        Id::Zintercard => zset_operations::zintercard(view, command),
        Id::Zinterstore => zset_operations::zinterstore(view, command),
        Id::Zlexcount => zsets::zlexcount(view, command),
        Id::Zmpop => zsets::zmpop(view, command),
        Id::Zmscore => zsets::zmscore(view, command),
        Id::Zpopmax => zsets::zpopmax(view, command),
        Id::Zpopmin => zsets::zpopmin(view, command),
        Id::Zrandmember => zsets::zrandmember(view, command),
        Id::Zrange => zsets::zrange(view, command),
        Id::Zrangebylex => zsets::zrangebylex(view, command),
        Id::Zrangebyscore => zsets::zrangebyscore(view, command),
        Id::Zrangestore => zsets::zrangestore(view, command),
        Id::Zrank => zsets::zrank(view, command),
        Id::Zrem => zsets::zrem(view, command),
        Id::Zremrangebylex => zsets::zremrangebylex(view, command),
        Id::Zremrangebyrank => zsets::zremrangebyrank(view, command),
        Id::Zremrangebyscore => zsets::zremrangebyscore(view, command),
        Id::Zrevrange => zsets::zrevrange(view, command),
        Id::Zrevrangebylex => zsets::zrevrangebylex(view, command),
        Id::Zrevrangebyscore => zsets::zrevrangebyscore(view, command),
        Id::Zrevrank => zsets::zrevrank(view, command),
        Id::Zscan => zsets::zscan(view, command),
        Id::Zscore => zsets::zscore(view, command),
        Id::Zunion => zset_operations::zunion(view, command),
        Id::Zunionstore => zset_operations::zunionstore(view, command),
        _ => unknown(command),
    }
}

fn hyperloglog(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    match command.spec.id {
        Id::Pfadd => hyperloglog::pfadd(view, command),
        Id::Pfdebug => hyperloglog::pfdebug(view, command),
        Id::Pfcount => hyperloglog::pfcount(view, command),
        Id::Pfmerge => hyperloglog::pfmerge(view, command),
        _ => unknown(command),
    }
}

/// A command of the table that the store does not answer yet.
fn unknown(command: &Command<'_>) -> Outcome {
    Ok(unknown_command(command.arg(0), command.args(1)))
}
