//! Values to bytes. What Redis would keep as one run of bytes is written as one.

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
use super::lzf::Packer;
use super::{
    HASH, HASH_LISTPACK, INT8, INT16, INT32, LIST_QUICKLIST_2, LZF, SET, SET_INTSET, STRING,
    ZSET_2, ZSET_LISTPACK,
};
use crate::command::number::integer;

/// Strings up to so many bytes are never compressed.
const SHORT: usize = 20;

/// Where a value is written to.
pub(super) struct Output {
    pub bytes: Vec<u8>,
    /// Compresses long strings, if they shall be.
    packer: Option<Packer>,
}

/// How a node of a list is kept: redis-server has others for elements of a gigabyte alone.
const PACKED: u64 = 2;

impl Output {
    pub fn new(compresses: bool) -> Output {
        Output {
            bytes: Vec::new(),
            packer: compresses.then(Packer::default),
        }
    }

    fn push(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    /// A length: the more bytes the longer it is.
    fn length(&mut self, length: u64) {
        match length {
            0..0x40 => self.push(length as u8),
            0x40..0x4000 => {
                let bytes = (length as u16 | 0x4000).to_be_bytes();
                self.bytes.extend_from_slice(&bytes);
            }
            0x4000..=0xffff_ffff => {
                self.push(0x80);
                self.bytes.extend_from_slice(&(length as u32).to_be_bytes());
            }
            _ => {
                self.push(0x81);
                self.bytes.extend_from_slice(&length.to_be_bytes());
            }
        }
    }

    /// Bytes with their length, compressed if that makes them fewer.
    fn blob(&mut self, bytes: &[u8]) {
        let packer = self.packer.as_mut().filter(|_| bytes.len() > SHORT);
        let packed = packer.and_then(|packer| packer.pack(bytes));
        if let Some(packed) = &packed {
            self.push(0xc0 | LZF);
            self.length(packed.len() as u64);
        }
        self.length(bytes.len() as u64);
        let written = packed.as_deref().unwrap_or(bytes);
        self.bytes.extend_from_slice(written);
    }

    /// A string: as a number if it is a short one.
    fn string(&mut self, bytes: &[u8]) {
        let number = (bytes.len() <= 11).then(|| integer(bytes)).flatten();
        let number = number.and_then(|n| i32::try_from(n).ok());
        let Some(number) = number else {
            return self.blob(bytes);
        };
        let (form, count) = match number {
            -0x80..=0x7f => (INT8, 1),
            -0x8000..=0x7fff => (INT16, 2),
            _ => (INT32, 4),
        };
        self.push(0xc0 | form);
        self.bytes.extend_from_slice(&number.to_le_bytes()[..count]);
    }

    fn piece(&mut self, piece: Piece<'_>) {
        self.string(piece.bytes(&mut itoa::Buffer::new()));
    }
}

/// Writes a value with its type.
pub(super) fn value(entry: Entry<'_>, limits: Limits<'_>, out: &mut Output) {
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

fn text(text: Text<'_>, out: &mut Output) {
    match text {
        Text::Int(number) => out.string(itoa::Buffer::new().format(number).as_bytes()),
        Text::Bytes(bytes) | Text::Raw(bytes) => out.string(bytes),
    }
}

fn list(list: &List, bounds: Bounds, out: &mut Output) {
    out.push(LIST_QUICKLIST_2);
    let mut nodes: Vec<Vec<u8>> = Vec::new();
    let mut node = Writer::default();
    for element in list.iter() {
        let length = node.len() + element.len();
        let is_full = length > bounds.bytes || node.count() >= bounds.elements;
        if is_full && node.count() > 0 {
            nodes.push(std::mem::take(&mut node).finish());
        }
        node.push(element);
    }
    if node.count() > 0 {
        nodes.push(node.finish());
    }
    out.length(nodes.len() as u64);
    for bytes in nodes {
        out.length(PACKED);
        out.blob(&bytes);
    }
}

fn set(set: &Set, out: &mut Output) {
    if let Some(ints) = set.ints() {
        out.push(SET_INTSET);
        let (width, count) = (ints.width() as u32, ints.len() as u32);
        let header = [width.to_le_bytes(), count.to_le_bytes()].concat();
        return out.blob(&[&header, ints.bytes()].concat());
    }
    out.push(SET);
    out.length(set.len() as u64);
    set.iter().for_each(|member| out.piece(member));
}

fn hash(hash: &Hash, out: &mut Output) {
    if hash.encoding() == "listpack" {
        let mut listpack = Writer::default();
        for (field, value) in hash.iter() {
            listpack.push(field);
            listpack.push(value);
        }
        return packed(HASH_LISTPACK, listpack, out);
    }
    out.push(HASH);
    out.length(hash.len() as u64);
    for (field, value) in hash.iter() {
        out.piece(field);
        out.piece(value);
    }
}

fn sorted_set(set: &SortedSet, out: &mut Output) {
    if set.is_listpack() {
        let mut listpack = Writer::default();
        for (member, score) in set.ascending(0..set.len()) {
            listpack.push(member);
            listpack.push(Piece::of(listpack_score(score).as_bytes()));
        }
        return packed(ZSET_LISTPACK, listpack, out);
    }
    out.push(ZSET_2);
    out.length(set.len() as u64);
    for (member, score) in set.descending(0..set.len()) {
        out.piece(member);
        out.bytes.extend_from_slice(&score.to_le_bytes());
    }
}

fn packed(kind: u8, listpack: Writer, out: &mut Output) {
    out.push(kind);
    out.blob(&listpack.finish());
}
