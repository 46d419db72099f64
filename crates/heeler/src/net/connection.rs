//! One client connection: reads requests, hands them in at the door, writes replies.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::worker::Entrance;
use crate::admin::Client;
use crate::deliver::{Alarm, Caller, Door};
use crate::socket::{Scratch, Stream};
use crate::wire::{Wire, memcache, resp};
use crate::{clock, limits};

/// Finds the requests of a connection, in the protocol of its door.
enum Decoder {
    Resp(resp::Decoder),
    Memcache(memcache::Decoder),
}

impl Decoder {
    fn new(wire: Wire, is_node: bool) -> Decoder {
        match wire {
            Wire::Resp if is_node => Decoder::Resp(resp::Decoder::default()),
            Wire::Resp => Decoder::Resp(resp::Decoder::of_pool()),
            Wire::Memcache if is_node => Decoder::Memcache(memcache::Decoder::of_node()),
            Wire::Memcache => Decoder::Memcache(memcache::Decoder::default()),
        }
    }

    fn expects(&self) -> usize {
        match self {
            Decoder::Resp(decoder) => decoder.expects(),
            Decoder::Memcache(decoder) => decoder.expects(),
        }
    }

    /// Bytes of memory that it keeps beside the request's own.
    fn room(&self) -> usize {
        match self {
            Decoder::Resp(decoder) => decoder.room(),
            Decoder::Memcache(_) => 0,
        }
    }

    /// A request that came in parts is done with.
    fn rest(&mut self) {
        if let Decoder::Resp(decoder) = self {
            decoder.rest();
        }
    }
}

/// A connection, as a task of its worker. Ready once it is closed.
pub struct Connection {
    stream: Stream,
    entrance: Entrance,
    scratch: Scratch,
    client: Arc<Client>,
    caller: Caller,
    decoder: Decoder,
    /// Bytes of requests that have not been handed in.
    input: Vec<u8>,
    /// The client has sent all that it will.
    ended: bool,
    alarm: Alarm,
    /// Those who may have to wake this task know it.
    known: bool,
    /// What the client sent were no requests.
    faulty: bool,
    /// Its replies have let other connections read first.
    has_waited: bool,
    /// It has closed as the client asked for: by QUIT, or by closing its side.
    closed_by_client: bool,
}

impl Connection {
    /// A connection that has been accepted.
    pub fn new(
        stream: Stream,
        entrance: Entrance,
        scratch: Scratch,
        client: Arc<Client>,
        wire: Wire,
    ) -> Connection {
        entrance.door().enter();
        let is_node = entrance.door().pool().is_none();
        let mut caller = Caller::new(client.id, client.origin.clone());
        caller.session.wire = wire;
        entrance.door().greet(&mut caller);
        Connection {
            stream,
            entrance,
            scratch,
            caller,
            client,
            decoder: Decoder::new(wire, is_node),
            input: Vec::new(),
            ended: false,
            alarm: Alarm::default(),
            known: false,
            faulty: false,
            has_waited: false,
            closed_by_client: false,
        }
    }

    /// Goes on as far as it can: replies in, requests in, replies out.
    fn step(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.known {
            self.known = true;
            self.caller.mailbox.set_owner(cx.waker());
            self.caller.task = cx.waker().clone();
            self.client.set_task(cx.waker());
        }
        if !self.caller.mailbox.is_empty() {
            self.entrance.door().collect(&mut self.caller);
        }
        // What was said before a request came is told before its reply; after the reply to one that
        // waits, what that has done itself.
        if !self.caller.is_blocked() {
            self.caller.take_messages();
        }
        loop {
            self.hand_in_input();
            if let Poll::Ready(Err(error)) = self.read(cx) {
                return Poll::Ready(Err(error));
            }
            if self.goes_on(cx) {
                continue;
            }
            let held_back = !self.is_open();
            self.caller.take_messages();
            if self.lets_others_read(cx) {
                return Poll::Pending;
            }
            ready!(self.write(cx))?;
            self.has_waited = false;
            if self.caller.has_messages() {
                cx.waker().wake_by_ref();
            }
            // Replies held back requests that are here already: no socket will wake us for them.
            if !held_back || !self.is_open() {
                break;
            }
        }
        let pipeline = &self.caller.session.pipeline;
        let (input, out) = (&self.input, pipeline.room());
        self.client.keeps(input.len(), input.capacity(), out);
        let nothing_owed = pipeline.waiting() == 0 && pipeline.out().is_empty();
        let over = self.caller.session.closing || self.ended || self.client.is_stopped();
        match nothing_owed && over {
            true => Poll::Ready(Ok(())),
            false => Poll::Pending,
        }
    }

    /// Whether replies wait until all connections that are ready have been read: one that is
    /// written wakes its client, which costs as much as all else; of replies that are written in a
    /// row the first alone finds its client asleep, where one client has many connections.
    fn lets_others_read(&mut self, cx: &mut Context<'_>) -> bool {
        let bytes = self.caller.session.pipeline.out().len();
        if self.has_waited || bytes == 0 || bytes > limits::WAITING_REPLY_BYTES {
            return false;
        }
        self.has_waited = true;
        cx.waker().wake_by_ref();
        true
    }

    /// Whether requests are taken for now.
    fn is_open(&self) -> bool {
        let session = &self.caller.session;
        !session.closing && !session.pipeline.is_full() && !self.caller.is_blocked()
    }

    /// Whether bytes are read for now: also while a command waits, to see whether the client goes.
    fn listens(&self) -> bool {
        let waits = self.caller.is_blocked() && self.input.len() < limits::WAITING_INPUT_BYTES;
        !self.ended && (waits || self.is_open())
    }

    /// Goes on with a command that waits; whether it did. If it cannot, the task will be woken.
    fn goes_on(&mut self, cx: &mut Context<'_>) -> bool {
        self.caller.is_blocked() && {
            let door = self.entrance.door();
            let (alarm, caller) = (&mut self.alarm, &mut self.caller);
            alarm.poll_go_on(&door, caller, cx).is_ready()
        }
    }

    fn read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        for _ in 0..limits::READS_IN_A_ROW {
            if !self.listens() {
                return Poll::Pending;
            }
            let count = match self.input.is_empty() {
                true => ready!(self.read_and_hand_in(cx))?,
                false => ready!(self.read_on(cx))?,
            };
            self.ended = count == 0;
            self.client.received(count);
            self.entrance.door().counters().received(count);
        }
        self.client.yields();
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Reads into the worker's buffer; what is left over after the last whole request is kept.
    fn read_and_hand_in(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let scratch = self.scratch.clone();
        let scratch = &mut *scratch.borrow_mut();
        let mut buffer = ReadBuf::new(scratch);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
        let read = self.hand_in(buffer.filled());
        self.input.extend_from_slice(&buffer.filled()[read..]);
        Poll::Ready(Ok(buffer.filled().len()))
    }

    /// Reads more of a request that has begun.
    fn read_on(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let length = self.input.len();
        let missing = self.decoder.expects().saturating_sub(length);
        // Room for as much as has come already: what is only announced takes no memory.
        let most = length.clamp(limits::PART_BYTES, limits::RESERVE_BYTES);
        let room = missing.clamp(limits::PART_BYTES, most);
        self.input.reserve(room);
        self.input.resize(length + room, 0);
        let mut buffer = ReadBuf::new(&mut self.input[length..]);
        let result = Pin::new(&mut self.stream).poll_read(cx, &mut buffer);
        let count = buffer.filled().len();
        self.input.truncate(length + count);
        ready!(result)?;
        if self.input.len() > self.entrance.door().settings().query() {
            let text = "a request is longer than client-query-buffer-limit";
            return Poll::Ready(Err(io::Error::other(text)));
        }
        self.hand_in_input();
        self.client.keeps_arguments(self.decoder.room());
        Poll::Ready(Ok(count))
    }

    fn hand_in_input(&mut self) {
        if self.input.is_empty() || !self.is_open() {
            return;
        }
        let mut input = std::mem::take(&mut self.input);
        let read = self.hand_in(&input);
        if read < input.len() {
            input.drain(..read);
            self.input = input;
        }
        self.decoder.rest();
    }

    /// Hands in the whole requests in the bytes; returns how many bytes they were.
    fn hand_in(&mut self, bytes: &[u8]) -> usize {
        let (clock::Moment { now, ticks }, door) = (clock::moment(), self.entrance.door());
        door.begin(&mut self.caller, ticks);
        if let Decoder::Resp(decoder) = &mut self.decoder {
            decoder.set_most(door.settings().bulk());
            decoder.set_wary(door.is_stranger(&self.caller));
        }
        let mut read = 0;
        let mut requests = 0;
        while self.is_open() {
            match self.take(now, &door, &bytes[read..]) {
                Ok(None) => break,
                Ok(Some((length, counted))) => {
                    requests += counted;
                    read += length;
                }
                Err((fault, reply)) => {
                    self.log(&fault);
                    door.faulty(&mut self.caller, reply.as_bytes());
                    self.faulty = true;
                }
            }
        }
        door.end(now, &mut self.caller, &bytes[..read]);
        self.client.requested(now, requests);
        self.client.shows(&self.caller.session);
        if std::mem::take(&mut self.caller.session.changed) {
            self.client.has_changed(&self.caller.session);
        }
        read
    }

    /// Logs what a client has sent that is no request.
    fn log(&self, fault: &str) {
        let door = match self.decoder {
            Decoder::Resp(_) => "redis",
            Decoder::Memcache(_) => "memcached",
        };
        let (listen, client) = (self.client.listen(), self.client.origin.address());
        tracing::info!(door, %listen, %client, "{fault}");
    }

    /// Hands in the request at the start of the bytes, if it is whole: how many bytes have been
    /// read, and how many requests they were.
    ///
    /// # Errors
    /// The bytes are no request: why not, and the reply to them.
    fn take(
        &mut self,
        now: u64,
        door: &Door,
        bytes: &[u8],
    ) -> Result<Option<(usize, usize)>, (String, String)> {
        let read = match &mut self.decoder {
            Decoder::Resp(decoder) => {
                if decoder.is_wary() {
                    decoder.set_wary(door.is_stranger(&self.caller));
                }
                if decoder.look_ahead(bytes) > 1 {
                    door.prefetch(&self.caller, decoder.ahead(bytes));
                }
                let told = |fault: resp::Fault| {
                    let text = fault.to_string();
                    let reply = Wire::Resp.error(&text);
                    (text, reply)
                };
                let Some(length) = decoder.decode(bytes).map_err(told)? else {
                    return Ok(None);
                };
                let (raw, args) = decoder.request(bytes);
                if args.is_empty() {
                    return Ok(Some((length, 0)));
                }
                door.request(now, &mut self.caller, raw, args);
                length
            }
            Decoder::Memcache(decoder) => {
                let told = |fault: memcache::Fault| (fault.to_string(), fault.reply());
                let Some(length) = decoder.decode(bytes).map_err(told)? else {
                    return Ok(None);
                };
                let Some(request) = decoder.request(bytes) else {
                    return Ok(Some((length, 0)));
                };
                door.memcached(now, &mut self.caller, &request);
                length
            }
        };
        Ok(Some((read, 1)))
    }

    /// Replies may be too many for `client-output-buffer-limit`.
    fn leaves_too_much_unread(&self) -> io::Result<()> {
        let session = &self.caller.session;
        if session.pipeline.out().is_empty() {
            return Ok(());
        }
        let most = self.entrance.door().settings().most_unread();
        let is_too_much = most > 0 && session.pipeline.out().len() > most;
        match is_too_much && session.subscriptions == 0 && !session.monitors {
            true => Err(io::Error::other(
                "replies are more than client-output-buffer-limit",
            )),
            false => Ok(()),
        }
    }

    /// The client takes no more for now: others may know how much waits for it.
    fn leaves_unread(&self) {
        let pipeline = &self.caller.session.pipeline;
        let unwritten = pipeline.out().len();
        self.client.leaves_unread(unwritten);
        self.caller.leaves_unwritten(unwritten);
        let room = self.input.capacity();
        self.client.keeps(self.input.len(), room, pipeline.room());
    }

    fn write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.caller.session.pipeline.has_answered() {
            self.entrance.door().leaves(&mut self.caller);
        }
        self.leaves_too_much_unread()?;
        let pipeline = &mut self.caller.session.pipeline;
        while !pipeline.out().is_empty() {
            let written = Pin::new(&mut self.stream).poll_write(cx, pipeline.out());
            let Poll::Ready(written) = written else {
                self.leaves_unread();
                return Poll::Pending;
            };
            match written? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => {
                    pipeline.written(count);
                    self.client.sent(count);
                    self.entrance.door().counters().sent(count);
                }
            }
        }
        self.client.leaves_unread(0);
        self.caller.leaves_unwritten(0);
        // Only TLS keeps back what it was given.
        Pin::new(&mut self.stream).poll_flush(cx)
    }
}

impl Future for Connection {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        if this.client.is_killed() || this.caller.is_overrun() {
            if this.caller.is_overrun() {
                tracing::warn!(
                    client = %this.client.origin.address(),
                    "a client reads what it is told (SUBSCRIBE, MONITOR, CLIENT TRACKING) too \
                     slowly: its connection is closed; see client-output-buffer-limit"
                );
            }
            if this.has_waited {
                // Whoever kills itself gets the answer first.
                let _ = this.write(cx);
            }
            return Poll::Ready(());
        }
        match ready!(this.step(cx)) {
            Ok(()) => this.closed_by_client = !this.faulty,
            Err(error) => {
                tracing::debug!(client = %this.client.origin.address(), "connection lost: {error}")
            }
        }
        Poll::Ready(())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.entrance
            .door()
            .leave(&mut self.caller, self.closed_by_client);
        self.client.left();
    }
}
