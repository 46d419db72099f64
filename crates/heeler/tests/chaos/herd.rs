//! The servers, and what happens to them.

use std::collections::BTreeMap;

use fastrand::Rng;
use rustix::process::Signal;

use crate::servers::{RedisServer, free_port};
use crate::slow::Slow;

/// Longest delay of a slow server, in milliseconds: more than a request may take.
const LONGEST_DELAY_MS: u64 = 400;

pub struct Herd {
    members: Vec<Member>,
    events: BTreeMap<&'static str, usize>,
}

struct Member {
    port: u16,
    /// The way to it, so that it can be slow.
    slow: Slow,
    /// None while it is dead.
    server: Option<RedisServer>,
    is_stopped: bool,
}

impl Herd {
    pub fn start(count: usize) -> Herd {
        let member = |_| {
            let port = free_port();
            Member {
                port,
                slow: Slow::start(port),
                server: Some(RedisServer::start_at(port, &[])),
                is_stopped: false,
            }
        };
        Herd {
            members: (0..count).map(member).collect(),
            events: BTreeMap::new(),
        }
    }

    /// Where the servers are: the even ones behind the way that can be slow, the odd ones not, so
    /// that connections to them are refused when they are dead.
    pub fn addresses(&self) -> Vec<String> {
        let port = |(i, member): (usize, &Member)| match i % 2 {
            0 => member.slow.port,
            _ => member.port,
        };
        let ports = self.members.iter().enumerate().map(port);
        ports.map(|port| format!("127.0.0.1:{port}")).collect()
    }

    /// What has happened, and how often.
    pub fn events(&self) -> &BTreeMap<&'static str, usize> {
        &self.events
    }

    /// Something happens to one of the servers.
    pub fn disturb(&mut self, random: &mut Rng) {
        let member = random.usize(..self.members.len());
        let member = &mut self.members[member];
        let event = member.disturb(random);
        *self.events.entry(event).or_default() += 1;
    }

    /// All live, run and are fast.
    pub fn heal(&mut self) {
        for member in &mut self.members {
            member.heal();
        }
    }
}

impl Member {
    fn disturb(&mut self, random: &mut Rng) -> &'static str {
        let Some(server) = &self.server else {
            self.heal();
            return "started";
        };
        if self.is_stopped {
            self.is_stopped = false;
            server.process.signal(Signal::CONT);
            return "continued";
        }
        match random.u8(..5) {
            0 => {
                // Dropped, it is killed and reaped.
                self.server = None;
                "killed"
            }
            1 => {
                self.server = None;
                self.server = Some(RedisServer::start_at(self.port, &[]));
                "restarted"
            }
            2 => {
                server.process.signal(Signal::STOP);
                self.is_stopped = true;
                "stopped"
            }
            3 => {
                self.slow.delay(random.u64(1..=LONGEST_DELAY_MS));
                "slowed"
            }
            _ => {
                self.slow.delay(0);
                "sped up"
            }
        }
    }

    fn heal(&mut self) {
        self.slow.delay(0);
        match &self.server {
            None => self.server = Some(RedisServer::start_at(self.port, &[])),
            Some(server) if self.is_stopped => server.process.signal(Signal::CONT),
            Some(_) => {}
        }
        self.is_stopped = false;
    }
}
