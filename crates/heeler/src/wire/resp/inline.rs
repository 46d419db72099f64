//! Inline requests: a line of words, as typed into `telnet` or `nc`.

use super::Fault;
use super::encode::bulk;
use crate::command::Arg;

/// Writes the words of a line as an array of bulk strings, with their places. Words are parted by
/// blanks; `"…"` takes `\n \r \t \b \a \xHH \" \\`, `'…'` takes `\'`, and both end a word.
pub(super) fn rewrite(line: &[u8], out: &mut Vec<u8>, args: &mut Vec<Arg>) -> Result<(), Fault> {
    let mut words = Vec::new();
    // A NUL ends the line, as it ends a string of C.
    let line = memchr::memchr(0, line).map_or(line, |nul| &line[..nul]);
    let mut rest = line.trim_ascii_start();
    while !rest.is_empty() {
        let (word, after) = word(rest)?;
        words.push(word);
        rest = after.trim_ascii_start();
    }
    if words.is_empty() {
        return Ok(());
    }
    out.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        bulk(&word, out);
        let end = out.len() - 2;
        args.push(Arg {
            start: (end - word.len()) as u32,
            end: end as u32,
        });
    }
    Ok(())
}

fn word(mut rest: &[u8]) -> Result<(Vec<u8>, &[u8]), Fault> {
    let mut word = Vec::new();
    while let [byte, after @ ..] = rest {
        match byte {
            blank if blank.is_ascii_whitespace() => break,
            b'"' => return double_quoted(after, word),
            b'\'' => return single_quoted(after, word),
            _ => word.push(*byte),
        }
        rest = after;
    }
    Ok((word, rest))
}

fn double_quoted(mut rest: &[u8], mut word: Vec<u8>) -> Result<(Vec<u8>, &[u8]), Fault> {
    loop {
        rest = match rest {
            [b'\\', b'x', high, low, after @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                word.push(hex(*high) * 16 + hex(*low));
                after
            }
            [b'\\', escaped, after @ ..] => {
                word.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'a' => 7,
                    other => *other,
                });
                after
            }
            [b'"', after @ ..] => return closed(after, word),
            [byte, after @ ..] => {
                word.push(*byte);
                after
            }
            [] => return Err(unbalanced()),
        }
    }
}

fn single_quoted(mut rest: &[u8], mut word: Vec<u8>) -> Result<(Vec<u8>, &[u8]), Fault> {
    loop {
        rest = match rest {
            [b'\\', b'\'', after @ ..] => {
                word.push(b'\'');
                after
            }
            [b'\'', after @ ..] => return closed(after, word),
            [byte, after @ ..] => {
                word.push(*byte);
                after
            }
            [] => return Err(unbalanced()),
        }
    }
}

/// After a closing quote a blank or the end must follow.
fn closed(rest: &[u8], word: Vec<u8>) -> Result<(Vec<u8>, &[u8]), Fault> {
    match rest.first() {
        None => Ok((word, rest)),
        Some(byte) if byte.is_ascii_whitespace() => Ok((word, rest)),
        Some(_) => Err(unbalanced()),
    }
}

fn unbalanced() -> Fault {
    Fault::new("unbalanced quotes in request")
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}
