//! Which function answers which command.

use super::errors::Outcome;
use super::view::View;
use super::{bitfield, bits, expiry, keys, keyspace, lcs, scan, strings};
use crate::command::{Command, Group, Id, Reply, unknown_command};

/// Answers a command on a view that has its keys locked.
#[inline]
pub(super) fn run(view: &mut View<'_>, command: &Command<'_>) -> Reply {
    answer(view, command).unwrap_or_else(Reply::Error)
}

/// Whether a command locks all shards even when it stands alone.
pub(super) fn needs_all_shards(command: &Command<'_>) -> bool {
    matches!(command.spec.id, Id::Flushall | Id::Flushdb)
}

/// Whether a command is about the keyspace as a whole: a transaction with it locks all shards.
pub(super) fn is_whole_keyspace(command: &Command<'_>) -> bool {
    use Id::*;
    matches!(command.spec.id, Dbsize | Flushall | Flushdb | Keys | Randomkey | Scan | Swapdb)
}

fn answer(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    match command.spec.group {
        Group::String => string(view, command),
        Group::Bitmap => bitmap(view, command),
        Group::Generic => generic(view, command),
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
        _ => unknown(command),
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
        Id::Scan => scan::scan(view, command),
        Id::Touch => keys::touch(view, command),
        Id::Ttl => expiry::ttl(view, command),
        Id::Type => keys::kind(view, command),
        _ => unknown(command),
    }
}

fn server(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    match command.spec.id {
        Id::Dbsize => keyspace::dbsize(view, command),
        Id::Flushall | Id::Flushdb => keyspace::flush(view, command),
        Id::Swapdb => keyspace::swapdb(view, command),
        _ => unknown(command),
    }
}

/// A command of the table that the store does not answer yet.
fn unknown(command: &Command<'_>) -> Outcome {
    Ok(unknown_command(command.arg(0), command.args(1)))
}
