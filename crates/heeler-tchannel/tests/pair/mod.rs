//! Two connections against one another, in virtual time.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use heeler_tchannel::{
    Connection, Event, Headers, Identity, Limits, Output, Request, Response, frame,
};

/// One end: what it has said since the last look, and what happened there.
pub struct End {
    pub connection: Connection,
    pub out: Output,
}

impl End {
    pub fn events(&mut self) -> Vec<Event> {
        self.out.events.drain(..).collect()
    }

    /// The one event that there is.
    pub fn event(&mut self) -> Event {
        let mut events = self.events();
        assert_eq!(events.len(), 1, "{events:?}");
        events.remove(0)
    }

    /// The frames that it has written, taken away from the peer.
    pub fn frames(&mut self) -> Vec<frame::Frame> {
        let mut frames = Vec::new();
        while let Some(frame) = frame::decode(&mut self.out.bytes).unwrap() {
            frames.push(frame);
        }
        frames
    }
}

pub struct Pair {
    pub dialler: End,
    pub listener: End,
    pub now: Instant,
    /// Bytes of one read.
    pub piece: usize,
}

impl Pair {
    /// Before the handshake.
    pub fn new(limits: Limits) -> Self {
        let now = Instant::now();
        let mut out = Output::default();
        let here = Identity::new("0.0.0.0:0", "dialler");
        let connection = Connection::dial(here, limits.clone(), 1, now, &mut out);
        let dialler = End { connection, out };
        let there = Identity::new("127.0.0.1:3000", "listener");
        let connection = Connection::accept(there, limits, 2, now);
        let listener = End {
            connection,
            out: Output::default(),
        };
        Pair {
            dialler,
            listener,
            now,
            piece: usize::MAX,
        }
    }

    /// After the handshake.
    pub fn open(limits: Limits) -> Self {
        let mut pair = Pair::new(limits);
        pair.run();
        assert!(matches!(pair.dialler.event(), Event::Opened(_)));
        assert!(matches!(pair.listener.event(), Event::Opened(_)));
        pair
    }

    /// Carries bytes to and fro until there are none.
    pub fn run(&mut self) {
        let (mut left, mut right) = (BytesMut::new(), BytesMut::new());
        loop {
            let (dialler, listener) = (&mut self.dialler, &mut self.listener);
            let quiet = dialler.out.bytes.is_empty() && listener.out.bytes.is_empty();
            if quiet {
                return;
            }
            carry(self.piece, &mut dialler.out.bytes, &mut right);
            listener
                .connection
                .handle(self.now, &mut right, &mut listener.out);
            carry(self.piece, &mut listener.out.bytes, &mut left);
            dialler
                .connection
                .handle(self.now, &mut left, &mut dialler.out);
        }
    }

    /// Lets time pass, from one wake to the next.
    pub fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            let wakes = [&self.dialler, &self.listener].map(|end| end.connection.next_wake());
            let next = wakes.into_iter().flatten().min().filter(|at| *at <= until);
            let Some(next) = next else { break };
            self.now = self.now.max(next);
            for end in [&mut self.dialler, &mut self.listener] {
                end.connection.wake(self.now, &mut end.out);
            }
            self.run();
        }
        self.now = until;
    }

    /// The dialler calls.
    pub fn call(&mut self, request: &Request, ttl: Duration) -> u32 {
        let End { connection, out } = &mut self.dialler;
        connection
            .call(self.now, request, self.now + ttl, out)
            .unwrap()
    }

    /// The listener answers.
    pub fn answer(&mut self, id: u32, response: Response) -> bool {
        self.listener
            .connection
            .answer(id, Ok(response), &mut self.listener.out)
    }
}

fn carry(piece: usize, from: &mut BytesMut, to: &mut BytesMut) {
    let piece = piece.min(from.len());
    to.extend_from_slice(&from.split_to(piece));
}

pub fn request(arg3: impl Into<Bytes>) -> Request {
    Request {
        service: Bytes::from("kv"),
        headers: Headers::new([("as", "raw"), ("cn", "test")]).unwrap(),
        arg1: Bytes::from("get"),
        arg3: arg3.into(),
        ..Request::default()
    }
}

pub const SECOND: Duration = Duration::from_secs(1);
