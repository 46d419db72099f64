//! The requests on one connection to a server, and whose replies come next. Pure: bytes and time
//! are arguments.
//!
//! ```text
//!                 send            writable            receive
//!   requests   ───────► out ─────────────────► server ───────► mailboxes
//!   awaited    c1 c2 c1 c3          (first in, first out)
//! ```
//!
//! Replies have no names in these protocols: the next one is the first waiting request's. A server
//! that left one reply out and went on answering would give each request the reply to the next.
//! What is seen of that, a slow server shows as well: the first request waits past its timeout
//! while bytes keep coming, and the queue is never empty. So such a link is not told from a busy
//! one. It is given up when there is a pause: a request is without its reply then for as long as
//! the server may be [silent](Link::is_silent). A server that sends one reply too many is found out
//! at once where nobody waits. nutcracker closes the connection whenever a request times out, and
//! so fails all that wait behind a slow one.

use std::collections::VecDeque;

use super::ReplyTo;
use super::sent::{Sent, within};
use crate::limits;
use crate::slowlog::{Pick, Slow};
use crate::stats::{ErrorKind, Traffic};
use crate::wire::resp::IN_DOUBT;
use crate::wire::{Scanner, Wire, is_error};

/// One connection to a server, whether it is open or not yet.
#[derive(Debug)]
pub struct Link {
    /// What the server speaks, and so do our own errors.
    wire: Wire,
    /// The other node, where the server is one: our errors name it.
    node: Option<Box<str>>,
    /// How long a request may wait for its reply, in milliseconds.
    timeout: Option<u64>,
    /// Bytes to be written.
    out: Vec<u8>,
    /// How many of them have been written.
    written: usize,
    /// See [`part_values`](Link::part_values): where parts end, counted as `passed.request_bytes`.
    parts: Option<VecDeque<u64>>,
    /// Who waits for a reply, in the order of the requests.
    awaited: VecDeque<Awaited>,
    /// How many of the last of them are not all written.
    unwritten: usize,
    /// What has passed, of all connections one after the other.
    passed: Passed,
    /// Where the first request in `out` begins, in bytes of requests.
    begin: u64,
    /// What was written and has no reply yet, if anybody wants to know when a reply is late.
    sent: Option<Sent>,
    /// Which of the next replies are late.
    late: Option<Late>,
    /// Replies that were errors, since that was last asked.
    errors: u64,
    /// Replies to our own requests (AUTH, SELECT) that come before all others.
    greetings: usize,
    /// The error that the server answered to one of them.
    refusal: Option<String>,
    /// Bytes of a reply that is not whole.
    input: Vec<u8>,
    scanner: Scanner,
    /// While the server is left alone: what requests are answered with.
    shut: Option<String>,
    /// How many were answered so.
    turned_away: usize,
    /// While the connection is drained: what waits for the next one.
    held: Option<Held>,
    /// Bytes have come since the last [`wake`](Link::wake).
    heard: bool,
    /// A request has been answered by the server since the link last failed.
    worked: bool,
    /// When it was last known that bytes had come or nobody waited, in milliseconds.
    quiet_since: u64,
}

/// Where the requests begin that came after a connection was to be drained.
#[derive(Debug)]
struct Held {
    /// How many bytes of `out` are still for the old connection.
    before: usize,
    /// How many requests wait for the next connection.
    requests: usize,
}

#[derive(Debug)]
struct Awaited {
    /// Nobody, once the request has timed out: then the late reply is dropped.
    reply_to: Option<ReplyTo>,
    /// When it was sent, in milliseconds.
    since: u64,
    /// The request bytes that have passed when it is all written.
    end: u64,
}

/// Numbers that only grow.
#[derive(Clone, Copy, Debug, Default)]
struct Passed {
    requests: u64,
    request_bytes: u64,
    responses: u64,
    response_bytes: u64,
    /// `request_bytes` up to the last request that has its reply.
    answered: u64,
}

/// When a reply is late.
#[derive(Debug)]
pub struct Late {
    /// The time, in milliseconds.
    pub now: u64,
    /// Since when the oldest request waits, in milliseconds, and for how many microseconds.
    pub oldest: (u64, u64),
    /// How long a request has waited at least whose reply is late, in microseconds.
    pub threshold: u64,
    /// Which of them are wanted.
    pub pick: Pick,
}

/// Why a server's bytes cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// They are not its protocol.
    #[error("the server's bytes are no reply: {0}")]
    Fault(String),
    /// A reply that nobody asked for.
    #[error("the server sent a reply that was not asked for")]
    Stray,
}

impl Link {
    /// A link without requests. `timeout` in milliseconds.
    pub fn new(wire: Wire, timeout: Option<u64>) -> Link {
        Link {
            wire,
            node: None,
            timeout,
            out: Vec::new(),
            written: 0,
            parts: None,
            awaited: VecDeque::new(),
            unwritten: 0,
            passed: Passed::default(),
            begin: 0,
            sent: None,
            late: None,
            errors: 0,
            greetings: 0,
            refusal: None,
            input: Vec::new(),
            scanner: Scanner::new(wire),
            shut: None,
            turned_away: 0,
            held: None,
            heard: false,
            worked: false,
            quiet_since: 0,
        }
    }

    /// Keeps apart what is written: after a value [`out`](Link::out) ends. memcached (1.6.18) takes
    /// no notice of what follows a value in the same TLS record until more comes.
    pub fn part_values(&mut self) {
        self.parts = Some(VecDeque::new());
    }

    /// The server is a node of a ring with this address, which errors name.
    pub fn name_node(&mut self, address: &str) {
        self.node = Some(address.into());
    }

    /// An error of our own as a reply.
    fn error(&self, text: &str) -> String {
        match &self.node {
            None => self.wire.error(text),
            Some(node) => format!("-CLUSTERDOWN the node {node}, which owns the key: {text}\r\n"),
        }
    }

    /// The same about a command that may have been executed. What a server's clients are told are
    /// the words of nutcracker.
    fn error_in_doubt(&self, text: &str) -> String {
        match self.node {
            None => self.error(text),
            Some(_) => self.error(&format!("{text}{IN_DOUBT}")),
        }
    }

    /// How long a request may wait for its reply, in milliseconds.
    pub fn timeout(&self) -> Option<u64> {
        self.timeout
    }

    /// Another timeout, also for the requests that wait already.
    pub fn set_timeout(&mut self, timeout: Option<u64>) {
        self.timeout = timeout;
    }

    /// Queues a request. Returns false if too many wait already: then it is answered so.
    pub fn send(&mut self, now: u64, request: &[u8], reply_to: ReplyTo) -> bool {
        let queued = self.out.len() - self.written;
        if self.awaited.len() >= limits::SERVER_QUEUE
            || (queued > 0 && queued + request.len() > limits::SERVER_QUEUE_BYTES)
        {
            let text = self.error("too many requests wait for this server");
            reply_to.send(text.as_bytes(), Some(ErrorKind::Limit));
            return false;
        }
        if let Some(held) = &mut self.held {
            held.requests += 1;
        }
        if self.unwritten == 0 {
            self.begin = self.passed.request_bytes;
        }
        self.out.extend_from_slice(request);
        self.passed.requests += 1;
        self.passed.request_bytes += request.len() as u64;
        self.unwritten += 1;
        if let Some(parts) = &mut self.parts
            && memchr::memchr(b'\n', request).is_some_and(|end| end + 1 < request.len())
        {
            parts.push_back(self.passed.request_bytes);
        }
        let longer = match self.node {
            Some(_) => (request.len() / limits::FORWARD_BYTES) as u64,
            None => 0,
        };
        self.awaited.push_back(Awaited {
            reply_to: Some(reply_to),
            since: now + longer,
            end: self.passed.request_bytes,
        });
        true
    }

    /// A connection has been opened: our own requests go before those that wait already.
    pub fn greet(&mut self, requests: &[u8], count: usize) {
        debug_assert!(self.written == 0 && self.greetings == 0);
        self.out.splice(0..0, requests.iter().copied());
        self.greetings = count;
    }

    /// The bytes to be written.
    pub fn out(&self) -> &[u8] {
        let out = &self.out[self.written..self.end()];
        match self.parts.as_ref().and_then(VecDeque::front) {
            None => out,
            Some(end) => {
                let part = usize::try_from(end - self.passed_out()).unwrap_or(usize::MAX);
                &out[..part.min(out.len())]
            }
        }
    }

    /// How many bytes of requests were written, of all connections one after the other.
    fn passed_out(&self) -> u64 {
        let left = (self.out.len() - self.written) as u64;
        self.passed.request_bytes.saturating_sub(left)
    }

    /// Where the bytes end that may be written to this connection.
    fn end(&self) -> usize {
        self.held.as_ref().map_or(self.out.len(), |h| h.before)
    }

    /// The first `count` bytes of [`out`](Link::out) have been written.
    pub fn written(&mut self, count: usize) {
        self.written += count;
        let end = self.passed_out();
        if let Some(parts) = &mut self.parts {
            parts.pop_front_if(|part| *part <= end);
        }
        if self.written < self.end() {
            let unwritten = self.awaited.len() - self.unwritten;
            let whole = self.awaited.range(unwritten..);
            self.unwritten -= whole.take_while(|a| a.end <= end).count();
            return;
        }
        self.written = 0;
        if let Some(held) = &mut self.held {
            let before = self.out.drain(..held.before).collect();
            held.before = 0;
            self.unwritten = held.requests;
            let end = self.passed.request_bytes - self.out.len() as u64;
            self.keep(before, end);
            self.begin = end;
            return;
        }
        self.unwritten = 0;
        let bytes = std::mem::take(&mut self.out);
        self.out = self.keep(bytes, self.passed.request_bytes);
        if self.out.capacity() > limits::READ_BYTES {
            self.out = Vec::new();
        }
    }

    /// Keeps what was written, up to the request that ends at `end`, where that is wanted. Returns
    /// a buffer for what comes next.
    fn keep(&mut self, mut bytes: Vec<u8>, end: u64) -> Vec<u8> {
        let Some(sent) = &mut self.sent else {
            bytes.clear();
            return bytes;
        };
        let awaited = self.awaited.iter().map(|a| a.end);
        let places = awaited.filter(|&e| e > self.begin && e <= end);
        sent.keep(bytes, end, [self.begin].into_iter().chain(places))
    }

    /// Keeps the bytes of requests until they are answered, so that it can be told which were slow.
    pub fn keep_sent(&mut self) {
        self.sent.get_or_insert_default();
    }

    /// Since when the oldest request waits that has no reply, in milliseconds.
    pub fn oldest_since(&self) -> Option<u64> {
        self.awaited.front().map(|awaited| awaited.since)
    }

    /// The replies that are handed out next are late: notes whose they are.
    pub fn expect_late(&mut self, late: Option<Late>) {
        self.late = late;
    }

    /// The requests whose replies were late, those that were wanted.
    pub fn take_slow(&mut self) -> Vec<Slow> {
        self.late.take().map_or_else(Vec::new, |l| l.pick.picked())
    }

    /// The oldest request will have no reply of the server, `why`: if it has waited for that for
    /// long, it was slow.
    pub fn give_up(&self, now: u64, threshold: u64, why: &'static str) -> Option<Slow> {
        let oldest = self.awaited.front()?;
        let took = now.saturating_sub(oldest.since).saturating_mul(1000);
        let reply_to = oldest.reply_to.as_ref().filter(|_| took >= threshold)?;
        Some(Slow {
            took,
            failed: Some(why),
            ..self.slow(self.passed.answered, oldest.end, reply_to)
        })
    }

    /// The request between these places.
    fn slow(&self, from: u64, to: u64, reply_to: &ReplyTo) -> Slow {
        Slow {
            words: crate::slowlog::of_request(self.wire, self.request(from, to)),
            took: 0,
            origin: reply_to.origin().clone(),
            together: 1,
            failed: None,
        }
    }

    /// A request's bytes, or as many of the first as are still there.
    fn request(&self, from: u64, to: u64) -> &[u8] {
        let sent = self.sent.as_ref().and_then(|sent| sent.find(from, to));
        let unwritten = || within(&self.out, self.passed.request_bytes, from, to);
        sent.or_else(unwritten).unwrap_or_default()
    }

    /// A reply has come to the request that begins at `from`: notes it if that was late.
    #[cold]
    fn note_late(&mut self, from: u64, awaited: &Awaited) {
        let Some(reply_to) = &awaited.reply_to else {
            return;
        };
        let Some(mut late) = self.late.take() else {
            return;
        };
        let (since, longest) = late.oldest;
        let waited = late.now.saturating_sub(awaited.since).saturating_mul(1000);
        // Of the oldest it is known better than by the millisecond.
        let took = match awaited.since == since {
            true => longest,
            false => waited.min(longest),
        };
        if took >= late.threshold {
            let request = self.request(from, awaited.end);
            let is_quick = crate::slowlog::is_quick(self.wire, request);
            late.pick.offer(is_quick, || Slow {
                took,
                ..self.slow(from, awaited.end, reply_to)
            });
        }
        self.late = Some(late);
    }

    /// How many replies have been errors since this was last asked.
    pub fn take_errors(&mut self) -> u64 {
        std::mem::take(&mut self.errors)
    }

    /// The error that the server answered to AUTH or SELECT, once. As with nutcracker the
    /// connection is used all the same: what clients then are told is the server's to say.
    pub fn take_refusal(&mut self) -> Option<String> {
        self.refusal.take()
    }

    /// Keeps requests away from the server: they are answered with this error at once.
    pub fn shut(&mut self, text: &str) {
        self.shut = Some(self.error(text));
        self.turned_away = 0;
    }

    /// Takes requests again.
    pub fn open(&mut self) {
        self.shut = None;
    }

    /// Whether requests are kept away.
    pub fn is_shut(&self) -> bool {
        self.shut.is_some()
    }

    /// Answers a request while the link is shut. It is counted as one that was sent and failed.
    pub fn turn_away(&mut self, request: &[u8], reply_to: ReplyTo) {
        self.turned_away += 1;
        self.passed.requests += 1;
        self.passed.request_bytes += request.len() as u64;
        self.passed.answered = self.passed.request_bytes;
        if let Some(reply) = &self.shut {
            reply_to.send(reply.as_bytes(), Some(ErrorKind::Refused));
        }
    }

    /// How many requests have been turned away since the link was shut.
    pub fn turned_away(&self) -> usize {
        self.turned_away
    }

    /// The server is elsewhere now: what is queued goes over this connection yet, and what comes
    /// from now on waits for the next one. So a client's requests stay in their order.
    pub fn drain(&mut self) {
        let before = self.out.len();
        self.held.get_or_insert(Held {
            before,
            requests: 0,
        });
    }

    /// Whether all requests of a connection that is drained have been answered. Then the next
    /// connection may be opened, and what has waited for it is let go.
    pub fn end_drain(&mut self) -> bool {
        let waiting = self.awaited.len();
        let is_over = |held: &mut Held| held.before == 0 && held.requests == waiting;
        let over = self.greetings == 0 && self.held.take_if(is_over).is_some();
        if over {
            self.input = Vec::new();
            self.scanner = Scanner::new(self.wire);
            self.begin = self.passed.answered;
        }
        over
    }

    /// A connection is open: its silence counts from now on.
    pub fn opened(&mut self, now: u64) {
        self.quiet_since = now;
    }

    /// How long the server may be silent while requests wait, in milliseconds. `None`: for ever, as
    /// requests may.
    pub fn patience(&self) -> Option<u64> {
        let of = |timeout: u64| timeout.saturating_mul(limits::SILENT_TIMEOUTS);
        self.timeout
            .map(|timeout| of(timeout).max(limits::SILENT_MS))
    }

    /// Whether nothing has come for longer than that while requests waited: the connection is to be
    /// closed, for its replies may never come, and it holds up all requests behind them. Asked
    /// after each [`wake`](Link::wake), which notices what has come.
    pub fn is_silent(&self, now: u64) -> bool {
        let (Some(patience), Some(oldest)) = (self.patience(), self.awaited.front()) else {
            return false;
        };
        now.saturating_sub(oldest.since.max(self.quiet_since)) >= patience
    }

    /// Whether a request has been answered by the server since the link last
    /// [failed](Link::fail).
    pub fn has_worked(&self) -> bool {
        self.worked
    }

    /// Whether nobody waits for a reply.
    pub fn is_idle(&self) -> bool {
        self.awaited.is_empty() && self.greetings == 0
    }

    /// Whether somebody waits who has not been answered, not even that the time is up.
    pub fn owes(&self) -> bool {
        self.awaited.iter().any(|a| a.reply_to.is_some())
    }

    /// How many requests have no reply yet.
    pub fn waiting(&self) -> usize {
        self.awaited.len()
    }

    /// What has passed, and what waits.
    pub fn traffic(&self) -> Traffic {
        let Passed {
            requests,
            request_bytes,
            responses,
            response_bytes,
            answered,
        } = self.passed;
        let written = self.awaited.len() - self.unwritten;
        let end = match written {
            0 => answered,
            _ => self.awaited[written - 1].end,
        };
        let (in_queue, out_queue) = (self.unwritten as u64, written as u64);
        let (in_bytes, out_bytes) = (request_bytes - end, end - answered);
        [
            requests,
            request_bytes,
            responses,
            response_bytes,
            in_queue,
            in_bytes,
            out_queue,
            out_bytes,
        ]
    }

    /// Hands out the replies in the server's bytes. Returns how many there were.
    ///
    /// # Errors
    /// The connection cannot be used any more; [`fail`](Link::fail) it.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<usize, Broken> {
        self.heard = true;
        let mut input = std::mem::take(&mut self.input);
        let result = if input.is_empty() {
            self.hand_out(bytes).map(|(read, count)| {
                input.extend_from_slice(&bytes[read..]);
                count
            })
        } else {
            input.extend_from_slice(bytes);
            self.hand_out(&input).map(|(read, count)| {
                input.drain(..read);
                count
            })
        };
        if let Some(sent) = &mut self.sent {
            sent.answered(self.passed.answered);
        }
        if input.is_empty() && input.capacity() > limits::IDLE_BUFFER_BYTES {
            input = Vec::new();
        }
        let expected = self.scanner.expects(&input);
        input.reserve(
            expected
                .saturating_sub(input.len())
                .min(limits::RESERVE_BYTES),
        );
        self.input = input;
        result
    }

    /// Hands out the whole replies in the bytes: how many bytes, and how many replies.
    fn hand_out(&mut self, bytes: &[u8]) -> Result<(usize, usize), Broken> {
        let (mut read, mut count) = (0, 0);
        while read < bytes.len() {
            let scanned = self.scanner.scan(&bytes[read..]);
            let Some(length) = scanned.map_err(Broken::Fault)? else {
                break;
            };
            let reply = &bytes[read..read + length];
            read += length;
            if self.greetings > 0 {
                self.greetings -= 1;
                if reply[0] == b'-' {
                    let text = String::from_utf8_lossy(&reply[1..reply.len() - 2]);
                    self.refusal = Some(text.into_owned());
                }
                continue;
            }
            let held = self.held.as_ref().map_or(0, |h| h.requests);
            if held == self.awaited.len() {
                return Err(Broken::Stray);
            }
            let awaited = self.awaited.pop_front().ok_or(Broken::Stray)?;
            self.unwritten = self.unwritten.min(self.awaited.len());
            let from = std::mem::replace(&mut self.passed.answered, awaited.end);
            self.passed.responses += 1;
            self.passed.response_bytes += length as u64;
            if self.late.is_some() {
                self.note_late(from, &awaited);
            }
            let failed = is_error(reply).then_some(ErrorKind::Reply);
            if failed.is_some() {
                self.errors += 1;
            }
            if let Some(reply_to) = awaited.reply_to {
                reply_to.send(reply, failed);
            }
            self.worked = true;
            count += 1;
        }
        Ok((read, count))
    }

    /// When the oldest request times out, in milliseconds.
    pub fn next_wake(&self) -> Option<u64> {
        let oldest = self.awaited.iter().find(|a| a.reply_to.is_some())?;
        self.timeout.map(|timeout| oldest.since + timeout)
    }

    /// Answers the requests whose time is up, each alone: its late reply will be dropped, and its
    /// neighbours still get theirs. Returns how many there were.
    pub fn wake(&mut self, now: u64) -> usize {
        let Some(timeout) = self.timeout else {
            return 0;
        };
        if std::mem::take(&mut self.heard) || self.awaited.is_empty() {
            self.quiet_since = now;
        }
        let (mut count, mut reply) = (0, None);
        for i in 0..self.awaited.len() {
            if self.awaited[i].since + timeout > now {
                break;
            }
            if let Some(reply_to) = self.awaited[i].reply_to.take() {
                let reply =
                    reply.get_or_insert_with(|| self.error_in_doubt("Connection timed out"));
                reply_to.send(reply.as_bytes(), Some(ErrorKind::Timeout));
                count += 1;
            }
        }
        count
    }

    /// The connection is gone: everybody who waits gets an error. Returns how many they were.
    pub fn fail(&mut self, why: ErrorKind, text: &str) -> usize {
        let (unsent, reply) = (self.error(text), self.error_in_doubt(text));
        let written = self.awaited.len() - self.unwritten;
        let node = self.node.take();
        let awaited = std::mem::take(&mut self.awaited);
        let (passed, errors) = (self.passed, self.errors);
        let keeps = self.sent.is_some();
        let parts = self.parts.take().map(|_| VecDeque::new());
        *self = Link {
            node,
            parts,
            sent: keeps.then(Sent::default),
            errors,
            ..Link::new(self.wire, self.timeout)
        };
        self.passed = Passed {
            answered: passed.request_bytes,
            ..passed
        };
        let mut count = 0;
        for (i, awaited) in awaited.into_iter().enumerate() {
            let reply = if i < written { &reply } else { &unsent };
            if let Some(reply_to) = awaited.reply_to {
                reply_to.send(reply.as_bytes(), Some(why));
                count += 1;
            }
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::super::Mailbox;
    use super::*;

    /// A link, and the mailbox of the one client that uses it.
    fn link(timeout: Option<u64>) -> (Link, Rc<Mailbox>) {
        (Link::new(Wire::Resp, timeout), Rc::new(Mailbox::default()))
    }

    fn send(link: &mut Link, mailbox: &Rc<Mailbox>, now: u64, ticket: u64) {
        let reply_to = ReplyTo {
            mailbox: mailbox.clone(),
            ticket,
            part: 0,
        };
        link.send(now, format!("{ticket};").as_bytes(), reply_to);
    }

    fn letters(mailbox: &Mailbox) -> Vec<String> {
        let mut letters = Vec::new();
        mailbox.empty(|letter, reply| {
            letters.push(format!(
                "{} {}",
                letter.ticket,
                String::from_utf8_lossy(reply).trim_end()
            ));
        });
        letters
    }

    #[test]
    fn what_follows_a_value_is_written_apart() {
        let (mut link, mailbox) = (Link::new(Wire::Memcache, None), Rc::<Mailbox>::default());
        link.part_values();
        let reply_to = || ReplyTo {
            mailbox: mailbox.clone(),
            ticket: 0,
            part: 0,
        };
        let (set, get) = (&b"set k 0 0 1\r\nx\r\n"[..], &b"get k\r\n"[..]);
        for round in 0..2 {
            for request in [get, get, set, set, get, get] {
                assert!(link.send(0, request, reply_to()));
            }
            assert_eq!(link.out(), [get, get, set].concat(), "{round}");
            link.written(3);
            assert_eq!(link.out(), [&get[3..], get, set].concat());
            link.written(link.out().len());
            assert_eq!(link.out(), set);
            link.written(set.len());
            assert_eq!(link.out(), [get, get].concat());
            match round {
                0 => link.written(link.out().len()),
                _ => drop(link.fail(ErrorKind::Lost, "gone")),
            }
            assert_eq!(link.out(), b"");
        }
        assert!(link.send(0, set, reply_to()) && link.send(0, get, reply_to()));
        assert_eq!(link.out(), set);
    }

    #[test]
    fn replies_go_to_those_who_asked_in_order() {
        let (mut link, mailbox) = link(None);
        for ticket in 1..=3 {
            send(&mut link, &mailbox, 0, ticket);
        }
        assert_eq!(link.out(), b"1;2;3;");
        link.written(6);
        assert_eq!(link.receive(b"+a\r\n$1\r").unwrap(), 1);
        assert_eq!(link.receive(b"\nb\r\n:3\r\n").unwrap(), 2);
        assert_eq!(letters(&mailbox), ["1 +a", "2 $1\r\nb", "3 :3"]);
        assert!(link.is_idle());
    }

    #[test]
    fn a_request_times_out_alone() {
        let (mut link, mailbox) = link(Some(100));
        send(&mut link, &mailbox, 0, 1);
        send(&mut link, &mailbox, 50, 2);
        assert_eq!(link.next_wake(), Some(100));
        assert_eq!(link.wake(99), 0);
        assert_eq!(link.wake(100), 1);
        assert_eq!(letters(&mailbox), ["1 -ERR Connection timed out"]);
        assert_eq!(link.next_wake(), Some(150));
        link.receive(b"+late\r\n+two\r\n").unwrap();
        assert_eq!(letters(&mailbox), ["2 +two"]);
    }

    #[test]
    fn another_timeout_holds_for_those_who_wait() {
        let (mut link, mailbox) = link(None);
        send(&mut link, &mailbox, 50, 1);
        assert_eq!(link.next_wake(), None);
        link.set_timeout(Some(100));
        assert_eq!(link.next_wake(), Some(150));
        assert!(link.owes());
        assert_eq!(link.wake(150), 1);
        assert!(!link.owes());
        assert!(!link.is_idle(), "the late reply is still to be dropped");
    }

    #[test]
    fn a_lost_connection_fails_everybody_on_it() {
        let (mut link, mailbox) = link(None);
        send(&mut link, &mailbox, 0, 1);
        send(&mut link, &mailbox, 0, 2);
        link.receive(b"$5\r\nab").unwrap();
        assert!(!link.has_worked());
        assert_eq!(link.fail(ErrorKind::Lost, "Connection refused"), 2);
        let refused = ["1 -ERR Connection refused", "2 -ERR Connection refused"];
        assert_eq!(letters(&mailbox), refused);
        send(&mut link, &mailbox, 0, 3);
        link.receive(b"+fresh\r\n").unwrap();
        assert_eq!(letters(&mailbox), ["3 +fresh"]);
        assert!(link.has_worked());
    }

    #[test]
    fn greetings_come_first_and_a_refusal_is_kept() {
        let (mut link, mailbox) = link(None);
        send(&mut link, &mailbox, 0, 1);
        link.greet(b"auth;select;", 2);
        assert_eq!(link.out(), b"auth;select;1;");
        link.receive(b"+OK\r\n+OK\r\n:1\r\n").unwrap();
        assert_eq!(letters(&mailbox), ["1 :1"]);

        let mut link = Link::new(Wire::Resp, None);
        link.greet(b"auth;", 1);
        link.receive(b"-WRONGPASS no\r\n").unwrap();
        assert_eq!(link.take_refusal().as_deref(), Some("WRONGPASS no"));
        assert!(link.is_idle());
    }

    #[test]
    fn what_nobody_asked_for_breaks_the_link() {
        assert!(matches!(
            link(None).0.receive(b"+OK\r\n"),
            Err(Broken::Stray)
        ));
        assert!(matches!(
            link(None).0.receive(b"oops\r\n"),
            Err(Broken::Fault(_))
        ));
    }

    #[test]
    fn a_shut_link_answers_at_once() {
        let (mut link, mailbox) = link(None);
        link.shut("Connection refused");
        for ticket in 1..=2 {
            let reply_to = ReplyTo {
                mailbox: mailbox.clone(),
                ticket,
                part: 0,
            };
            link.turn_away(b"request;", reply_to);
        }
        assert_eq!(link.traffic(), [2, 16, 0, 0, 0, 0, 0, 0]);
        let refused = ["1 -ERR Connection refused", "2 -ERR Connection refused"];
        assert_eq!(letters(&mailbox), refused);
        assert!(link.is_shut() && link.turned_away() == 2 && link.out().is_empty());
        link.open();
        assert!(!link.is_shut());
        link.shut("Connection timed out");
        assert_eq!(link.turned_away(), 0);
    }

    /// Of a node that is gone: what it may have executed, and what it has never got.
    #[test]
    fn a_request_that_a_node_may_have_executed_is_in_doubt() {
        let (mut link, mailbox) = link(Some(10));
        link.name_node("n:1");
        for ticket in 1..=3 {
            send(&mut link, &mailbox, 0, ticket);
        }
        link.written(2);
        let of_node = |ticket: u64, text: &str| {
            format!("{ticket} -CLUSTERDOWN the node n:1, which owns the key: {text}")
        };
        assert_eq!(link.fail(ErrorKind::Lost, "gone"), 3);
        let expected = [
            of_node(1, "gone, and it may have executed the command"),
            of_node(2, "gone"),
            of_node(3, "gone"),
        ];
        assert_eq!(letters(&mailbox), expected);
        send(&mut link, &mailbox, 0, 4);
        link.wake(10);
        let late = "Connection timed out, and it may have executed the command";
        assert_eq!(letters(&mailbox), [of_node(4, late)]);
    }

    #[test]
    fn a_drained_connection_answers_its_own_and_holds_the_rest() {
        let (mut link, mailbox) = link(None);
        send(&mut link, &mailbox, 0, 1);
        link.written(2);
        send(&mut link, &mailbox, 0, 2);
        link.written(1);
        link.drain();
        send(&mut link, &mailbox, 0, 3);
        link.drain();
        assert_eq!(link.out(), b";");
        link.receive(b"+one\r\n").unwrap();
        assert!(!link.end_drain());
        link.written(1);
        assert!(link.out().is_empty() && !link.end_drain());
        link.receive(b"+two\r\n").unwrap();
        assert_eq!(letters(&mailbox), ["1 +one", "2 +two"]);
        assert_eq!(link.waiting(), 1);
        assert!(link.end_drain() && !link.end_drain());
        link.greet(b"auth;", 1);
        assert_eq!(link.out(), b"auth;3;");
        link.written(7);
        link.receive(b"+OK\r\n+three\r\n").unwrap();
        assert_eq!(letters(&mailbox), ["3 +three"]);
        assert!(link.is_idle());
    }

    #[test]
    fn what_is_held_gets_no_reply_of_the_old_connection() {
        let (mut link, mailbox) = link(None);
        link.drain();
        send(&mut link, &mailbox, 0, 1);
        assert!(matches!(link.receive(b"+stray\r\n"), Err(Broken::Stray)));
        assert_eq!(letters(&mailbox), [""; 0]);
    }

    #[test]
    fn a_drained_connection_that_is_idle_is_over_at_once() {
        let (mut link, _) = link(None);
        link.drain();
        assert!(link.end_drain());
    }

    #[test]
    fn silence_counts_while_somebody_waits() {
        let (mut link, mailbox) = link(Some(400));
        assert_eq!(link.patience(), Some(1200));
        assert!(!link.is_silent(100_000), "nobody waits");
        send(&mut link, &mailbox, 100_000, 1);
        link.wake(100_400);
        assert_eq!(letters(&mailbox), ["1 -ERR Connection timed out"]);
        send(&mut link, &mailbox, 100_900, 2);
        link.wake(101_199);
        assert!(!link.is_silent(101_199));
        assert!(link.is_silent(101_200), "the first has no reply yet");
        link.receive(b"+la").unwrap();
        link.wake(101_200);
        assert!(!link.is_silent(102_399), "half a reply is a sign of life");
        assert!(link.is_silent(102_400));
        link.opened(103_000);
        assert!(!link.is_silent(104_199), "no reply could come before");
        assert!(link.is_silent(104_200));
        assert_eq!(super::tests::link(Some(10)).0.patience(), Some(1000));
        assert_eq!(super::tests::link(None).0.patience(), None);
    }

    /// The first reply is left out. No byte says so: it is noticed by what is missing at the end.
    #[test]
    fn a_reply_that_was_left_out_is_missed_when_there_is_a_pause() {
        let (mut link, mailbox) = link(Some(400));
        send(&mut link, &mailbox, 0, 1);
        for ticket in 2..20 {
            let now = ticket * 100;
            send(&mut link, &mailbox, now, ticket);
            link.receive(format!("+{ticket}\r\n").as_bytes()).unwrap();
            assert_eq!(letters(&mailbox), [format!("{} +{ticket}", ticket - 1)]);
            link.wake(now);
            assert!(!link.is_silent(now), "a busy link looks the same");
        }
        link.wake(2_300);
        assert_eq!(letters(&mailbox), ["19 -ERR Connection timed out"]);
        assert!(!link.is_silent(3_099));
        assert!(link.is_silent(3_100));
        link.fail(ErrorKind::Lost, "silent");
        link.opened(3_100);
        send(&mut link, &mailbox, 3_100, 20);
        link.receive(b"+20\r\n").unwrap();
        assert_eq!(letters(&mailbox), ["20 +20"]);
    }

    #[test]
    fn what_passes_and_what_waits_is_counted() {
        let (mut link, mailbox) = link(None);
        for ticket in [1, 22, 333] {
            send(&mut link, &mailbox, 0, ticket);
        }
        assert_eq!(link.traffic(), [3, 9, 0, 0, 3, 9, 0, 0]);
        link.greet(b"auth;", 1);
        link.written(5);
        assert_eq!(link.traffic(), [3, 9, 0, 0, 3, 9, 0, 0]);
        link.written(4);
        assert_eq!(link.traffic(), [3, 9, 0, 0, 2, 7, 1, 2]);
        link.receive(b"+OK\r\n").unwrap();
        assert_eq!(link.traffic(), [3, 9, 0, 0, 2, 7, 1, 2], "not our own");
        link.receive(b"+1\r\n").unwrap();
        assert_eq!(link.traffic(), [3, 9, 1, 4, 2, 7, 0, 0]);
        link.receive(b"+ahead of its request\r\n").unwrap();
        assert_eq!(link.traffic(), [3, 9, 2, 27, 1, 4, 0, 0]);
        link.written(5);
        assert_eq!(link.traffic(), [3, 9, 2, 27, 0, 0, 1, 4]);
        assert_eq!(link.fail(ErrorKind::Lost, "gone"), 1);
        assert_eq!(link.traffic(), [3, 9, 2, 27, 0, 0, 0, 0]);
        send(&mut link, &mailbox, 0, 1);
        assert_eq!(link.traffic(), [4, 11, 2, 27, 1, 2, 0, 0]);
    }

    /// Sends a command as RESP.
    fn ask(link: &mut Link, mailbox: &Rc<Mailbox>, now: u64, line: &str) {
        let reply_to = ReplyTo {
            mailbox: mailbox.clone(),
            ticket: 0,
            part: 0,
        };
        let mut request = Vec::new();
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        crate::wire::resp::encode_command(words.into_iter(), &mut request);
        link.send(now, &request, reply_to);
    }

    fn late(now: u64, oldest: (u64, u64)) -> Option<Late> {
        Some(Late {
            now,
            oldest,
            threshold: 10_000,
            pick: Pick::new(9),
        })
    }

    fn told(slow: &Slow) -> String {
        let words: Vec<_> = slow
            .words
            .iter()
            .map(|w| w.escape_ascii().to_string())
            .collect();
        format!("{} {} of {}", words.join(" "), slow.took, slow.together)
    }

    #[test]
    fn requests_whose_replies_are_late_are_told_by_their_bytes() {
        let (mut link, mailbox) = link(None);
        link.keep_sent();
        link.greet(b"auth;", 1);
        ask(&mut link, &mailbox, 100, "GET a");
        link.written(link.out().len());
        ask(&mut link, &mailbox, 130, "KEYS *");
        ask(&mut link, &mailbox, 145, "GET b");
        link.written(link.out().len());
        ask(&mut link, &mailbox, 147, "SET not written");
        link.receive(b"+OK\r\n").unwrap();
        assert_eq!(link.oldest_since(), Some(100));
        link.expect_late(late(150, (100, 49_700)));
        link.receive(b"+a\r\n-ERR keys\r\n+b\r\n").unwrap();
        let slow: Vec<String> = link.take_slow().iter().map(told).collect();
        // The last had waited for five milliseconds.
        assert_eq!(slow, ["GET a 49700 of 2", "KEYS * 20000 of 2"]);
        assert_eq!((link.take_errors(), link.take_errors()), (1, 0));
        link.receive(b"+early\r\n").unwrap();
        assert_eq!(link.take_slow().len(), 0, "not asked for");
    }

    #[test]
    fn the_oldest_is_told_when_it_is_given_up() {
        let (mut link, mailbox) = link(Some(100));
        link.keep_sent();
        ask(&mut link, &mailbox, 0, "GET a");
        ask(&mut link, &mailbox, 50, "GET b");
        assert!(link.give_up(9, 10_000, "timeout").is_none(), "not for long");
        let slow = link.give_up(100, 10_000, "timeout").unwrap();
        assert_eq!(told(&slow), "GET a 100000 of 1");
        assert_eq!(slow.failed, Some("timeout"));
        assert_eq!(link.wake(100), 1);
        let again = link.give_up(150, 10_000, "timeout");
        assert!(again.is_none(), "the other waits for the first");
        assert_eq!(link.fail(ErrorKind::Lost, "gone"), 1);
        assert!(link.give_up(200, 0, "lost").is_none());
        ask(&mut link, &mailbox, 200, "GET c");
        link.written(link.out().len());
        let slow = link.give_up(300, 0, "lost").unwrap();
        assert_eq!(told(&slow), "GET c 100000 of 1");
    }

    #[test]
    fn a_client_that_is_gone_gets_nothing() {
        let (mut link, mailbox) = link(None);
        send(&mut link, &mailbox, 0, 1);
        mailbox.close();
        link.receive(b"+OK\r\n").unwrap();
        assert_eq!(letters(&mailbox), [""; 0]);
    }
}
