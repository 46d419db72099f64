//! Every bound, in one place. What is beyond is refused with an error that names it.

/// Members that a node knows at most, those that are gone included. Changes that would add one
/// more are left out.
pub const MEMBERS: usize = 100_000;
/// Changes in one message from a peer. A full sync has one for each member.
pub const CHANGES: usize = MEMBERS;
/// Changes in one message to a peer, but for a full sync. Those told the least come first.
pub const CHANGES_SENT: usize = 4096;
/// Longest body from a peer, in bytes.
pub const BODY_BYTES: usize = 32 * 1024 * 1024;
/// Longest address, in bytes: a host name of 253, a colon and a port.
pub const ADDRESS_BYTES: usize = 259;
/// Longest name of an application, in bytes.
pub const APP_BYTES: usize = 256;
/// Longest identifier of a change, in bytes. Ringpop's are UUIDs of 36.
pub const CHANGE_ID_BYTES: usize = 64;
/// Highest incarnation number: a Node.js peer has no greater whole numbers. Who may say so much of
/// others can silence them; [`crate::Config::refuse_incarnations_ahead_ms`] keeps that away.
pub const INCARNATION: u64 = (1 << 53) - 1;
/// An incarnation number so far ahead of the wall clock is told as a warning, in milliseconds.
pub const INCARNATION_AHEAD_MS: u64 = 24 * 60 * 60 * 1000;

/// Labels that an application may set (ringpop-go: 5).
pub const LABELS: usize = 5;
/// Longest key of a label that an application sets, in bytes (ringpop-go: 32).
pub const LABEL_KEY_BYTES: usize = 32;
/// Longest value of a label that an application sets, in bytes (ringpop-go: 128).
pub const LABEL_VALUE_BYTES: usize = 128;
/// Labels of a peer, its internal ones included.
pub const PEER_LABELS: usize = 32;
/// Longest key or value of a label of a peer, in bytes: those that begin with `__` have no limit
/// in ringpop-go.
pub const PEER_LABEL_BYTES: usize = 1024;

/// Requests of this node that may wait for an answer (ringpop-node: 100).
pub const PENDING: usize = 256;
/// Requests of peers to ping somebody for them, at the same time.
pub const RELAYED_PINGS: usize = 64;
/// Reverse full syncs at the same time (ringpop-node: 5).
pub const REVERSE_FULL_SYNCS: usize = 5;
/// Members that pinged this one before it was ready, and get the first pings.
pub const EARLY_CALLERS: usize = 16;
/// Seeds.
pub const SEEDS: usize = 10_000;
/// Seeds that are named in what is said about those that did not let this member in.
pub const TOLD_SEEDS: usize = 8;
/// Peers of which it is remembered when they were last given a full sync.
pub const SYNCED_PEERS: usize = 1024;
/// Flappers that a damp-req may name.
pub const FLAPPERS: usize = 1024;
/// Confirmations of a suspicion that are told apart.
pub const CONFIRMATIONS: usize = 8;
/// Longest time in a configuration, in milliseconds: a hundred years and more.
pub const DURATION_MS: u64 = 1 << 42;
