//! Bytes to frames.

use bytes::{Buf, Bytes, BytesMut};

use super::{
    BadFrame, Body, CallReq, CallRes, Cancel, Chunks, Claim, ErrorCode, ErrorFrame, Fault, Frame,
    Headers, Init, NO_ID, Pairs, Part,
};
use crate::checksum::{Checksum, ChecksumType};
use crate::limits::HEADER_BYTES;
use crate::tracing::Tracing;

/// Takes the next frame off the front of `buffer`; `None` if it is not all there yet.
///
/// While less than a frame is there, the buffer is left as it is, but for room for the rest.
///
/// # Errors
///
/// Bytes that are no frame. The connection has to be closed, for where the next frame begins may
/// not be known.
pub fn decode(buffer: &mut BytesMut) -> Result<Option<Frame>, BadFrame> {
    let Some(size) = buffer.get(..2) else {
        return Ok(None);
    };
    let size = u16::from_be_bytes([size[0], size[1]]);
    let bytes = usize::from(size);
    if bytes < HEADER_BYTES {
        return Err(BadFrame {
            id: NO_ID,
            fault: Fault::Size(size),
        });
    }
    if buffer.len() < bytes {
        buffer.reserve(bytes - buffer.len());
        return Ok(None);
    }
    let mut raw = buffer.split_to(bytes).freeze();
    let id = u32::from_be_bytes([raw[4], raw[5], raw[6], raw[7]]);
    let kind = raw[2];
    raw.advance(HEADER_BYTES);
    match body(kind, Reader::new(raw)) {
        Ok(body) => Ok(Some(Frame { id, body })),
        // As tchannel-node does: only a call that is broken is named.
        Err(fault) => Err(BadFrame {
            id: if is_call(kind) { id } else { NO_ID },
            fault,
        }),
    }
}

fn is_call(kind: u8) -> bool {
    matches!(kind, 0x03 | 0x04 | 0x13 | 0x14 | 0xc0 | 0xc1)
}

fn body(kind: u8, mut reader: Reader) -> Result<Body, Fault> {
    let r = &mut reader;
    let body = match kind {
        0x01 => Body::InitReq(init(r)?),
        0x02 => Body::InitRes(init(r)?),
        0x03 => Body::CallReq(call_req(r)?),
        0x04 => Body::CallRes(call_res(r)?),
        0x13 => Body::CallReqContinue(continuation(r)?),
        0x14 => Body::CallResContinue(continuation(r)?),
        0xc0 => {
            let (ttl, tracing) = (r.u32("its time to live")?, r.tracing()?);
            Body::Cancel(Cancel {
                ttl,
                tracing,
                why: r.long("the reason")?,
            })
        }
        0xc1 => Body::Claim(Claim {
            ttl: r.u32("its time to live")?,
            tracing: r.tracing()?,
        }),
        0xd0 => Body::PingReq,
        0xd1 => Body::PingRes,
        0xff => {
            let (code, tracing) = (ErrorCode::from_wire(r.u8("the code")?), r.tracing()?);
            Body::Error(ErrorFrame {
                code,
                tracing,
                message: r.long("the message")?,
            })
        }
        kind => return Err(Fault::Type(kind)),
    };
    reader.end()?;
    Ok(body)
}

fn init(r: &mut Reader) -> Result<Init, Fault> {
    let init = Init {
        version: r.u16("the version")?,
        headers: Pairs::read(r)?,
    };
    for field in ["host_port", "process_name"] {
        if !init.headers.0.iter().any(|(key, _)| key == field) {
            return Err(Fault::MissingInitHeader(field));
        }
    }
    Ok(init)
}

fn call_req(r: &mut Reader) -> Result<CallReq, Fault> {
    let flags = r.u8("its flags")?;
    let ttl = r.u32("its time to live")?;
    if ttl == 0 {
        return Err(Fault::Ttl);
    }
    let tracing = r.tracing()?;
    let service = r.short("the service")?;
    let service = r.last_bytes(service);
    Ok(CallReq {
        ttl,
        tracing,
        service,
        headers: r.headers()?,
        part: part(r, flags)?,
    })
}

fn call_res(r: &mut Reader) -> Result<CallRes, Fault> {
    let (flags, code) = (r.u8("its flags")?, r.u8("the code")?);
    Ok(CallRes {
        code,
        tracing: r.tracing()?,
        headers: r.headers()?,
        part: part(r, flags)?,
    })
}

fn continuation(r: &mut Reader) -> Result<Part, Fault> {
    let flags = r.u8("its flags")?;
    part(r, flags)
}

fn part(r: &mut Reader, flags: u8) -> Result<Part, Fault> {
    let kind = ChecksumType::from_wire(r.u8("the checksum's type")?)?;
    let value = match kind {
        ChecksumType::None => 0,
        _ => r.u32("the checksum")?,
    };
    let chunks = Chunks::new(r.take_rest())?;
    Ok(Part {
        flags,
        checksum: Checksum { kind, value },
        chunks,
    })
}

/// Reads fields off the front of bytes. What a field is called is for the error.
pub(super) struct Reader {
    bytes: Bytes,
    at: usize,
}

impl Reader {
    pub(super) fn new(bytes: Bytes) -> Self {
        Reader { bytes, at: 0 }
    }

    /// Bytes that are left.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// What is left, unread.
    pub(super) fn rest(&self) -> Bytes {
        self.bytes.slice(self.at..)
    }

    fn take_rest(&mut self) -> Bytes {
        let rest = self.rest();
        self.at = self.bytes.len();
        rest
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], Fault> {
        let bytes = self.bytes[self.at..]
            .first_chunk()
            .ok_or(Fault::Short(field))?;
        self.at += N;
        Ok(*bytes)
    }

    pub(super) fn u8(&mut self, field: &'static str) -> Result<u8, Fault> {
        self.array(field).map(u8::from_be_bytes)
    }

    pub(super) fn u16(&mut self, field: &'static str) -> Result<u16, Fault> {
        self.array(field).map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self, field: &'static str) -> Result<u32, Fault> {
        self.array(field).map(u32::from_be_bytes)
    }

    fn tracing(&mut self) -> Result<Tracing, Fault> {
        self.array("its tracing").map(Tracing::from_bytes)
    }

    pub(super) fn headers(&mut self) -> Result<Headers, Fault> {
        Headers::read(self)
    }

    fn skip(&mut self, length: usize, field: &'static str) -> Result<(), Fault> {
        if self.len() < length {
            return Err(Fault::Short(field));
        }
        self.at += length;
        Ok(())
    }

    /// Skips a field of the form `x~1`, and says how long it is.
    pub(super) fn short(&mut self, field: &'static str) -> Result<usize, Fault> {
        let length = usize::from(self.u8(field)?);
        self.skip(length, field)?;
        Ok(length)
    }

    /// The last `length` bytes that were skipped.
    pub(super) fn last(&self, length: usize) -> &[u8] {
        &self.bytes[self.at - length..self.at]
    }

    fn last_bytes(&self, length: usize) -> Bytes {
        self.bytes.slice(self.at - length..self.at)
    }

    /// A field of the form `x~2`.
    pub(super) fn long(&mut self, field: &'static str) -> Result<Bytes, Fault> {
        let length = usize::from(self.u16(field)?);
        self.skip(length, field)?;
        Ok(self.last_bytes(length))
    }

    pub(super) fn end(&self) -> Result<(), Fault> {
        match self.len() {
            0 => Ok(()),
            left => Err(Fault::Long(left)),
        }
    }
}
