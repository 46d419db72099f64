//! One member among peers that the tests play: a test for each sentence of the protocol.

#[path = "protocol/bodies.rs"]
mod bodies;
#[path = "protocol/bootstrap.rs"]
mod bootstrap;
#[path = "protocol/gossip.rs"]
mod gossip;
#[path = "protocol/hostile.rs"]
mod hostile;
#[path = "protocol/member.rs"]
mod member;
#[path = "protocol/membership.rs"]
mod membership;
#[path = "protocol/options.rs"]
mod options;
