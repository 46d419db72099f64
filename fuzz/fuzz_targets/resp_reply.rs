//! Replies of any server: however their bytes are cut, the same replies are found, or the same
//! fault; and the elements of an array are all of it.
#![no_main]

use heeler::wire::resp::{Elements, Fault, Scanner};
use heeler_fuzz::{however_cut, in_pieces};
use libfuzzer_sys::fuzz_target;

// The first byte cuts the others in pieces.
fuzz_target!(|input: &[u8]| {
    let Some((&piece, bytes)) = input.split_first() else {
        return;
    };
    let whole = however_cut(bytes, piece, read);
    for reply in &whole.0 {
        let Some(elements) = Elements::of(reply) else {
            continue;
        };
        let header = reply.iter().position(|&byte| byte == b'\n').unwrap_or(0) + 1;
        let count = elements.left();
        let elements: Vec<&[u8]> = elements.collect();
        assert_eq!(elements.len(), count);
        assert_eq!(elements.concat(), reply[header..]);
    }
});

/// The replies and what ends them: a fault, or the bytes that are left over.
fn read(bytes: &[u8], piece: usize) -> (Vec<Vec<u8>>, Result<usize, Fault>) {
    let (mut scanner, mut replies) = (Scanner::default(), Vec::new());
    let end = in_pieces(bytes, piece, |buffer| {
        let mut expected = scanner.expects(buffer);
        while !buffer.is_empty()
            && let Some(length) = scanner.scan(buffer)?
        {
            assert!(length > 0 && length >= expected, "{expected} of {length}");
            expected = 0;
            replies.push(buffer.drain(..length).collect());
        }
        Ok(())
    });
    (replies, end)
}
