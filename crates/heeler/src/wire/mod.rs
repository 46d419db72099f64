//! Bytes to requests, replies to bytes. Pure: no socket, no clock.

pub mod resp;
