//! Every bound, in one place. What one connection may take is in
//! [`heeler_tchannel::Limits`].

use std::time::Duration;

/// Connections that peers may have opened. One more is closed at once.
pub const INBOUND_CONNECTIONS: usize = 16 * 1024;
/// Bytes that may wait to be written to a peer before its further calls wait for their handlers.
/// (It is read from all the same: if neither of two peers read before the other has, both would
/// wait for ever.)
pub const UNWRITTEN_BYTES: usize = 1024 * 1024;
/// Bytes of calls that may wait to be written to a peer. One more call fails at once: `Busy`.
pub const QUEUED_BYTES: usize = 32 * 1024 * 1024;
/// Room that is made for a read, in bytes.
pub const READ_BYTES: usize = 16 * 1024;
/// The same while reads fill it.
pub const LARGE_READ_BYTES: usize = 128 * 1024;
/// Reads in a row from one connection, before others have their turn.
pub const READS: usize = 8;
/// A write buffer over this many bytes is given back once it is empty.
pub const KEPT_WRITE_BYTES: usize = 1024 * 1024;
/// How long opening a connection may take, if nothing else was said.
pub const CONNECT: Duration = Duration::from_secs(2);
/// The longest time to live of a call: what its field on the wire can say.
pub const LONGEST_CALL: Duration = Duration::from_millis(u32::MAX as u64);
/// How long a connection that ends may take to say its last words.
pub const LAST_WORDS: Duration = Duration::from_secs(1);
/// Bytes that are still read, and thrown away, from a connection that ends, so that its peer gets
/// to read why.
pub const LAST_READ_BYTES: usize = 1024 * 1024;
/// Pause after accepting a connection has failed.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// When the kernel first asks whether the peer of an idle connection is still there.
pub const KEEPALIVE: Duration = Duration::from_secs(60);
/// Connections that a call may be put on, one after the other, while it cannot be sent.
pub const TRIES: usize = 3;
/// Events that a subscriber may leave unread before it misses some.
pub const EVENTS: usize = 1024;
/// Seeds of a list, a file or a name.
pub const SEEDS: usize = 10_000;
/// Bytes of a peer's refusal that are told in the log.
pub const TOLD_BYTES: usize = 512;
/// Length of a file of seeds, in bytes.
pub const SEEDS_FILE_BYTES: u64 = 1 << 20;
/// Times of one name that wait for being sent to statsd; more in a flush are not sent.
pub const UNSENT_TIMES: usize = 1000;
/// Bytes of a packet to statsd: what fits an Ethernet frame.
pub const STATSD_PACKET: usize = 1432;
/// How long a membership sleeps at most, in milliseconds.
pub const LONGEST_SLEEP_MS: u64 = 60_000;
/// Those who may trace events at a time.
pub const TRACERS: usize = 100;
/// How long somebody may trace without asking again.
pub const LONGEST_TRACE: Duration = Duration::from_secs(60 * 60);
/// From one sending of statistics to the next.
pub const STATISTICS_PERIOD: Duration = Duration::from_secs(1);
/// How long calls in flight may take when a member shuts down.
pub const LAST_CALLS: Duration = Duration::from_secs(10);
