//! Values to bytes. What Redis would keep as one run of bytes is written as one; strings are not
//! compressed.

use super::super::compact::chunks::Bounds;
use super::super::compact::element::Piece;
use super::super::encodings::Limits;
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

/// How a node of a list is kept.
const PLAIN: u64 = 1;
const PACKED: u64 = 2;

/// Writes a value with its type.
pub(super) fn value(entry: Entry<'_>, limits: Limits<'_>, out: &mut Vec<u8>) {
    match entry.as_object() {
        Some(Object::List(list)) => self::list(list, limits.list(), out),
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

fn list(list: &List, bounds: Bounds, out: &mut Vec<u8>) {
    out.push(LIST_QUICKLIST_2);
    let mut nodes: Vec<(u64, Vec<u8>)> = Vec::new();
    let mut node = Writer::default();
    for element in list.iter() {
        let length = element.len();
        let is_long = length > bounds.bytes;
        let is_full = node.len() + length > bounds.bytes || node.count() >= bounds.elements;
        if (is_long || is_full) && node.count() > 0 {
            nodes.push((PACKED, std::mem::take(&mut node).finish()));
        }
        match is_long {
            true => nodes.push((PLAIN, element.blob().to_vec())),
            false => node.push(element),
        }
    }
    if node.count() > 0 {
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
    if let Some(ints) = set.ints() {
        out.push(SET_INTSET);
        length(8 + ints.bytes().len() as u64, out);
        out.extend_from_slice(&(ints.width() as u32).to_le_bytes());
        out.extend_from_slice(&(ints.len() as u32).to_le_bytes());
        out.extend_from_slice(ints.bytes());
        return;
    }
    out.push(SET);
    length(set.len() as u64, out);
    set.iter().for_each(|member| piece(member, out));
}

fn piece(piece: Piece<'_>, out: &mut Vec<u8>) {
    string(piece.bytes(&mut itoa::Buffer::new()), out);
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
        piece(field, out);
        piece(value, out);
    }
}

fn sorted_set(set: &SortedSet, out: &mut Vec<u8>) {
    if set.is_listpack() {
        let mut listpack = Writer::default();
        for (member, score) in set.ascending(0..set.len()) {
            listpack.push(member);
            listpack.push(Piece::of(listpack_score(score).as_bytes()));
        }
        return packed(ZSET_LISTPACK, listpack, out);
    }
    out.push(ZSET_2);
    length(set.len() as u64, out);
    for (member, score) in set.descending(0..set.len()) {
        piece(member, out);
        out.extend_from_slice(&score.to_le_bytes());
    }
}

fn packed(kind: u8, listpack: Writer, out: &mut Vec<u8>) {
    let blob = listpack.finish();
    out.push(kind);
    length(blob.len() as u64, out);
    out.extend_from_slice(&blob);
}
