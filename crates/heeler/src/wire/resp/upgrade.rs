//! Replies of servers that speak RESP2, for clients that speak RESP3.

use super::Elements;
use super::encode::header;
use crate::command::Shape;

/// Writes a whole reply in RESP2 as the RESP3 of the given shape. What is not of that shape, an
/// error for instance, is written as it is, but for nulls.
pub fn upgrade(reply: &[u8], shape: Shape, out: &mut Vec<u8>) {
    let Some(elements) = Elements::of(reply) else {
        return match shape {
            Shape::Double => double(reply, out),
            _ => plain(reply, out),
        };
    };
    let count = elements.left();
    match shape {
        Shape::Plain | Shape::Double => each(b'*', elements, plain, out),
        Shape::Map if count.is_multiple_of(2) => {
            header(b'%', count as i64 / 2, out);
            elements.for_each(|element| plain(element, out));
        }
        Shape::Map => each(b'*', elements, plain, out),
        Shape::Maps => each(b'*', elements, |e, out| upgrade(e, Shape::Map, out), out),
        Shape::Set => each(b'~', elements, plain, out),
        Shape::Doubles => each(b'*', elements, double, out),
        Shape::Scored => scored(elements, out),
        Shape::ScoredPairs => pairs(elements, double, out),
        Shape::Pairs => pairs(elements, plain, out),
        Shape::KeyMemberScore => key_member_score(elements, out),
        Shape::KeyAndScored => each(b'*', elements, |e, out| inside(e, Shape::Scored, out), out),
        Shape::Positions => each(
            b'*',
            elements,
            |e, out| upgrade(e, Shape::Doubles, out),
            out,
        ),
        Shape::Places => each(b'*', elements, |e, out| inside(e, Shape::Doubles, out), out),
    }
}

/// Gives the shape to those elements of an element that are arrays.
fn inside(element: &[u8], shape: Shape, out: &mut Vec<u8>) {
    match Elements::of(element) {
        None => plain(element, out),
        Some(parts) => each(
            b'*',
            parts,
            |part, out| upgrade(part, shape_of_array(part, shape), out),
            out,
        ),
    }
}

fn shape_of_array(part: &[u8], shape: Shape) -> Shape {
    match part.first() {
        Some(b'*') => shape,
        _ => Shape::Plain,
    }
}

fn each(kind: u8, elements: Elements<'_>, write: impl Fn(&[u8], &mut Vec<u8>), out: &mut Vec<u8>) {
    header(kind, elements.left() as i64, out);
    elements.for_each(|element| write(element, out));
}

/// The last of three is a score.
fn key_member_score(elements: Elements<'_>, out: &mut Vec<u8>) {
    header(b'*', elements.left() as i64, out);
    for (i, element) in elements.enumerate() {
        match i {
            2 => double(element, out),
            _ => plain(element, out),
        }
    }
}

/// A member and its score; nothing where there is none.
fn scored(elements: Elements<'_>, out: &mut Vec<u8>) {
    header(b'*', elements.left() as i64, out);
    for (i, element) in elements.enumerate() {
        match i % 2 {
            0 => plain(element, out),
            _ => double(element, out),
        }
    }
}

fn pairs(mut elements: Elements<'_>, second: fn(&[u8], &mut Vec<u8>), out: &mut Vec<u8>) {
    if !elements.left().is_multiple_of(2) {
        return each(b'*', elements, plain, out);
    }
    header(b'*', elements.left() as i64 / 2, out);
    while let (Some(a), Some(b)) = (elements.next(), elements.next()) {
        out.extend_from_slice(b"*2\r\n");
        plain(a, out);
        second(b, out);
    }
}

/// A bulk string that is a number.
fn double(reply: &[u8], out: &mut Vec<u8>) {
    let text = match (reply.first(), memchr::memchr(b'\n', reply)) {
        (Some(b'$'), Some(end)) if reply != b"$-1\r\n" => &reply[end + 1..],
        _ => return plain(reply, out),
    };
    out.push(b',');
    out.extend_from_slice(text);
}

/// As it is, but nulls are RESP3's, inside of arrays too.
fn plain(reply: &[u8], out: &mut Vec<u8>) {
    match Elements::of(reply) {
        Some(elements) => each(b'*', elements, plain, out),
        None if matches!(reply, b"$-1\r\n" | b"*-1\r\n") => out.extend_from_slice(b"_\r\n"),
        None => out.extend_from_slice(reply),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_get_their_shape() {
        for (shape, two, three) in [
            (Shape::Plain, "+OK\r\n", "+OK\r\n"),
            (Shape::Plain, "$-1\r\n", "_\r\n"),
            (Shape::Plain, "*-1\r\n", "_\r\n"),
            (
                Shape::Plain,
                "*2\r\n*1\r\n$-1\r\n:1\r\n",
                "*2\r\n*1\r\n_\r\n:1\r\n",
            ),
            (Shape::Map, "*2\r\n+a\r\n$-1\r\n", "%1\r\n+a\r\n_\r\n"),
            (Shape::Map, "-WRONGTYPE x\r\n", "-WRONGTYPE x\r\n"),
            (Shape::Set, "*1\r\n+a\r\n", "~1\r\n+a\r\n"),
            (Shape::Double, "$3\r\n1.5\r\n", ",1.5\r\n"),
            (Shape::Double, "$-1\r\n", "_\r\n"),
            (
                Shape::Doubles,
                "*2\r\n$1\r\n1\r\n$-1\r\n",
                "*2\r\n,1\r\n_\r\n",
            ),
            (
                Shape::Scored,
                "*2\r\n+a\r\n$1\r\n1\r\n",
                "*2\r\n+a\r\n,1\r\n",
            ),
            (Shape::Scored, "*0\r\n", "*0\r\n"),
            (
                Shape::ScoredPairs,
                "*2\r\n+a\r\n$1\r\n1\r\n",
                "*1\r\n*2\r\n+a\r\n,1\r\n",
            ),
            (Shape::ScoredPairs, "*0\r\n", "*0\r\n"),
            (
                Shape::Pairs,
                "*2\r\n+a\r\n+b\r\n",
                "*1\r\n*2\r\n+a\r\n+b\r\n",
            ),
        ] {
            let mut out = Vec::new();
            upgrade(two.as_bytes(), shape, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), three, "{shape:?}");
        }
    }
}
