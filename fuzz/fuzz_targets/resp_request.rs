//! Requests of any client, and of another node: however their bytes are cut, and however many are
//! found ahead, the same requests are found, or the same fault.
#![no_main]

use heeler::command::Arg;
use heeler::wire::resp::{Asker, Decoder, Fault};
use heeler_fuzz::{however_cut, in_pieces};
use libfuzzer_sys::fuzz_target;

// The first byte cuts the others in pieces.
fuzz_target!(|input: &[u8]| {
    let Some((&piece, bytes)) = input.split_first() else {
        return;
    };
    let _ = however_cut(bytes, piece, read);
    assert!(bytes.ends_with(Asker::split(bytes).1));
});

/// The requests and what ends them: a fault, or the bytes that are left over.
fn read(bytes: &[u8], piece: usize) -> (Vec<Vec<Vec<u8>>>, Result<usize, Fault>) {
    let (mut decoder, mut requests) = (Decoder::default(), Vec::new());
    let end = in_pieces(bytes, piece, |buffer| {
        let mut expected = decoder.expects();
        // Bytes that come as a whole are read one request at a time.
        if piece > 0 && piece % 2 == 0 {
            decoder.look_ahead(buffer);
        }
        while let Some(length) = decoder.decode(buffer)? {
            assert!(length > 0 && length >= expected, "{expected} of {length}");
            expected = 0;
            let (raw, args) = decoder.request(buffer);
            let arg = |a: &Arg| raw[a.start as usize..a.end as usize].to_vec();
            requests.push(args.iter().map(arg).collect());
            buffer.drain(..length);
        }
        Ok(())
    });
    (requests, end)
}
