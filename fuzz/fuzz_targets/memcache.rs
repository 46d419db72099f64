//! memcached's text protocol: however the bytes of any client or server are cut, the same requests
//! and replies are found, or the same fault; what is sent on to a server is there the request
//! that it was here; and what a node executes for it is the same, with its data as the last word.
#![no_main]

use heeler::command::Reply;
use heeler::command::meta::Flags;
use heeler::wire::memcache::{self, Decoder, Fault, Items, Quiet, Scanner};
use libfuzzer_sys::fuzz_target;

// The first byte cuts the others in pieces.
fuzz_target!(|input: &[u8]| {
    let Some((&piece, bytes)) = input.split_first() else {
        return;
    };
    let whole = requests(bytes, usize::MAX);
    assert_eq!(requests(bytes, usize::from(piece).max(1)), whole);
    assert_eq!(requests(bytes, 1), whole);
    for (refused, _, sent) in whole.0 {
        if refused.is_none() {
            let again = requests(&sent, usize::MAX);
            assert_eq!(again, (vec![(None, true, sent)], None));
        }
    }
    let executed = commands(bytes, usize::MAX);
    assert_eq!(commands(bytes, usize::from(piece).max(1)), executed);
    assert_eq!(commands(bytes, 1), executed);
    let whole = replies(bytes, usize::MAX);
    assert_eq!(replies(bytes, usize::from(piece).max(1)), whole);
    assert_eq!(replies(bytes, 1), whole);
    for reply in whole.0 {
        let items: usize = Items::of(&reply).map(|(_, item)| item.len()).sum();
        assert_eq!(items + Items::of(&reply).end().len(), reply.len());
    }
});

/// What refuses it, whether its reply is wanted, and its bytes for a server.
type Seen = (Option<&'static str>, bool, Vec<u8>);

/// The requests, and the fault that ends them.
fn requests(bytes: &[u8], piece: usize) -> (Vec<Seen>, Option<Fault>) {
    let (mut decoder, mut buffer, mut requests) = (Decoder::default(), Vec::new(), Vec::new());
    for piece in bytes.chunks(piece) {
        buffer.extend_from_slice(piece);
        let mut expected = decoder.expects();
        loop {
            match decoder.decode(&buffer) {
                Err(fault) => return (requests, Some(fault)),
                Ok(None) => break,
                Ok(Some(length)) => {
                    assert!(length > 0 && length >= expected, "{expected} of {length}");
                    expected = 0;
                    if let Some(request) = decoder.request(&buffer) {
                        request.words(0).for_each(|word| assert!(!word.is_empty()));
                        let wanted = request.quiet == Quiet::No;
                        // Of what is refused the bytes are nobody's.
                        let sent = match request.refused {
                            Some(_) => Vec::new(),
                            None => request.raw().to_vec(),
                        };
                        requests.push((request.refused, wanted, sent));
                    }
                    buffer.drain(..length);
                }
            }
        }
    }
    (requests, None)
}

/// What a node executes, word by word, and a reply to it.
type Executed = (Vec<Vec<u8>>, Vec<u8>);

/// What a node executes, and the fault that ends it.
fn commands(bytes: &[u8], piece: usize) -> (Vec<Executed>, Option<Fault>) {
    let (mut decoder, mut buffer, mut found) = (Decoder::of_node(), Vec::new(), Vec::new());
    for piece in bytes.chunks(piece) {
        buffer.extend_from_slice(piece);
        loop {
            match decoder.decode(&buffer) {
                Err(fault) => return (found, Some(fault)),
                Ok(None) => break,
                Ok(Some(length)) => {
                    let request = decoder.request(&buffer).filter(|r| r.refused.is_none());
                    let both = request.and_then(|request| Some((request, request.command()?)));
                    if let Some((request, command)) = both {
                        let mut reply = Vec::new();
                        memcache::write(&command, request.quiet, &Reply::Null, &mut reply);
                        let _ = Flags::parse(&command, 2, command.len(), 0);
                        found.push((command.args(0).map(<[u8]>::to_vec).collect(), reply));
                    }
                    buffer.drain(..length);
                }
            }
        }
    }
    (found, None)
}

/// The replies and what ends them: a fault, or the bytes that are left over.
fn replies(bytes: &[u8], piece: usize) -> (Vec<Vec<u8>>, Result<usize, Fault>) {
    let (mut scanner, mut buffer, mut replies) = (Scanner::default(), Vec::new(), Vec::new());
    for piece in bytes.chunks(piece) {
        buffer.extend_from_slice(piece);
        let mut expected = scanner.expects();
        loop {
            match scanner.scan(&buffer) {
                Err(fault) => return (replies, Err(fault)),
                Ok(None) => break,
                Ok(Some(length)) => {
                    assert!(length > 0 && length >= expected, "{expected} of {length}");
                    replies.push(buffer.drain(..length).collect());
                    expected = 0;
                }
            }
        }
    }
    (replies, Ok(buffer.len()))
}
