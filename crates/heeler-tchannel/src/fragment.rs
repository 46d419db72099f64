//! Messages over many frames. A message is a call or an answer with its three args; the first frame
//! carries its head, and each frame a share of the args.

use bytes::{BufMut, Bytes, BytesMut};

use crate::checksum::ChecksumType;
use crate::frame::{self, Headers, MORE, Part};
use crate::limits::{ARG1_BYTES, FRAME_BYTES};
use crate::tracing::Tracing;

/// What stands before the args in a message's first frame.
#[derive(Clone, Copy, Debug)]
pub enum Head<'a> {
    /// A call's.
    Call {
        /// Time to live, in milliseconds.
        ttl: u32,
        /// Its place in a tree of calls.
        tracing: Tracing,
        /// The service it is for; at most 255 bytes.
        service: &'a [u8],
        /// Transport headers.
        headers: &'a Headers,
    },
    /// An answer's.
    Answer {
        /// 0, or the application's error.
        code: u8,
        /// The request's.
        tracing: Tracing,
        /// Transport headers.
        headers: &'a Headers,
    },
}

impl Head<'_> {
    fn kind(&self) -> u8 {
        match self {
            Head::Call { .. } => 0x03,
            Head::Answer { .. } => 0x04,
        }
    }

    /// Everything between the flags and the checksum.
    fn write(&self, out: &mut BytesMut) {
        match self {
            Head::Call {
                ttl,
                tracing,
                service,
                headers,
            } => {
                out.put_u32(*ttl);
                out.put_slice(&tracing.to_bytes());
                out.put_u8(service.len() as u8);
                out.put_slice(service);
                out.put_slice(headers.raw());
            }
            Head::Answer {
                code,
                tracing,
                headers,
            } => {
                out.put_u8(*code);
                out.put_slice(&tracing.to_bytes());
                out.put_slice(headers.raw());
            }
        }
    }
}

/// Appends a message to `out`, in as many frames as it needs, each filled to `frame_bytes`.
///
/// The head is written as it is: its bounds (a service of at most 255 bytes, headers that fit the
/// frame) are the caller's to check. `frame_bytes` is at most 65535, and leaves room for more than
/// the head.
pub fn write_message(
    out: &mut BytesMut,
    id: u32,
    head: Head<'_>,
    args: [&[u8]; 3],
    checksum: ChecksumType,
    frame_bytes: usize,
) {
    let length: usize = args.iter().map(|arg| arg.len()).sum();
    out.reserve(length + 512 + length / FRAME_BYTES * 32);
    let frame_bytes = frame_bytes.min(FRAME_BYTES);
    let mut writer = Writer::begin(out, id, head, checksum, frame_bytes);
    for arg in args {
        writer.arg(arg);
    }
    writer.finish(false);
}

struct Writer<'a> {
    out: &'a mut BytesMut,
    id: u32,
    continue_kind: u8,
    checksum: ChecksumType,
    frame_bytes: usize,
    value: u32,
    start: usize,
    checksum_at: usize,
}

impl<'a> Writer<'a> {
    fn begin(
        out: &'a mut BytesMut,
        id: u32,
        head: Head<'_>,
        checksum: ChecksumType,
        frame_bytes: usize,
    ) -> Self {
        let continue_kind = head.kind() | 0x10;
        let start = frame::begin(out, head.kind(), id);
        out.put_u8(0);
        head.write(out);
        let (value, checksum_at) = (0, 0);
        let mut writer = Writer {
            out,
            id,
            continue_kind,
            checksum,
            frame_bytes,
            value,
            start,
            checksum_at,
        };
        writer.place_checksum();
        writer
    }

    fn place_checksum(&mut self) {
        self.out.put_u8(self.checksum.to_wire());
        self.checksum_at = self.out.len();
        if self.checksum != ChecksumType::None {
            self.out.put_u32(0);
        }
    }

    /// Bytes that one more chunk may have in this frame, if it may have one.
    fn room(&self) -> usize {
        (self.start + self.frame_bytes).saturating_sub(self.out.len() + 2)
    }

    fn arg(&mut self, mut arg: &[u8]) {
        if self.room() == 0 {
            self.next_frame();
            // An arg that begins at a frame's beginning: the one before is closed first.
            self.chunk(&[]);
        }
        loop {
            let (chunk, rest) = arg.split_at(arg.len().min(self.room()));
            self.chunk(chunk);
            arg = rest;
            if arg.is_empty() {
                return;
            }
            self.next_frame();
        }
    }

    fn chunk(&mut self, chunk: &[u8]) {
        self.value = self.checksum.update(self.value, chunk);
        self.out.put_u16(chunk.len() as u16);
        self.out.put_slice(chunk);
    }

    fn next_frame(&mut self) {
        self.finish(true);
        self.start = frame::begin(self.out, self.continue_kind, self.id);
        self.out.put_u8(0);
        self.place_checksum();
    }

    fn finish(&mut self, more: bool) {
        let flags_at = self.start + crate::limits::HEADER_BYTES;
        self.out[flags_at] = if more { MORE } else { 0 };
        if self.checksum != ChecksumType::None {
            let at = self.checksum_at;
            self.out[at..at + 4].copy_from_slice(&self.value.to_be_bytes());
        }
        let fits = frame::end(self.out, self.start);
        debug_assert!(fits.is_ok(), "the head is too long for a frame");
    }
}

/// Why the parts of a message make no message. The texts are tchannel-node's where it has one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadMessage {
    /// Some bytes are not those that were sent.
    #[error("invalid checksum (type {kind}) expected: {expected} actual: {actual}")]
    Checksum {
        /// The checksum's type on the wire.
        kind: u8,
        /// What the frame says.
        expected: u32,
        /// What its args give.
        actual: u32,
    },
    /// A frame has another type of checksum than the message's first.
    #[error("checksum type changed mid-stream")]
    ChecksumType,
    /// The endpoint's name is too long.
    #[error("arg1 length {0} is larger than the limit {ARG1_BYTES}")]
    Arg1(usize),
    /// More than three args.
    #[error("frame parts exceeded stream arity")]
    TooManyArgs,
    /// Fewer than three args.
    #[error("the message ends after {0} of 3 args")]
    TooFewArgs(usize),
    /// More bytes than the limit.
    #[error("message length {length} is larger than the limit {limit}")]
    TooLong {
        /// Bytes of args so far.
        length: usize,
        /// Bytes that are allowed.
        limit: usize,
    },
}

/// Puts the parts of one message together.
#[derive(Debug)]
pub struct Assembly {
    kind: ChecksumType,
    value: u32,
    /// Args that are complete, then the one that is not.
    args: [BytesMut; 3],
    current: Option<usize>,
    length: usize,
    limit: usize,
}

impl Assembly {
    /// The three args of a message that is all in one frame, or the start of an assembly.
    ///
    /// # Errors
    ///
    /// [`BadMessage`]. `limit` bounds the bytes of the three args together.
    pub fn begin(part: &Part, limit: usize) -> Result<Assembled, BadMessage> {
        let mut assembly = Assembly {
            kind: part.checksum.kind,
            value: 0,
            args: Default::default(),
            current: None,
            length: 0,
            limit,
        };
        if part.more() {
            let complete = assembly.add(part)?;
            debug_assert!(complete.is_none());
            return Ok(Assembled::Begun(assembly));
        }
        let mut args = [Bytes::new(), Bytes::new(), Bytes::new()];
        let mut count = 0;
        for chunk in part.chunks.iter() {
            assembly.length += chunk.len();
            assembly.value = assembly.kind.update(assembly.value, &chunk);
            args[count] = chunk;
            count += 1;
        }
        assembly.check(part, args[0].len())?;
        match count {
            3 => Ok(Assembled::Whole(args)),
            count => Err(BadMessage::TooFewArgs(count)),
        }
    }

    /// Adds the next part. Returns the args with the last one.
    ///
    /// # Errors
    ///
    /// [`BadMessage`]. The message is lost, the connection is not.
    pub fn add(&mut self, part: &Part) -> Result<Option<[Bytes; 3]>, BadMessage> {
        if part.checksum.kind != self.kind {
            return Err(BadMessage::ChecksumType);
        }
        for (i, chunk) in part.chunks.iter().enumerate() {
            let arg = match self.current {
                None => 0,
                Some(current) if i == 0 => current,
                Some(current) => current + 1,
            };
            self.length += chunk.len();
            self.value = self.kind.update(self.value, &chunk);
            self.args
                .get_mut(arg)
                .ok_or(BadMessage::TooManyArgs)?
                .extend_from_slice(&chunk);
            self.current = Some(arg);
        }
        self.check(part, self.args[0].len())?;
        if part.more() {
            return Ok(None);
        }
        match self.current {
            Some(2) => Ok(Some(std::mem::take(&mut self.args).map(BytesMut::freeze))),
            current => Err(BadMessage::TooFewArgs(current.map_or(0, |arg| arg + 1))),
        }
    }

    /// Bytes of args so far.
    pub fn length(&self) -> usize {
        self.length
    }

    fn check(&self, part: &Part, arg1: usize) -> Result<(), BadMessage> {
        let expected = part.checksum.value;
        let unchecked = matches!(self.kind, ChecksumType::None | ChecksumType::Farmhash);
        if !unchecked && expected != self.value {
            let (kind, actual) = (self.kind.to_wire(), self.value);
            return Err(BadMessage::Checksum {
                kind,
                expected,
                actual,
            });
        }
        if arg1 > ARG1_BYTES {
            return Err(BadMessage::Arg1(arg1));
        }
        if self.length > self.limit {
            return Err(BadMessage::TooLong {
                length: self.length,
                limit: self.limit,
            });
        }
        Ok(())
    }
}

/// What a message's first frame gives.
#[derive(Debug)]
pub enum Assembled {
    /// All of it.
    Whole([Bytes; 3]),
    /// Its beginning.
    Begun(Assembly),
}
