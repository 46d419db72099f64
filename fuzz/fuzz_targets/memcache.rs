//! memcached's text protocol: however the bytes of any client or server are cut, the same requests
//! and replies are found, or the same fault; what is sent on to a server is there the request
//! that it was here; and what a node executes for it is the same, with its data as the last word.
#![no_main]

use heeler::command::Reply;
use heeler::command::meta::Flags;
use heeler::wire::memcache::{self, Decoder, Fault, Items, Quiet, Scanner};
use heeler_fuzz::{however_cut, in_pieces};
use libfuzzer_sys::fuzz_target;

// The first byte cuts the others in pieces.
fuzz_target!(|input: &[u8]| {
    let Some((&piece, bytes)) = input.split_first() else {
        return;
    };
    let whole = however_cut(bytes, piece, requests);
    for (refused, _, sent) in whole.0 {
        if refused.is_none() {
            let again = requests(&sent, usize::MAX);
            assert_eq!(again, (vec![(None, true, sent)], None));
        }
    }
    however_cut(bytes, piece, commands);
    let whole = however_cut(bytes, piece, replies);
    for reply in whole.0 {
        let items: usize = Items::of(&reply).map(|(_, item)| item.len()).sum();
        assert_eq!(items + Items::of(&reply).end().len(), reply.len());
    }
});

/// What refuses it, whether its reply is wanted, and its bytes for a server.
type Seen = (Option<&'static str>, bool, Vec<u8>);

/// The requests, and the fault that ends them.
fn requests(bytes: &[u8], piece: usize) -> (Vec<Seen>, Option<Fault>) {
    let (mut decoder, mut requests) = (Decoder::default(), Vec::new());
    let end = in_pieces(bytes, piece, |buffer| {
        let mut expected = decoder.expects();
        while let Some(length) = decoder.decode(buffer)? {
            assert!(length > 0 && length >= expected, "{expected} of {length}");
            expected = 0;
            if let Some(request) = decoder.request(buffer) {
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
        Ok(())
    });
    (requests, end.err())
}

/// What a node executes, word by word, and a reply to it.
type Executed = (Vec<Vec<u8>>, Vec<u8>);

/// What a node executes, and the fault that ends it.
fn commands(bytes: &[u8], piece: usize) -> (Vec<Executed>, Option<Fault>) {
    let (mut decoder, mut found) = (Decoder::of_node(), Vec::new());
    let end = in_pieces(bytes, piece, |buffer| {
        while let Some(length) = decoder.decode(buffer)? {
            let request = decoder.request(buffer).filter(|r| r.refused.is_none());
            let both = request.and_then(|request| Some((request, request.command()?)));
            if let Some((request, command)) = both {
                let mut reply = Vec::new();
                memcache::write(&command, request.quiet, &Reply::Null, &mut reply);
                let _ = Flags::parse(&command, 2, command.len(), 0);
                found.push((command.args(0).map(<[u8]>::to_vec).collect(), reply));
            }
            buffer.drain(..length);
        }
        Ok(())
    });
    (found, end.err())
}

/// The replies and what ends them: a fault, or the bytes that are left over.
fn replies(bytes: &[u8], piece: usize) -> (Vec<Vec<u8>>, Result<usize, Fault>) {
    let (mut scanner, mut replies) = (Scanner::default(), Vec::new());
    let end = in_pieces(bytes, piece, |buffer| {
        let mut expected = scanner.expects();
        while let Some(length) = scanner.scan(buffer)? {
            assert!(length > 0 && length >= expected, "{expected} of {length}");
            expected = 0;
            replies.push(buffer.drain(..length).collect());
        }
        Ok(())
    });
    (replies, end)
}
