//! Frames to bytes.

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Fault, Frame, Init, Part};
use crate::checksum::ChecksumType;
use crate::limits::{FRAME_BYTES, SHORT_BYTES};

impl Frame {
    /// Appends the frame to `out`.
    ///
    /// # Errors
    ///
    /// It is longer than a frame may be, or a part of it is longer than its length can say. Then
    /// `out` is as it was.
    pub fn encode(&self, out: &mut BytesMut) -> Result<(), Fault> {
        let start = begin(out, self.body.kind(), self.id);
        let result = self.body.encode(out).and_then(|()| end(out, start));
        if result.is_err() {
            out.truncate(start);
        }
        result
    }
}

/// Writes a frame's header with a size yet unknown; returns where it begins.
pub(crate) fn begin(out: &mut BytesMut, kind: u8, id: u32) -> usize {
    let start = out.len();
    out.put_u16(0);
    out.put_u8(kind);
    out.put_u8(0);
    out.put_u32(id);
    out.put_u64(0);
    start
}

/// Fills in the size of the frame that began at `start`.
pub(crate) fn end(out: &mut BytesMut, start: usize) -> Result<(), Fault> {
    let size = u16::try_from(out.len() - start).map_err(|_| Fault::TooLong)?;
    out[start..start + 2].copy_from_slice(&size.to_be_bytes());
    Ok(())
}

impl Body {
    /// The frame's type on the wire.
    pub fn kind(&self) -> u8 {
        match self {
            Body::InitReq(_) => 0x01,
            Body::InitRes(_) => 0x02,
            Body::CallReq(_) => 0x03,
            Body::CallRes(_) => 0x04,
            Body::CallReqContinue(_) => 0x13,
            Body::CallResContinue(_) => 0x14,
            Body::Cancel(_) => 0xc0,
            Body::Claim(_) => 0xc1,
            Body::PingReq => 0xd0,
            Body::PingRes => 0xd1,
            Body::Error(_) => 0xff,
        }
    }

    fn encode(&self, out: &mut BytesMut) -> Result<(), Fault> {
        match self {
            Body::InitReq(init) | Body::InitRes(init) => init.encode(out)?,
            Body::CallReq(call) => {
                out.put_u8(call.part.flags);
                out.put_u32(call.ttl);
                out.put_slice(&call.tracing.to_bytes());
                short(out, &call.service)?;
                out.put_slice(call.headers.raw());
                call.part.encode(out);
            }
            Body::CallRes(call) => {
                out.put_u8(call.part.flags);
                out.put_u8(call.code);
                out.put_slice(&call.tracing.to_bytes());
                out.put_slice(call.headers.raw());
                call.part.encode(out);
            }
            Body::CallReqContinue(part) | Body::CallResContinue(part) => {
                out.put_u8(part.flags);
                part.encode(out);
            }
            Body::Cancel(cancel) => {
                out.put_u32(cancel.ttl);
                out.put_slice(&cancel.tracing.to_bytes());
                long(out, &cancel.why)?;
            }
            Body::Claim(claim) => {
                out.put_u32(claim.ttl);
                out.put_slice(&claim.tracing.to_bytes());
            }
            Body::PingReq | Body::PingRes => {}
            Body::Error(error) => {
                out.put_u8(error.code.to_wire());
                out.put_slice(&error.tracing.to_bytes());
                long(out, &error.message)?;
            }
        }
        Ok(())
    }
}

impl Init {
    fn encode(&self, out: &mut BytesMut) -> Result<(), Fault> {
        out.put_u16(self.version);
        self.headers.write(out)
    }
}

impl Part {
    /// Without the flags, which stand elsewhere.
    fn encode(&self, out: &mut BytesMut) {
        out.put_u8(self.checksum.kind.to_wire());
        if self.checksum.kind != ChecksumType::None {
            out.put_u32(self.checksum.value);
        }
        out.put_slice(self.chunks.raw());
    }
}

fn short(out: &mut BytesMut, bytes: &Bytes) -> Result<(), Fault> {
    if bytes.len() > SHORT_BYTES {
        return Err(Fault::ValueTooLong("the service's name".into()));
    }
    out.put_u8(bytes.len() as u8);
    out.put_slice(bytes);
    Ok(())
}

fn long(out: &mut BytesMut, bytes: &Bytes) -> Result<(), Fault> {
    if bytes.len() > FRAME_BYTES {
        return Err(Fault::TooLong);
    }
    out.put_u16(bytes.len() as u16);
    out.put_slice(bytes);
    Ok(())
}
