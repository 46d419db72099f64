//! HyperLogLog: how many different elements there are, counted with 16384 registers of six bits in
//! a string, whose bytes are those that Redis keeps.
//!
//! ```text
//! "HYLL" │ encoding 1 │ zeros 3 │ cached count 8, its highest bit: out of date │ registers
//! ```
//!
//! Dense registers lie side by side, six bits each. Sparse ones are runs: `00nnnnnn` n+1 zeros,
//! `01nnnnnn nnnnnnnn` n+1 zeros, `1vvvvvnn` n+1 times v+1. The count is Ertl's improved estimate
//! (New cardinality estimation algorithms for HyperLogLog sketches, arXiv:1702.01284).

use super::encodings::Limits;
use super::entry::Text;
use super::errors::{Error, Outcome};
use super::slot::Slot;
use super::view::View;
use crate::command::{Command, Reply};

/// Registers of a sketch.
const REGISTERS: usize = 1 << INDEX_BITS;
const INDEX_BITS: u32 = 14;
/// Bits of a hash that are not the register's index.
const RANK_BITS: usize = 50;
const HEADER: usize = 16;
const DENSE_BYTES: usize = HEADER + REGISTERS * 6 / 8;
const DENSE: u8 = 0;
const SPARSE: u8 = 1;
/// Longest sparse form where no store has set another (Redis: `hll-sparse-max-bytes`).
const SPARSE_BYTES: usize = 3000;
/// Greatest register of the sparse form.
const SPARSE_MOST: u8 = 32;
/// Longest run of equal registers that are not zero.
const LONGEST_RUN: usize = 4;
/// Longest run of zeros in one byte.
const SHORT_ZEROS: usize = 64;
/// Where the flag of an outdated count is.
const STALE: (usize, u8) = (15, 0x80);

const NOT_ONE: &str = "WRONGTYPE Key is not a valid HyperLogLog string value.";
const CORRUPT: &str = "INVALIDOBJ Corrupted HLL object detected";

pub(super) fn pfadd(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let most = Limits::of(view).sketch();
    let mut slot = view.slot(command.arg(1));
    let found = read(&mut slot)?;
    let mut changed = found.is_none();
    let mut sketch = found.unwrap_or_default();
    for element in command.args(2) {
        let (index, rank) = place(element);
        changed |= sketch.raise(index, rank, most)?;
    }
    if changed {
        sketch.outdate();
        write(&mut slot, &sketch);
    }
    Ok(Reply::Int(i64::from(changed)))
}

pub(super) fn pfcount(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    if command.len() > 2 {
        let merged = merge(view, command, 1)?;
        let mut histogram = [0; 64];
        merged
            .registers
            .iter()
            .for_each(|r| histogram[*r as usize] += 1);
        return Ok(Reply::Int(estimate(&histogram)));
    }
    let mut slot = view.slot(command.arg(1));
    slot.inspect();
    let Some(mut sketch) = read(&mut slot)? else {
        return Ok(Reply::Int(0));
    };
    if let Some(count) = sketch.cached() {
        return Ok(Reply::Int(count));
    }
    let count = estimate(&sketch.histogram()?);
    sketch.cache(count);
    write(&mut slot, &sketch);
    Ok(Reply::Int(count))
}

pub(super) fn pfmerge(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let merged = merge(view, command, 1)?;
    let most = Limits::of(view).sketch();
    let mut slot = view.slot(command.arg(1));
    let mut sketch = read(&mut slot)?.unwrap_or_default();
    if merged.any_dense {
        sketch.make_dense()?;
    }
    for (index, rank) in merged.registers.iter().enumerate().filter(|(_, r)| **r > 0) {
        sketch.raise(index, *rank, most)?;
    }
    sketch.outdate();
    write(&mut slot, &sketch);
    Ok(Reply::OK)
}

/// PFDEBUG: how a sketch is kept.
pub(super) fn pfdebug(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let mut slot = view.slot(command.arg(2));
    let Some(mut sketch) = read(&mut slot)? else {
        return Err("ERR The specified key does not exist".into());
    };
    let is = |word: &[u8]| command.arg(1).eq_ignore_ascii_case(word);
    let was_dense = sketch.is_dense();
    if (is(b"getreg") || is(b"todense")) && !was_dense {
        sketch.make_dense()?;
        write(&mut slot, &sketch);
    }
    match () {
        () if is(b"getreg") => {
            let register = |i| Reply::Int(i64::from(sketch.dense(i)));
            Ok(Reply::Array((0..REGISTERS).map(register).collect()))
        }
        () if is(b"todense") => Ok(Reply::Int(i64::from(!was_dense))),
        () if is(b"encoding") => Ok(Reply::Status(if was_dense { "dense" } else { "sparse" })),
        () if is(b"decode") && was_dense => Err("ERR HLL encoding is not sparse".into()),
        () if is(b"decode") => Ok(Reply::bulk(sketch.runs_in_words())),
        () => {
            let word = String::from_utf8_lossy(command.arg(1));
            Err(format!("ERR Unknown PFDEBUG subcommand '{word}'").into())
        }
    }
}

/// Tries whether registers keep what is put into them, in both forms, and whether estimates are
/// near: PFSELFTEST.
///
/// # Errors
/// What is wrong.
pub fn self_test() -> Result<(), String> {
    const MOST: u64 = 100_000;
    let corrupt = |_| CORRUPT.to_owned();
    let mut dense = Sketch::default();
    dense.make_dense().map_err(corrupt)?;
    for i in 0..REGISTERS {
        dense.set_dense(i, (i * 31 % 64) as u8);
    }
    if let Some(i) = (0..REGISTERS).find(|&i| dense.dense(i) != (i * 31 % 64) as u8) {
        return Err(format!("Register {i} does not keep its value"));
    }
    let (mut sparse, mut dense) = (Sketch::default(), Sketch::default());
    dense.make_dense().map_err(corrupt)?;
    for count in 1..=MOST {
        let (index, rank) = place(&count.to_le_bytes());
        sparse.raise(index, rank, SPARSE_BYTES).map_err(corrupt)?;
        dense.raise(index, rank, SPARSE_BYTES).map_err(corrupt)?;
        if !matches!(count, 1 | 10 | 100 | 1_000 | 10_000 | MOST) {
            continue;
        }
        let histogram = dense.histogram().map_err(corrupt)?;
        if sparse.histogram().map_err(corrupt)? != histogram {
            return Err(format!("Both forms differ after {count} elements"));
        }
        // Six times the standard error, of few elements at least one.
        let most = (count as f64 * 6.0 * 1.04 / (REGISTERS as f64).sqrt()).ceil();
        let found = estimate(&histogram);
        if (found as f64 - count as f64).abs() > most {
            return Err(format!("{count} elements are taken for {found}"));
        }
    }
    Ok(())
}

/// The greatest of each register of several sketches.
struct Merged {
    registers: Box<[u8; REGISTERS]>,
    any_dense: bool,
}

fn merge(view: &mut View<'_>, command: &Command<'_>, first: usize) -> Result<Merged, Error> {
    let mut merged = Merged {
        registers: Box::new([0; REGISTERS]),
        any_dense: false,
    };
    for key in command.args(first) {
        let mut slot = view.slot(key);
        slot.inspect();
        let Some(sketch) = read(&mut slot)? else {
            continue;
        };
        merged.any_dense |= sketch.is_dense();
        sketch.each_run(|at, length, rank| {
            for register in &mut merged.registers[at..at + length] {
                *register = (*register).max(rank);
            }
        })?;
    }
    Ok(merged)
}

/// The sketch that is there.
///
/// # Errors
/// It is none.
fn read(slot: &mut Slot<'_, '_>) -> Result<Option<Sketch>, Error> {
    let Some(text) = slot.text()? else {
        return Ok(None);
    };
    let (Text::Bytes(bytes) | Text::Raw(bytes)) = text else {
        return Err(NOT_ONE.into());
    };
    let is_one = bytes.len() >= HEADER
        && bytes.starts_with(b"HYLL")
        && (bytes[4] == SPARSE || bytes[4] == DENSE && bytes.len() == DENSE_BYTES);
    match is_one {
        true => Ok(Some(Sketch(bytes.to_vec()))),
        false => Err(NOT_ONE.into()),
    }
}

fn write(slot: &mut Slot<'_, '_>, sketch: &Sketch) {
    slot.update_text(Text::Raw(&sketch.0));
}

/// A sketch in the bytes of Redis, with a header.
struct Sketch(Vec<u8>);

impl Default for Sketch {
    fn default() -> Sketch {
        let mut bytes = b"HYLL\x01".to_vec();
        bytes.resize(HEADER, 0);
        push_zeros(&mut bytes, REGISTERS);
        Sketch(bytes)
    }
}

/// A run of the sparse form.
#[derive(Clone, Copy)]
struct Run {
    length: usize,
    rank: u8,
    bytes: usize,
}

impl Run {
    /// The run at a place of the bytes.
    fn at(bytes: &[u8], at: usize) -> Option<Run> {
        let first = *bytes.get(at)?;
        Some(match first >> 6 {
            0 => Run {
                length: usize::from(first & 0x3f) + 1,
                rank: 0,
                bytes: 1,
            },
            1 => Run {
                length: (usize::from(first & 0x3f) << 8 | usize::from(*bytes.get(at + 1)?)) + 1,
                rank: 0,
                bytes: 2,
            },
            _ => Run {
                length: usize::from(first & 3) + 1,
                rank: (first >> 2 & 0x1f) + 1,
                bytes: 1,
            },
        })
    }
}

fn push_zeros(out: &mut Vec<u8>, length: usize) {
    match length {
        0 => {}
        1..=SHORT_ZEROS => out.push(length as u8 - 1),
        _ => out.extend_from_slice(&((length - 1) as u16 | 0x4000).to_be_bytes()),
    }
}

fn push_run(out: &mut Vec<u8>, rank: u8, length: usize) {
    if length > 0 {
        out.push(0x80 | (rank - 1) << 2 | (length - 1) as u8);
    }
}

impl Sketch {
    fn is_dense(&self) -> bool {
        self.0[4] == DENSE
    }

    /// The count as it was when it was last asked for, unless it may have changed since.
    fn cached(&self) -> Option<i64> {
        let (at, flag) = STALE;
        let count = self.0[8..HEADER]
            .first_chunk()
            .map(|b| i64::from_le_bytes(*b));
        count.filter(|_| self.0[at] & flag == 0)
    }

    fn cache(&mut self, count: i64) {
        self.0[8..HEADER].copy_from_slice(&count.to_le_bytes());
    }

    fn outdate(&mut self) {
        self.0[STALE.0] |= STALE.1;
    }

    /// Tells each run of equal registers: its first, its length, its rank.
    fn each_run(&self, mut tell: impl FnMut(usize, usize, u8)) -> Result<(), Error> {
        if self.is_dense() {
            (0..REGISTERS).for_each(|i| tell(i, 1, self.dense(i)));
            return Ok(());
        }
        let (mut at, mut first) = (HEADER, 0);
        while let Some(run) = Run::at(&self.0, at) {
            if first + run.length > REGISTERS {
                return Err(CORRUPT.into());
            }
            tell(first, run.length, run.rank);
            first += run.length;
            at += run.bytes;
        }
        match first == REGISTERS && at == self.0.len() {
            true => Ok(()),
            false => Err(CORRUPT.into()),
        }
    }

    /// The runs of the sparse form, as PFDEBUG DECODE tells them.
    fn runs_in_words(&self) -> String {
        let (mut at, mut words) = (HEADER, Vec::new());
        while let Some(run) = Run::at(&self.0, at) {
            words.push(match run {
                Run {
                    rank: 0,
                    bytes: 1,
                    length,
                } => format!("z:{length}"),
                Run {
                    rank: 0, length, ..
                } => format!("Z:{length}"),
                Run { rank, length, .. } => format!("v:{rank},{length}"),
            });
            at += run.bytes;
        }
        if let Some(cut) = self.0.get(at) {
            // Redis takes what is missing of the last run for a zero.
            words.push(format!("Z:{}", (usize::from(cut & 0x3f) << 8) + 1));
        }
        words.join(" ")
    }

    /// How many registers have each rank.
    fn histogram(&self) -> Result<[u32; 64], Error> {
        let mut histogram = [0; 64];
        self.each_run(|_, length, rank| histogram[usize::from(rank)] += length as u32)?;
        Ok(histogram)
    }

    fn dense(&self, index: usize) -> u8 {
        let (at, shift) = (HEADER + index * 6 / 8, index * 6 % 8);
        let next = self.0.get(at + 1).copied().unwrap_or(0);
        (u16::from_le_bytes([self.0[at], next]) >> shift & 0x3f) as u8
    }

    fn set_dense(&mut self, index: usize, rank: u8) {
        let (at, shift) = (HEADER + index * 6 / 8, index * 6 % 8);
        let next = self.0.get(at + 1).copied().unwrap_or(0);
        let word = u16::from_le_bytes([self.0[at], next]);
        let word = word & !(0x3f << shift) | u16::from(rank) << shift;
        self.0[at] = word as u8;
        if let Some(next) = self.0.get_mut(at + 1) {
            *next = (word >> 8) as u8;
        }
    }

    fn make_dense(&mut self) -> Result<(), Error> {
        if self.is_dense() {
            return Ok(());
        }
        let mut dense = Sketch(self.0[..HEADER].to_vec());
        dense.0[4] = DENSE;
        dense.0.resize(DENSE_BYTES, 0);
        self.each_run(|at, length, rank| {
            if rank > 0 {
                (at..at + length).for_each(|i| dense.set_dense(i, rank));
            }
        })?;
        *self = dense;
        Ok(())
    }

    /// Raises a register to a rank; whether it was lower. A sparse form that would have more than
    /// `most` bytes becomes dense.
    fn raise(&mut self, index: usize, rank: u8, most: usize) -> Result<bool, Error> {
        if self.is_dense() {
            let lower = self.dense(index) < rank;
            if lower {
                self.set_dense(index, rank);
            }
            return Ok(lower);
        }
        if rank > SPARSE_MOST {
            self.make_dense()?;
            return self.raise(index, rank, most);
        }
        self.raise_sparse(index, rank, most)
    }

    fn raise_sparse(&mut self, index: usize, rank: u8, most: usize) -> Result<bool, Error> {
        let (mut at, mut first, mut before) = (HEADER, 0, None);
        let run = loop {
            let run = Run::at(&self.0, at).ok_or(CORRUPT)?;
            if index < first + run.length {
                break run;
            }
            before = Some(at);
            at += run.bytes;
            first += run.length;
        };
        if run.rank >= rank {
            return Ok(false);
        }
        let mut new = Vec::with_capacity(5);
        let (left, right) = (index - first, first + run.length - 1 - index);
        if run.rank == 0 {
            push_zeros(&mut new, left);
            push_run(&mut new, rank, 1);
            push_zeros(&mut new, right);
        } else {
            push_run(&mut new, run.rank, left);
            push_run(&mut new, rank, 1);
            push_run(&mut new, run.rank, right);
        }
        let longer = new.len() > run.bytes;
        if longer && self.0.len() + new.len() - run.bytes > most {
            self.make_dense()?;
            return self.raise(index, rank, most);
        }
        self.0.splice(at..at + run.bytes, new);
        self.join_runs(before.unwrap_or(HEADER));
        Ok(true)
    }

    /// Joins neighbouring runs of the same rank, as far as a change may have made them.
    fn join_runs(&mut self, mut at: usize) {
        for _ in 0..5 {
            let Some(run) = Run::at(&self.0, at) else {
                return;
            };
            let next = Run::at(&self.0, at + 1).filter(|_| run.rank > 0);
            match next {
                Some(next) if next.rank == run.rank && run.length + next.length <= LONGEST_RUN => {
                    let mut joined = Vec::with_capacity(1);
                    push_run(&mut joined, run.rank, run.length + next.length);
                    self.0.splice(at..at + 2, joined);
                }
                _ => at += run.bytes,
            }
        }
    }
}

/// The register of an element, and its rank there.
fn place(element: &[u8]) -> (usize, u8) {
    const SEED: u64 = 0xadc8_3b19;
    let hash = murmur(element, SEED);
    let rank = (hash >> INDEX_BITS | 1 << RANK_BITS).trailing_zeros() + 1;
    (hash as usize % REGISTERS, rank as u8)
}

/// MurmurHash64A (Austin Appleby, public domain).
fn murmur(bytes: &[u8], seed: u64) -> u64 {
    const M: u64 = 0xc6a4_a793_5bd1_e995;
    let mut hash = seed ^ (bytes.len() as u64).wrapping_mul(M);
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        let k = u64::from_le_bytes(*word).wrapping_mul(M);
        hash = (hash ^ (k ^ k >> 47).wrapping_mul(M)).wrapping_mul(M);
    }
    if !rest.is_empty() {
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        hash = (hash ^ u64::from_le_bytes(last)).wrapping_mul(M);
    }
    hash = (hash ^ hash >> 47).wrapping_mul(M);
    hash ^ hash >> 47
}

/// How many different elements have probably been counted.
fn estimate(histogram: &[u32; 64]) -> i64 {
    const ALPHA: f64 = 0.721_347_520_444_481_7;
    let m = REGISTERS as f64;
    let mut z = m * tau((m - f64::from(histogram[RANK_BITS + 1])) / m);
    for count in histogram[1..=RANK_BITS].iter().rev() {
        z = (z + f64::from(*count)) * 0.5;
    }
    z += m * sigma(f64::from(histogram[0]) / m);
    (ALPHA * m * m / z).round() as i64
}

fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if before == z {
            return z;
        }
    }
}

fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x).powi(2) * y;
        if before == z {
            return z / 3.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_self_test_holds() {
        assert_eq!(self_test(), Ok(()));
    }

    #[test]
    fn estimates_are_near() {
        for count in [0u32, 1, 100, 5_000, 50_000] {
            let mut sketch = Sketch::default();
            for i in 0..count {
                let (index, rank) = place(&i.to_le_bytes());
                sketch.raise(index, rank, SPARSE_BYTES).unwrap();
            }
            let found = estimate(&sketch.histogram().unwrap()) as f64;
            assert!((found - f64::from(count)).abs() <= f64::from(count) * 0.02);
        }
    }

    #[test]
    fn both_forms_hold_the_same_registers() {
        let mut sparse = Sketch::default();
        for i in 0..400u32 {
            let (index, rank) = place(&i.to_le_bytes());
            sparse.raise(index, rank, SPARSE_BYTES).unwrap();
        }
        assert!(!sparse.is_dense());
        let histogram = sparse.histogram().unwrap();
        sparse.make_dense().unwrap();
        assert_eq!(sparse.histogram().unwrap(), histogram);
        assert_eq!(sparse.0.len(), DENSE_BYTES);
    }

    #[test]
    fn bytes_that_are_no_sketch_are_refused_without_harm() {
        for tail in [&b""[..], b"\x7f", b"\x7f\xff\x00", b"\xff\xff", b"\x00"] {
            let mut bytes = b"HYLL\x01".to_vec();
            bytes.resize(HEADER, 0);
            bytes.extend_from_slice(tail);
            let mut sketch = Sketch(bytes);
            assert!(sketch.histogram().is_err(), "{tail:?}");
            assert!(sketch.make_dense().is_err());
            assert!(sketch.raise(REGISTERS - 1, 40, SPARSE_BYTES).is_err());
            drop(sketch.raise(REGISTERS - 1, 3, SPARSE_BYTES));
        }
    }
}
