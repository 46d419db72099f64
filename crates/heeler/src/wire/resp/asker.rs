//! Who a request of another node comes from, where that matters: a client that keeps copies of what
//! it reads (CLIENT TRACKING), or does not want to be told of what it changes itself.
//!
//! ```text
//!   reader NODE CLIENT READ      before the request itself; it has no reply of its own
//! ```
//!
//! READ is the number of the read at the client's node, and 0 for what is not to be remembered.

use super::{Decoder, encode_command};
use crate::command::Arg;
use crate::command::number::natural;

const NAME: &[u8] = b"reader";
const HEAD: &[u8] = b"*4\r\n$6\r\nreader\r\n";

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asker {
    /// The number of its node.
    pub node: u64,
    /// Its own number at that node.
    pub client: u64,
    /// The number of its read; 0: it does not keep what it reads.
    pub read: u64,
}

impl Asker {
    /// A request that says who asks.
    pub fn before(&self, request: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEAD.len() + 80 + request.len());
        let mut digits = [self.node, self.client, self.read].map(|_| itoa::Buffer::new());
        let numbers = [self.node, self.client, self.read];
        let mut words = vec![NAME];
        let pairs = digits.iter_mut().zip(numbers);
        words.extend(pairs.map(|(buffer, number)| buffer.format(number).as_bytes()));
        encode_command(words.into_iter(), &mut out);
        out.extend_from_slice(request);
        out
    }

    /// What a request says of who asks, and the request itself.
    pub fn split(request: &[u8]) -> (Option<Asker>, &[u8]) {
        match request.starts_with(HEAD) {
            true => Asker::read(request),
            false => (None, request),
        }
    }

    fn read(request: &[u8]) -> (Option<Asker>, &[u8]) {
        let mut decoder = Decoder::default();
        let Ok(Some(length)) = decoder.decode(request) else {
            return (None, request);
        };
        let (raw, args) = decoder.request(request);
        (Asker::of(raw, args), &request[length..])
    }

    /// What these words say of who asks; `None` if they are a request.
    #[inline]
    pub fn of(raw: &[u8], args: &[Arg]) -> Option<Asker> {
        if args.len() != 4 {
            return None;
        }
        let word = |at: usize| &raw[args[at].start as usize..args[at].end as usize];
        let number = |at: usize| natural(word(at));
        if word(0) != NAME {
            return None;
        }
        Some(Asker {
            node: number(1)?,
            client: number(2)?,
            read: number(3)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_before_a_request_is_read() {
        let request = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";
        let asker = Asker {
            node: 1 << 62 | 5,
            client: 7,
            read: 0,
        };
        let told = asker.before(request);
        assert_eq!(Asker::split(&told), (Some(asker), &request[..]));
        assert_eq!(Asker::split(request), (None, &request[..]));
        for bad in [
            "*4\r\n$6\r\nreader\r\n$1\r\n1\r\n",
            "*4\r\n$6\r\nreader\r\n$-",
        ] {
            assert_eq!(Asker::split(bad.as_bytes()), (None, bad.as_bytes()));
        }
        let bad = b"*4\r\n$6\r\nreader\r\n$1\r\nx\r\n$1\r\n1\r\n$1\r\n1\r\n+";
        assert_eq!(Asker::split(bad), (None, &b"+"[..]));
    }
}
