//! What nodes say to each other of keys that clients keep copies of, as arrays of strings.

use bytes::Bytes;

use crate::command::Arg;
use crate::command::number::natural;
use crate::pubsub::{Told, Why};
use crate::wire::resp::{Decoder, encode_command};

const LOST: &[u8] = b"lost";

/// Words as the body of a call, or of an answer.
pub(super) fn body<'a>(words: impl Iterator<Item = &'a [u8]>) -> Bytes {
    let words: Vec<&[u8]> = words.collect();
    let mut out = Vec::new();
    encode_command(words.into_iter(), &mut out);
    out.into()
}

/// The words in it.
pub(super) fn words(body: &[u8]) -> Option<Vec<Box<[u8]>>> {
    let mut decoder = Decoder::default();
    decoder.decode(body).ok()??;
    let (raw, args) = decoder.request(body);
    let word = |arg: &Arg| raw[arg.start as usize..arg.end as usize].into();
    Some(args.iter().map(word).collect())
}

/// What a node is told as the body of an answer: of each thing its kind, the key, the number of the
/// read, and of the client that has changed the key.
pub(super) fn told_as(told: Option<&[Told]>) -> Bytes {
    let Some(told) = told else {
        return body(std::iter::once(LOST));
    };
    let mut all: Vec<Box<[u8]>> = Vec::with_capacity(4 * told.len());
    for told in told {
        let (kind, key, read, by) = match told {
            Told::All => ("all", &[][..], 0, 0),
            Told::AllPrefixes => ("prefixes", &[][..], 0, 0),
            Told::Key { key, why, by } => match why {
                Why::Read(read) => ("read", &**key, *read, *by),
                Why::Prefix => ("prefix", &**key, 0, *by),
            },
        };
        all.extend([kind.as_bytes().into(), key.into()]);
        all.extend([read, by].map(|number| number.to_string().into_bytes().into()));
    }
    body(all.iter().map(|word| &**word))
}

/// The same, read. `None`: it is not known what has changed.
pub(super) fn told_in(answer: &[u8]) -> Option<Vec<Told>> {
    let words = match answer {
        b"*0\r\n" => Vec::new(),
        answer => words(answer)?,
    };
    let told = |it: &[Box<[u8]>]| {
        let [kind, key, read, by] = it else {
            return None;
        };
        let why = match &**kind {
            b"all" => return Some(Told::All),
            b"prefixes" => return Some(Told::AllPrefixes),
            b"read" => Why::Read(natural(read)?),
            b"prefix" => Why::Prefix,
            _ => return None,
        };
        Some(Told::Key {
            key: key.clone(),
            why,
            by: natural(by)?,
        })
    };
    words.chunks(4).map(told).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_read() {
        let key = |why| Told::Key {
            key: b"\r\n"[..].into(),
            why,
            by: 7,
        };
        let told = [
            Told::All,
            Told::AllPrefixes,
            key(Why::Read(9)),
            key(Why::Prefix),
        ];
        for told in [&told[..], &[]] {
            assert_eq!(told_in(&told_as(Some(told))).as_deref(), Some(told));
        }
        assert_eq!(told_in(&told_as(None)), None);
        for bad in ["", "*1\r\n$1", "*1\r\n$3\r\nall\r\n", "+OK\r\n"] {
            assert_eq!(told_in(bad.as_bytes()), None, "{bad}");
        }
        let words = [&b"read"[..], b"k", b"-1", b"0"];
        assert_eq!(told_in(&body(words.into_iter())), None);
    }
}
