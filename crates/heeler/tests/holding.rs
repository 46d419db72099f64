//! The ring keyspace in virtual time: many nodes, each with its own store and its own view of the
//! membership, a network that does its worst, and clients that remember what they were promised.
//!
//! `HEELER_SEEDS=10000` tries so many seeds of each scenario, `HEELER_SEED=7` only that one.

#[path = "holding/clients.rs"]
mod clients;
#[path = "holding/cluster.rs"]
mod cluster;
#[path = "holding/flushes.rs"]
mod flushes;
#[path = "holding/lives.rs"]
mod lives;
#[path = "holding/membership.rs"]
mod membership;
#[path = "holding/near_caches.rs"]
mod near_caches;
#[path = "holding/scenarios.rs"]
mod scenarios;
#[path = "holding/surveys.rs"]
mod surveys;
