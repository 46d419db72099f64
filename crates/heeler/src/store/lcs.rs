//! LCS: the longest common subsequence of two strings.

use super::errors::{Error, Outcome, SYNTAX};
use super::numbers;
use super::view::View;
use crate::command::{Command, Reply};
use crate::limits;

pub(super) fn lcs(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let first = string(view, command.arg(1))?;
    let second = string(view, command.arg(2))?;
    let options = Options::parse(command)?;
    let table = Table::build(&first, &second)?;
    if options.only_len {
        return Ok(Reply::Int(table.len()));
    }
    if options.ranges {
        let matches = table.ranges(&options);
        return Ok(Reply::Map(vec![
            (Reply::bulk("matches"), Reply::Array(matches)),
            (Reply::bulk("len"), Reply::Int(table.len())),
        ]));
    }
    Ok(Reply::bulk(table.subsequence()))
}

fn string(view: &mut View<'_>, key: &[u8]) -> Result<Vec<u8>, Error> {
    let mut slot = view.slot(key);
    match slot.read_text() {
        Ok(None) => Ok(Vec::new()),
        Ok(Some(text)) => Ok(text.to_blob().into_vec()),
        Err(_) => Err("ERR The specified keys must contain string values".into()),
    }
}

#[derive(Default)]
struct Options {
    only_len: bool,
    ranges: bool,
    with_len: bool,
    min_len: i64,
}

impl Options {
    fn parse(command: &Command<'_>) -> Result<Options, Error> {
        let mut found = Options::default();
        let mut words = command.args(3);
        while let Some(word) = words.next() {
            match word {
                w if w.eq_ignore_ascii_case(b"idx") => found.ranges = true,
                w if w.eq_ignore_ascii_case(b"len") => found.only_len = true,
                w if w.eq_ignore_ascii_case(b"withmatchlen") => found.with_len = true,
                w if w.eq_ignore_ascii_case(b"minmatchlen") => {
                    let argument = words.next().ok_or(SYNTAX)?;
                    found.min_len = numbers::integer_argument(argument)?;
                }
                _ => return Err(SYNTAX.into()),
            }
        }
        if found.ranges && found.only_len {
            let both = "ERR If you want both the length and indexes, please just use IDX.";
            return Err(both.into());
        }
        Ok(found)
    }
}

/// The lengths for all pairs of prefixes.
struct Table<'a> {
    first: &'a [u8],
    second: &'a [u8],
    cells: Vec<u32>,
}

impl<'a> Table<'a> {
    fn build(first: &'a [u8], second: &'a [u8]) -> Result<Table<'a>, Error> {
        let too_big = "ERR Insufficient memory, transient memory for LCS exceeds \
            proto-max-bulk-len";
        let width = second.len() + 1;
        let cells = (first.len() + 1).checked_mul(width).ok_or(too_big)?;
        if cells > limits::VALUE_BYTES / size_of::<u32>() {
            return Err(too_big.into());
        }
        let mut cells = vec![0; cells];
        for (i, a) in first.iter().enumerate() {
            let (above, below) = cells.split_at_mut((i + 1) * width);
            let above = &above[i * width..];
            for (j, b) in second.iter().enumerate() {
                below[j + 1] = match a == b {
                    true => above[j] + 1,
                    false => above[j + 1].max(below[j]),
                };
            }
        }
        Ok(Table {
            first,
            second,
            cells,
        })
    }

    fn at(&self, i: usize, j: usize) -> u32 {
        self.cells[i * (self.second.len() + 1) + j]
    }

    fn len(&self) -> i64 {
        i64::from(self.at(self.first.len(), self.second.len()))
    }

    /// The pairs of places where the subsequence matches, from the last to the first.
    fn matches(&self) -> impl Iterator<Item = (usize, usize)> {
        let (mut i, mut j) = (self.first.len(), self.second.len());
        std::iter::from_fn(move || {
            while i > 0 && j > 0 {
                if self.first[i - 1] == self.second[j - 1] {
                    (i, j) = (i - 1, j - 1);
                    return Some((i, j));
                }
                if self.at(i - 1, j) > self.at(i, j - 1) {
                    i -= 1;
                } else {
                    j -= 1;
                }
            }
            None
        })
    }

    fn subsequence(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = self.matches().map(|(i, _)| self.first[i]).collect();
        bytes.reverse();
        bytes
    }

    /// The runs of matches that are contiguous in both strings, from the last to the first.
    fn ranges(&self, options: &Options) -> Vec<Reply> {
        let mut runs: Vec<(usize, usize, usize)> = Vec::new();
        for (i, j) in self.matches() {
            match runs.last_mut() {
                Some((a, b, len)) if (*a, *b) == (i + 1, j + 1) => {
                    (*a, *b, *len) = (i, j, *len + 1)
                }
                _ => runs.push((i, j, 1)),
            }
        }
        let long = runs.iter().filter(|run| run.2 as i64 >= options.min_len);
        long.map(|run| range_reply(*run, options)).collect()
    }
}

fn range_reply((a, b, len): (usize, usize, usize), options: &Options) -> Reply {
    let range = |start: usize| {
        let end = start + len - 1;
        Reply::Array(vec![Reply::Int(start as i64), Reply::Int(end as i64)])
    };
    let mut parts = vec![range(a), range(b)];
    if options.with_len {
        parts.push(Reply::Int(len as i64));
    }
    Reply::Array(parts)
}
