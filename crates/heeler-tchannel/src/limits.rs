//! Every bound, in one place. Past a limit the peer gets an error, and the process lives.

use std::time::Duration;

/// Longest frame, its header included, in bytes: what two bytes can say.
pub const FRAME_BYTES: usize = 65535;
/// A frame's header, in bytes.
pub const HEADER_BYTES: usize = 16;
/// Most transport headers of a call.
pub const TRANSPORT_HEADERS: usize = 128;
/// Longest name of a transport header, in bytes.
pub const TRANSPORT_KEY_BYTES: usize = 16;
/// Longest value of a transport header, and longest service name, in bytes.
pub const SHORT_BYTES: usize = 255;
/// Most bytes that all transport headers of a call that we send may take, so that they and arg1 fit
/// the first frame.
pub const TRANSPORT_BYTES: usize = 32 * 1024;
/// Longest arg1 (the endpoint's name), in bytes.
pub const ARG1_BYTES: usize = 16384;
/// Longest message of an error frame that we send, in bytes.
pub const MESSAGE_BYTES: usize = 4096;
/// Most pairs in a list of `k~2 v~2` pairs (init headers, thrift's application headers).
pub const PAIRS: usize = 1024;
/// Deepest nesting of a thrift value.
pub const THRIFT_DEPTH: usize = 32;
/// Most values in one thrift struct, those inside of its values included.
pub const THRIFT_VALUES: usize = 256 * 1024;
/// How long a peer may take to answer a ping that asks whether it is still there.
pub const PROBE: Duration = Duration::from_secs(2);

/// The bounds of one connection that its owner may choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest call or response, its three args together, in bytes.
    pub message_bytes: usize,
    /// Calls of the peer that may be in flight. One more is answered `Busy`.
    pub inbound_calls: usize,
    /// Bytes that the args of the peer's calls in flight, and answers that are not yet whole, may
    /// take. A call over it is answered `Busy`.
    pub inbound_bytes: usize,
    /// Our calls that may be in flight. One more is refused.
    pub outbound_calls: usize,
    /// Bytes that may wait to be written. Over it the peer does not read what it asked for, and the
    /// connection is closed.
    pub output_bytes: usize,
    /// How long the handshake may take.
    pub handshake: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            message_bytes: 16 * 1024 * 1024,
            inbound_calls: 4096,
            inbound_bytes: 64 * 1024 * 1024,
            outbound_calls: 4096,
            output_bytes: 64 * 1024 * 1024,
            handshake: Duration::from_secs(5),
        }
    }
}
