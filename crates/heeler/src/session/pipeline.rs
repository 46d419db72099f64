//! The order of replies on one connection.
//!
//! ```text
//!   requests    1  2  3  4  5          arrive in this order
//!   replies        2     4  5          are there already
//!   out                                nothing yet: 1 is missing
//!   1 arrives
//!   out         1  2                   3 holds back 4 and 5
//! ```

use std::collections::VecDeque;

use super::Laps;
use crate::command::{Family, Reply, Shape};
use crate::limits;
use crate::wire::memcache::Awaited;
use crate::wire::resp::{Protocol, encode, upgrade};

/// The place of a request in its connection's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// The replies of one connection: those that wait their turn, and those that may be written.
#[derive(Debug)]
pub struct Pipeline {
    /// Requests from the first that has no reply yet.
    waiting: VecDeque<Place>,
    /// The ticket of the first that waits: how many requests have been answered.
    first: u64,
    /// Replies in order, for the socket.
    out: Vec<u8>,
    /// Bytes of a reply that was waited for, as a mean of the latest: how much is still to come is
    /// not known, and a client may take nothing of it.
    usual: usize,
    /// What no request has asked for, and how many requests have to be answered first.
    pushed: VecDeque<(u64, Vec<u8>)>,
    pushed_bytes: usize,
    /// How long the requests have been under way whose replies have not left.
    laps: Laps,
}

/// What becomes of a server's reply on its way to the client.
#[derive(Clone, Debug)]
pub enum Form {
    /// It is passed on as it is.
    AsItIs,
    /// It is dropped: the client wants none (CLIENT REPLY).
    Dropped,
    /// It becomes RESP3, in this shape.
    Resp3(Shape),
    /// It becomes what memcached says.
    Item(Box<Awaited>),
}

#[derive(Debug)]
enum Place {
    /// No reply yet; what becomes of it when it comes.
    Open(Form),
    /// The reply's bytes.
    Answered(Vec<u8>),
}

impl Default for Pipeline {
    fn default() -> Pipeline {
        Pipeline {
            waiting: VecDeque::new(),
            first: 0,
            out: Vec::new(),
            usual: limits::FIRST_REPLY_BYTES,
            pushed: VecDeque::new(),
            pushed_bytes: 0,
            laps: Laps::default(),
        }
    }
}

impl Pipeline {
    /// Requests that are taken from now on were read at `now`, in microseconds.
    pub fn begin(&mut self, now: u64) {
        self.laps.begin(now);
    }

    /// A request was taken. It is to be answered once, or given a place for its reply.
    #[inline]
    pub fn took(&mut self, family: Family) {
        self.laps.took(family);
    }

    /// The family of a request that has no reply yet.
    pub fn family_of(&self, Ticket(ticket): Ticket) -> Family {
        self.laps.family_of(ticket)
    }

    /// Whether replies have left whose time is not [noted](Pipeline::note).
    pub fn has_answered(&self) -> bool {
        self.laps.has_moved(self.first)
    }

    /// The replies in [`out`](Pipeline::out) leave at `now`, in microseconds: `waited(whose, how
    /// many microseconds, how many requests)`.
    pub fn note(&mut self, now: u64, waited: impl FnMut(Family, u64, u64)) {
        self.laps.note(self.first, now, waited);
    }

    /// Answers the latest request at once.
    pub fn answer(&mut self, reply: &Reply, protocol: Protocol) {
        if self.waiting.is_empty() {
            encode(reply, protocol, &mut self.out);
            self.first += 1;
            return;
        }
        let mut bytes = Vec::new();
        encode(reply, protocol, &mut bytes);
        self.waiting.push_back(Place::Answered(bytes));
    }

    /// Answers the latest request at once with what is written.
    #[inline]
    pub fn answer_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if self.waiting.is_empty() {
            write(&mut self.out);
            self.first += 1;
            return;
        }
        let mut bytes = Vec::new();
        write(&mut bytes);
        self.waiting.push_back(Place::Answered(bytes));
    }

    /// The latest request gets no reply.
    pub fn answer_nothing(&mut self) {
        match self.waiting.is_empty() {
            true => self.first += 1,
            false => self.waiting.push_back(Place::Answered(Vec::new())),
        }
    }

    /// Keeps a place for a server's reply to the latest request.
    pub fn wait(&mut self, form: Form) -> Ticket {
        self.waiting.push_back(Place::Open(form));
        Ticket(self.first + self.waiting.len() as u64 - 1)
    }

    /// Puts a reply's bytes into its place. A ticket that was answered already is ignored.
    pub fn complete(&mut self, ticket: Ticket, reply: &[u8]) {
        let Some(index) = ticket.0.checked_sub(self.first) else {
            return;
        };
        let Some(place) = self.waiting.get_mut(index as usize) else {
            return;
        };
        let Place::Open(form) = place else {
            return;
        };
        let mut upgraded = Vec::new();
        let reply = match form {
            Form::AsItIs => reply,
            Form::Dropped => &[],
            Form::Resp3(shape) => {
                upgrade(reply, *shape, &mut upgraded);
                &upgraded
            }
            Form::Item(awaited) => {
                awaited.write(reply, &mut upgraded);
                &upgraded
            }
        };
        self.usual = (self.usual * 7 + reply.len()) / 8;
        if index > 0 {
            *place = Place::Answered(reply.to_vec());
            return;
        }
        self.out.extend_from_slice(reply);
        self.advance();
        while let Some(Place::Answered(bytes)) = self.waiting.front() {
            self.out.extend_from_slice(bytes);
            self.advance();
        }
    }

    fn advance(&mut self) {
        self.waiting.pop_front();
        self.first += 1;
        while let Some((_, bytes)) = self.pushed.pop_front_if(|(after, _)| *after <= self.first) {
            self.pushed_bytes -= bytes.len();
            self.out.extend_from_slice(&bytes);
        }
    }

    /// Adds what no request has asked for. Replies that are waited for come after it.
    pub fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.out);
    }

    /// The same, but after the replies to all requests so far. Nothing is taken where [too
    /// much](Pipeline::takes_behind) waits for them already.
    pub fn push_behind(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if self.waiting.is_empty() {
            return write(&mut self.out);
        }
        if !self.takes_behind() {
            return;
        }
        let mut bytes = Vec::new();
        write(&mut bytes);
        self.pushed_bytes += bytes.len();
        let after = self.first + self.waiting.len() as u64;
        match self.pushed.back_mut() {
            _ if bytes.is_empty() => {}
            Some((last, all)) if *last == after => all.append(&mut bytes),
            _ => self.pushed.push_back((after, bytes)),
        }
    }

    /// Whether [`push_behind`](Pipeline::push_behind) takes more.
    pub fn takes_behind(&self) -> bool {
        self.pushed_bytes < limits::CLIENT_OUTPUT_BYTES
    }

    /// How many requests have no reply yet, or one that waits its turn.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Whether no further request should be read for now.
    pub fn is_full(&self) -> bool {
        let expected = self.out.len() + self.waiting.len() * self.usual;
        self.waiting.len() >= limits::PIPELINE || expected >= limits::CLIENT_OUTPUT_BYTES
    }

    /// Replies that may be written.
    pub fn out(&self) -> &[u8] {
        &self.out
    }

    /// For how many bytes of replies memory is kept.
    pub fn room(&self) -> usize {
        self.out.capacity()
    }

    /// The first `count` bytes of [`out`](Pipeline::out) have been written. An idle connection
    /// keeps no buffer.
    pub fn written(&mut self, count: usize) {
        if count < self.out.len() {
            self.out.drain(..count);
        } else if self.out.capacity() > limits::IDLE_BUFFER_BYTES {
            self.out = Vec::new();
        } else {
            self.out.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_reply_waits_for_those_before_it() {
        let mut pipeline = Pipeline::default();
        pipeline.answer(&Reply::Int(0), Protocol::Resp2);
        let one = pipeline.wait(Form::AsItIs);
        let two = pipeline.wait(Form::AsItIs);
        pipeline.answer(&Reply::Int(3), Protocol::Resp2);
        assert_eq!(pipeline.out(), b":0\r\n");
        pipeline.complete(two, b":2\r\n");
        assert_eq!(pipeline.out(), b":0\r\n");
        pipeline.complete(one, b":1\r\n");
        assert_eq!(pipeline.out(), b":0\r\n:1\r\n:2\r\n:3\r\n");
        assert_eq!(pipeline.waiting(), 0);
        let last = pipeline.wait(Form::AsItIs);
        pipeline.answer_nothing();
        assert_eq!((last, pipeline.waiting()), (Ticket(4), 2));
        pipeline.complete(last, b":4\r\n");
        assert_eq!(pipeline.waiting(), 0);
    }

    #[test]
    fn what_is_pushed_behind_requests_comes_after_their_replies() {
        let mut pipeline = Pipeline::default();
        let push = |pipeline: &mut Pipeline, text: &[u8]| {
            pipeline.push_behind(|out| out.extend_from_slice(text));
        };
        push(&mut pipeline, b"a");
        let one = pipeline.wait(Form::AsItIs);
        push(&mut pipeline, b"b");
        push(&mut pipeline, b"c");
        let two = pipeline.wait(Form::AsItIs);
        pipeline.answer(&Reply::Int(3), Protocol::Resp2);
        push(&mut pipeline, b"d");
        pipeline.complete(two, b":2\r\n");
        assert_eq!(pipeline.out(), b"a");
        pipeline.complete(one, b":1\r\n");
        assert_eq!(pipeline.out(), b"a:1\r\nbc:2\r\n:3\r\nd");
        let three = pipeline.wait(Form::AsItIs);
        let long = vec![b'x'; limits::CLIENT_OUTPUT_BYTES];
        push(&mut pipeline, &long);
        assert!(!pipeline.takes_behind());
        pipeline.push_behind(|_| unreachable!("too much waits"));
        pipeline.complete(three, b":4\r\n");
        assert!(pipeline.takes_behind() && pipeline.out().ends_with(b"x"));
    }

    #[test]
    fn a_second_reply_to_one_request_is_ignored() {
        let mut pipeline = Pipeline::default();
        let one = pipeline.wait(Form::AsItIs);
        let two = pipeline.wait(Form::AsItIs);
        pipeline.complete(one, b":1\r\n");
        pipeline.complete(one, b":9\r\n");
        pipeline.complete(two, b":2\r\n");
        assert_eq!(pipeline.out(), b":1\r\n:2\r\n");
    }

    #[test]
    fn a_reply_for_resp3_is_rewritten() {
        let mut pipeline = Pipeline::default();
        let one = pipeline.wait(Form::Resp3(Shape::Double));
        pipeline.complete(one, b"$3\r\n1.5\r\n");
        assert_eq!(pipeline.out(), b",1.5\r\n");
    }

    #[test]
    fn a_muted_reply_is_dropped() {
        let mut pipeline = Pipeline::default();
        let muted = pipeline.wait(Form::Dropped);
        let heard = pipeline.wait(Form::AsItIs);
        pipeline.complete(heard, b":2\r\n");
        pipeline.complete(muted, b":1\r\n");
        assert_eq!(pipeline.out(), b":2\r\n");
    }

    #[test]
    fn the_larger_replies_are_the_fewer_are_asked_for_ahead() {
        let ahead = |pipeline: &mut Pipeline| {
            let tickets: Vec<Ticket> = std::iter::from_fn(|| {
                let takes_more = !pipeline.is_full();
                takes_more.then(|| pipeline.wait(Form::AsItIs))
            })
            .collect();
            (tickets.len(), tickets)
        };
        let mut pipeline = Pipeline::default();
        for (size, counts) in [(5, 1000..=1024), (100_000, 5..=20), (2_000_000, 1..=1)] {
            for _ in 0..30 {
                for ticket in ahead(&mut pipeline).1 {
                    pipeline.complete(ticket, &vec![b'x'; size]);
                }
                pipeline.written(pipeline.out().len());
            }
            let (count, tickets) = ahead(&mut pipeline);
            assert!(counts.contains(&count), "{count} replies of {size} bytes");
            for ticket in tickets {
                pipeline.complete(ticket, b"+OK\r\n");
            }
            pipeline.written(pipeline.out().len());
        }
    }

    proptest! {
        #[test]
        fn replies_leave_in_the_order_of_requests(
            order in Just((0..40u64).collect::<Vec<_>>()).prop_shuffle(),
            cuts in prop::collection::vec(0usize..9, 0..40),
        ) {
            let mut pipeline = Pipeline::default();
            let tickets: Vec<Ticket> = (0..40).map(|_| pipeline.wait(Form::AsItIs)).collect();
            let (mut written, mut cuts) = (Vec::new(), cuts.into_iter().cycle());
            for i in order {
                pipeline.complete(tickets[i as usize], format!(":{i}\r\n").as_bytes());
                let count = cuts.next().unwrap_or(9).min(pipeline.out().len());
                written.extend_from_slice(&pipeline.out()[..count]);
                pipeline.written(count);
            }
            written.extend_from_slice(pipeline.out());
            let expected: String = (0..40).map(|i| format!(":{i}\r\n")).collect();
            prop_assert_eq!(String::from_utf8(written).unwrap(), expected);
        }
    }
}
