//! Values to bytes. What Redis would keep as one run of bytes is written as one; strings are not
//! compressed.

use super::super::entry::{Entry, Object, Text};
use super::super::hashes::Hash;
use super::super::lists::List;
use super::super::sets::Set;
use super::super::sorted_set::SortedSet;
use super::super::zsets::listpack_score;
use super::listpack::Writer;
use super::{
    HASH, HASH_LISTPACK, INT8, INT16, INT32, LIST_QUICKLIST_2, SET, SET_INTSET, STRING, ZSET_2,
    ZSET_LISTPACK,
};
use crate::command::number::integer;

/// Bytes after which a list goes on in another listpack (Redis: `list-max-listpack-size` -2).
const NODE_BYTES: usize = 8 * 1024;
/// How a node of a list is kept.
const PLAIN: u64 = 1;
const PACKED: u64 = 2;

/// Writes a value with its type.
pub(super) fn value(entry: Entry<'_>, out: &mut Vec<u8>) {
    match entry.as_object() {
        Some(Object::List(list)) => self::list(list, out),
        Some(Object::Set(set)) => self::set(set, out),
        Some(Object::Hash(hash)) => self::hash(hash, out),
        Some(Object::SortedSet(set)) => sorted_set(set, out),
        Some(Object::Text(_)) | None => {
            out.push(STRING);
            text(entry.as_text().unwrap_or(Text::Bytes(b"")), out);
        }
    }
}

/// A length: the more bytes the longer it is.
pub(super) fn length(length: u64, out: &mut Vec<u8>) {
    match length {
        0..0x40 => out.push(length as u8),
        0x40..0x4000 => out.extend_from_slice(&(length as u16 | 0x4000).to_be_bytes()),
        0x4000..=0xffff_ffff => {
            out.push(0x80);
            out.extend_from_slice(&(length as u32).to_be_bytes());
        }
        _ => {
            out.push(0x81);
            out.extend_from_slice(&length.to_be_bytes());
        }
    }
}

fn text(text: Text<'_>, out: &mut Vec<u8>) {
    match text {
        Text::Int(number) => string(itoa::Buffer::new().format(number).as_bytes(), out),
        Text::Bytes(bytes) | Text::Raw(bytes) => string(bytes, out),
    }
}

/// A string: as a number if it is a short one.
fn string(bytes: &[u8], out: &mut Vec<u8>) {
    let number = (bytes.len() <= 11).then(|| integer(bytes)).flatten();
    let number = number.and_then(|n| i32::try_from(n).ok());
    let Some(number) = number else {
        length(bytes.len() as u64, out);
        out.extend_from_slice(bytes);
        return;
    };
    let (form, count) = match number {
        -0x80..=0x7f => (INT8, 1),
        -0x8000..=0x7fff => (INT16, 2),
        _ => (INT32, 4),
    };
    out.push(0xc0 | form);
    out.extend_from_slice(&number.to_le_bytes()[..count]);
}

fn list(list: &List, out: &mut Vec<u8>) {
    out.push(LIST_QUICKLIST_2);
    let mut nodes: Vec<(u64, Vec<u8>)> = Vec::new();
    let mut node = Writer::default();
    for element in list.iter() {
        let is_long = element.len() > NODE_BYTES;
        if (is_long || node.len() + element.len() > NODE_BYTES) && !node.is_empty() {
            nodes.push((PACKED, std::mem::take(&mut node).finish()));
        }
        match is_long {
            true => nodes.push((PLAIN, element.to_vec())),
            false => node.push(element),
        }
    }
    if !node.is_empty() {
        nodes.push((PACKED, node.finish()));
    }
    length(nodes.len() as u64, out);
    for (container, bytes) in nodes {
        length(container, out);
        length(bytes.len() as u64, out);
        out.extend_from_slice(&bytes);
    }
}

fn set(set: &Set, out: &mut Vec<u8>) {
    if set.encoding() == "intset" {
        out.push(SET_INTSET);
        let blob = intset(set);
        length(blob.len() as u64, out);
        out.extend_from_slice(&blob);
        return;
    }
    out.push(SET);
    length(set.len() as u64, out);
    set.iter().for_each(|member| string(member, out));
}

/// Numbers in order, each of the width that the widest needs.
fn intset(set: &Set) -> Vec<u8> {
    let mut numbers: Vec<i64> = set.iter().filter_map(integer).collect();
    numbers.sort_unstable();
    let fits = |low: i64, high: i64| numbers.iter().all(|n| (low..=high).contains(n));
    let width = match () {
        () if fits(i16::MIN.into(), i16::MAX.into()) => 2,
        () if fits(i32::MIN.into(), i32::MAX.into()) => 4,
        () => 8,
    };
    let mut blob = Vec::with_capacity(8 + width * numbers.len());
    blob.extend_from_slice(&(width as u32).to_le_bytes());
    blob.extend_from_slice(&(numbers.len() as u32).to_le_bytes());
    for number in numbers {
        blob.extend_from_slice(&number.to_le_bytes()[..width]);
    }
    blob
}

fn hash(hash: &Hash, out: &mut Vec<u8>) {
    if hash.encoding() == "listpack" {
        let mut listpack = Writer::default();
        for (field, value) in hash.iter() {
            listpack.push(field);
            listpack.push(value);
        }
        return packed(HASH_LISTPACK, listpack, out);
    }
    out.push(HASH);
    length(hash.len() as u64, out);
    for (field, value) in hash.iter() {
        string(field, out);
        string(value, out);
    }
}

fn sorted_set(set: &SortedSet, out: &mut Vec<u8>) {
    if set.is_listpack() {
        let mut listpack = Writer::default();
        for element in set.ranking().ascending(0..set.len()) {
            listpack.push(&element.member);
            listpack.push(listpack_score(element.score).as_bytes());
        }
        return packed(ZSET_LISTPACK, listpack, out);
    }
    out.push(ZSET_2);
    length(set.len() as u64, out);
    for element in set.ranking().descending(0..set.len()) {
        string(&element.member, out);
        out.extend_from_slice(&element.score.to_le_bytes());
    }
}

fn packed(kind: u8, listpack: Writer, out: &mut Vec<u8>) {
    let blob = listpack.finish();
    out.push(kind);
    length(blob.len() as u64, out);
    out.extend_from_slice(&blob);
}
