//! Values as bytes.

/// Whether a byte stands for itself in a string.
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0x20;
    while byte < 0x80 {
        plain[byte] = !matches!(byte as u8, b'"' | b'\\' | b'<' | b'>' | b'&');
        byte += 1;
    }
    plain
};
const HEX: &[u8; 16] = b"0123456789abcdef";

/// Writes a string.
pub fn write_text(text: &str, out: &mut Vec<u8>) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    escaped(text.as_bytes(), out);
    out.push(b'"');
}

/// Writes bytes as a string: what is no UTF-8 is shown as `\ufffd`.
pub fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for chunk in bytes.utf8_chunks() {
        escaped(chunk.valid().as_bytes(), out);
        // Go shows each byte that belongs to no character.
        for _ in chunk.invalid() {
            out.extend_from_slice(b"\\ufffd");
        }
    }
    out.push(b'"');
}

/// `text` is UTF-8.
fn escaped(text: &[u8], out: &mut Vec<u8>) {
    let mut start = 0;
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        if PLAIN[usize::from(byte)] {
            at += 1;
            continue;
        }
        if byte >= 0x80 {
            // U+2028 and U+2029.
            let is_separator = byte == 0xe2
                && text.get(at + 1) == Some(&0x80)
                && matches!(text.get(at + 2), Some(0xa8 | 0xa9));
            if is_separator {
                out.extend_from_slice(&text[start..at]);
                out.extend_from_slice(b"\\u202");
                out.push(HEX[usize::from(text[at + 2] & 0xf)]);
                at += 3;
                start = at;
            } else {
                at += 1;
            }
            continue;
        }
        out.extend_from_slice(&text[start..at]);
        escape(byte, out);
        at += 1;
        start = at;
    }
    out.extend_from_slice(&text[start..]);
}

fn escape(byte: u8, out: &mut Vec<u8>) {
    match byte {
        b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        _ => {
            out.extend_from_slice(b"\\u00");
            out.push(HEX[usize::from(byte >> 4)]);
            out.push(HEX[usize::from(byte & 0xf)]);
        }
    }
}

pub(super) fn list<T>(
    elements: impl Iterator<Item = T>,
    out: &mut Vec<u8>,
    mut write: impl FnMut(T, &mut Vec<u8>),
) {
    out.push(b'[');
    for (i, element) in elements.enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write(element, out);
    }
    out.push(b']');
}

/// Names are UTF-8.
pub(super) fn object<'a, T>(
    members: impl Iterator<Item = (&'a [u8], T)>,
    out: &mut Vec<u8>,
    mut write: impl FnMut(T, &mut Vec<u8>),
) {
    out.push(b'{');
    for (i, (name, value)) in members.enumerate() {
        if i > 0 {
            out.push(b',');
        }
        out.push(b'"');
        escaped(name, out);
        out.extend_from_slice(b"\":");
        write(value, out);
    }
    out.push(b'}');
}

/// What Go's `%v` prints of a `float64`: with an exponent if that is below -4 or above 5.
pub(super) fn printed_number(digits: &str) -> String {
    let Ok(number) = digits.parse::<f64>() else {
        return digits.into();
    };
    let scientific = format!("{number:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    match exponent {
        -4..6 => format!("{number}"),
        _ => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs())
        }
    }
}
