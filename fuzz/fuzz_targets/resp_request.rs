//! Requests of any client: however their bytes are cut, the same requests are found, or the same
//! fault.
#![no_main]

use heeler::command::Arg;
use heeler::wire::resp::{Decoder, Fault};
use libfuzzer_sys::fuzz_target;

// The first byte cuts the others in pieces.
fuzz_target!(|input: &[u8]| {
    let Some((&piece, bytes)) = input.split_first() else {
        return;
    };
    let whole = read(bytes, usize::MAX);
    assert_eq!(read(bytes, usize::from(piece).max(1)), whole);
    assert_eq!(read(bytes, 1), whole);
});

/// The requests and what ends them: a fault, or the bytes that are left over.
fn read(bytes: &[u8], piece: usize) -> (Vec<Vec<Vec<u8>>>, Result<usize, Fault>) {
    let (mut decoder, mut buffer, mut requests) = (Decoder::default(), Vec::new(), Vec::new());
    for piece in bytes.chunks(piece) {
        buffer.extend_from_slice(piece);
        let mut expected = decoder.expects();
        loop {
            match decoder.decode(&buffer) {
                Err(fault) => return (requests, Err(fault)),
                Ok(None) => break,
                Ok(Some(length)) => {
                    assert!(length > 0 && length >= expected, "{expected} of {length}");
                    expected = 0;
                    let (raw, args) = decoder.request(&buffer);
                    let arg = |a: &Arg| raw[a.start as usize..a.end as usize].to_vec();
                    requests.push(args.iter().map(arg).collect());
                    buffer.drain(..length);
                }
            }
        }
    }
    (requests, Ok(buffer.len()))
}
