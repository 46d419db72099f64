//! Whole clusters in virtual time: real machines, real bodies, and a network that does its worst.

#[path = "simulation/network.rs"]
mod network;
#[path = "simulation/scenarios.rs"]
mod scenarios;
