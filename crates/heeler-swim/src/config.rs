//! What an operator may choose.

use heeler_ring::RingHash;

use crate::{Labels, Style, limits};

/// How a member behaves. The defaults are Ringpop's wherever Ringpop has one.
///
/// ```
/// use heeler_swim::Config;
///
/// let config = Config {
///     suspect_ms: 3000,
///     ..Config::new("kv", "127.0.0.1:3000")
/// };
/// assert_eq!(config.faulty_ms, 24 * 60 * 60 * 1000);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The name of the application. Members of another are turned away.
    pub app: String,
    /// The address under which the others reach this member: `host:port`.
    pub address: String,
    /// A name on the ring in the place of the address (ringpop-go's `__identity`).
    pub identity: Option<String>,
    /// What this member says of itself.
    pub labels: Labels,
    /// The hash function of ring and checksums. `None`: that of the first peer that knows its own,
    /// and [`RingHash::Fingerprint32`] until then.
    pub hash: Option<RingHash>,
    /// The form of the checksum toward peers of which none is known yet.
    pub style: Style,
    /// Refuse pings and ping-reqs without the name of the application, and send it in ping-reqs,
    /// where Ringpop has none. Only among members that all do so.
    pub require_app: bool,
    /// Turn all joins away (ringpop-node: `denyJoins`).
    pub deny_joins: bool,

    /// Least time from the end of one ping to the next, in milliseconds.
    pub protocol_period_ms: u64,
    /// Time for an answer to a ping.
    pub ping_timeout_ms: u64,
    /// Time for an answer to a request to ping somebody.
    pub ping_req_timeout_ms: u64,
    /// How many are asked to ping who did not answer.
    pub ping_req_size: usize,
    /// Times that a change is told is this, times the number of digits of the members' number.
    pub piggyback_factor: u32,
    /// From suspect to faulty.
    pub suspect_ms: u64,
    /// From faulty to tombstone. Shorter is better where addresses are never used again.
    pub faulty_ms: u64,
    /// From tombstone to forgotten. It must be long enough for all to hear of the tombstone.
    pub tombstone_ms: u64,
    /// Ignore a change whose incarnation number is so many milliseconds ahead of the wall clock.
    /// `None`, the default, takes it and warns: Ringpop takes it, and members that hold different
    /// numbers never agree about the checksum.
    pub refuse_incarnations_ahead_ms: Option<u64>,
    /// From one report of the checksums as gauges to the next; 0 for none.
    pub checksum_report_ms: u64,

    /// How a member comes in.
    pub bootstrap: Bootstrap,
    /// How halves that have lost each other meet again. `None` turns it off.
    pub healing: Option<Healing>,
    /// What becomes of members that come and go.
    pub damping: Damping,
    /// Lifeguard's extensions. `None`: plain SWIM, as Ringpop has it.
    pub lifeguard: Option<Lifeguard>,
}

/// How a member comes in.
#[derive(Debug, Clone, PartialEq)]
pub struct Bootstrap {
    /// Seeds that must answer, if there are as many beside this member.
    pub join_size: usize,
    /// How many seeds are asked at once, for each answer that is missing.
    pub parallelism: usize,
    /// Time for an answer.
    pub join_timeout_ms: u64,
    /// First pause after a round in which too few answered. It doubles with each.
    pub retry_ms: u64,
    /// Longest pause.
    pub max_retry_ms: u64,
    /// When to give up.
    pub give_up_ms: u64,
    /// Start alone if no seed has answered for this long. Seeds that come up later are found by
    /// partition healing. `None`, as in Ringpop: only if there is no other seed.
    pub alone_after_ms: Option<u64>,
    /// Ping some members as soon as this one is ready, so that it is known at once.
    pub announce: bool,
}

/// How halves that have lost each other meet again.
#[derive(Debug, Clone, PartialEq)]
pub struct Healing {
    /// How often a member may try.
    pub period_ms: u64,
    /// How many members of the cluster try in a period, by chance.
    pub tries: f64,
    /// Seeds that may fail to answer before it gives up until the next time.
    pub max_failures: usize,
    /// Time for an answer to its join.
    pub join_timeout_ms: u64,
    /// Looks for seeds that are not in the ring more often than that. `None`, as in Ringpop: no.
    pub seeking: Option<Seeking>,
}

/// How seeds are looked for that are not in the ring: they may be in another one, which was begun
/// while this member's seeds were down, or the network was. The same requests as in each period,
/// which Ringpop's members answer, and as many members of the ring make them.
#[derive(Debug, Clone, PartialEq)]
pub struct Seeking {
    /// First pause after the ring has changed. It doubles with each attempt, up to
    /// [`Healing::period_ms`].
    pub first_ms: u64,
    /// Longest pause while nobody else is in the ring.
    pub alone_ms: u64,
}

/// What becomes of members that come and go.
///
/// Each change of a member adds to its score, which halves with time; a member over a bound is a
/// flapper, and is damped if some others, asked, say so too.
///
/// Damping is local: a damped member keeps its status, is pinged and gossiped as ever, and stands
/// in membership checksums, so that peers that damp nothing agree about them. Only the ring
/// of this node is without it. Others may damp it earlier or later, or, as Ringpop does, never:
/// until they agree, ring checksums differ, and Ringpop refuses requests forwarded with another
/// ring checksum than its own. So acting is off by default, and right only where all members act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Damping {
    /// No scores.
    Off,
    /// Scores, and events that tell who would be damped: as ringpop-node.
    #[default]
    Report,
    /// Damped members are out of the ring of this node until their score is low again.
    Act,
}

/// Lifeguard (Dadgar, Phillips, Currey 2017): slow members take fewer healthy ones for dead.
/// Nothing in it changes the protocol; a Ringpop peer sees pings, suspects and refutations.
#[derive(Debug, Clone, PartialEq)]
pub struct Lifeguard {
    /// Greatest factor by which a member that has trouble with everybody slows its pings and
    /// lengthens its timeouts, less one. 0 turns it off.
    pub max_health_score: u32,
    /// The suspicion starts with the period `suspect_ms` times this, times the decimal logarithm
    /// of the number of members, and is `suspect_ms` once it is confirmed. 0 turns it off.
    pub suspicion_factor: f64,
    /// Confirmations by others that bring a suspicion down to `suspect_ms`.
    pub confirmations: u32,
    /// Tell a suspect with each ping that it is suspected.
    pub buddy: bool,
}

impl Config {
    /// Ringpop's defaults for a member of an application with an address.
    pub fn new(app: impl Into<String>, address: impl Into<String>) -> Config {
        Config {
            app: app.into(),
            address: address.into(),
            identity: None,
            labels: Labels::default(),
            hash: None,
            style: Style::Node,
            require_app: false,
            deny_joins: false,
            protocol_period_ms: 200,
            ping_timeout_ms: 1500,
            ping_req_timeout_ms: 5000,
            ping_req_size: 3,
            piggyback_factor: 15,
            suspect_ms: 5000,
            faulty_ms: 24 * 60 * 60 * 1000,
            tombstone_ms: 60 * 1000,
            refuse_incarnations_ahead_ms: None,
            checksum_report_ms: 5000,
            bootstrap: Bootstrap::default(),
            healing: Some(Healing::default()),
            damping: Damping::default(),
            lifeguard: None,
        }
    }

    /// What is wrong, if something is.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let fits = |name, len: usize, max| match len {
            0 => Err(ConfigError::Empty(name)),
            _ if len > max => Err(ConfigError::TooLong(name, max)),
            _ => Ok(()),
        };
        fits("app", self.app.len(), limits::APP_BYTES)?;
        fits("address", self.address.len(), limits::ADDRESS_BYTES)?;
        if let Some(identity) = &self.identity {
            fits("identity", identity.len(), limits::PEER_LABEL_BYTES)?;
        }
        if !is_host_port(&self.address) {
            return Err(ConfigError::Address(self.address.clone()));
        }
        let positive = [
            ("protocol_period_ms", self.protocol_period_ms),
            ("ping_timeout_ms", self.ping_timeout_ms),
            ("ping_req_timeout_ms", self.ping_req_timeout_ms),
            ("piggyback_factor", u64::from(self.piggyback_factor)),
            ("bootstrap.join_size", self.bootstrap.join_size as u64),
            ("bootstrap.parallelism", self.bootstrap.parallelism as u64),
            ("bootstrap.join_timeout_ms", self.bootstrap.join_timeout_ms),
        ];
        if let Some((name, _)) = positive.into_iter().find(|(_, value)| *value == 0) {
            return Err(ConfigError::Zero(name));
        }
        let mut times = self.times().into_iter();
        match times.find(|(_, ms)| *ms > limits::DURATION_MS) {
            Some((name, _)) => Err(ConfigError::TooMuch(name, limits::DURATION_MS)),
            None => Ok(()),
        }
    }

    /// All times, by their names.
    fn times(&self) -> Vec<(&'static str, u64)> {
        let mut times = vec![
            ("protocol_period_ms", self.protocol_period_ms),
            ("ping_timeout_ms", self.ping_timeout_ms),
            ("ping_req_timeout_ms", self.ping_req_timeout_ms),
            ("suspect_ms", self.suspect_ms),
            ("faulty_ms", self.faulty_ms),
            ("tombstone_ms", self.tombstone_ms),
            ("checksum_report_ms", self.checksum_report_ms),
            ("bootstrap.join_timeout_ms", self.bootstrap.join_timeout_ms),
            ("bootstrap.retry_ms", self.bootstrap.retry_ms),
            ("bootstrap.max_retry_ms", self.bootstrap.max_retry_ms),
            ("bootstrap.give_up_ms", self.bootstrap.give_up_ms),
        ];
        if let Some(healing) = &self.healing {
            times.push(("healing.period_ms", healing.period_ms));
            times.push(("healing.join_timeout_ms", healing.join_timeout_ms));
            if let Some(seeking) = &healing.seeking {
                times.push(("healing.seeking.first_ms", seeking.first_ms));
                times.push(("healing.seeking.alone_ms", seeking.alone_ms));
            }
        }
        times
    }
}

/// Whether this looks like `host:port`, as ringpop-node asks of who joins.
pub(crate) fn is_host_port(address: &str) -> bool {
    address.rsplit_once(':').is_some_and(|(host, port)| {
        let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        digits && !host.is_empty() && !host.chars().any(|c| c.is_control() || c.is_whitespace())
    })
}

impl Default for Bootstrap {
    fn default() -> Bootstrap {
        Bootstrap {
            join_size: 3,
            parallelism: 2,
            join_timeout_ms: 1000,
            retry_ms: 100,
            max_retry_ms: 60_000,
            give_up_ms: 20 * 60 * 1000,
            alone_after_ms: None,
            announce: true,
        }
    }
}

impl Default for Healing {
    fn default() -> Healing {
        Healing {
            period_ms: 30_000,
            tries: 3.0,
            max_failures: 10,
            join_timeout_ms: 1000,
            seeking: None,
        }
    }
}

impl Default for Seeking {
    fn default() -> Seeking {
        Seeking {
            first_ms: 1000,
            alone_ms: 5000,
        }
    }
}

impl Default for Lifeguard {
    fn default() -> Lifeguard {
        Lifeguard {
            max_health_score: 8,
            suspicion_factor: 2.0,
            confirmations: 3,
            buddy: true,
        }
    }
}

/// Why a [`Config`] is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A name that must be given.
    #[error("{0} is empty")]
    Empty(&'static str),
    /// A name that is too long.
    #[error("{0} is longer than {1} bytes")]
    TooLong(&'static str, usize),
    /// The address is no `host:port`.
    #[error("the address {0:?} is not of the form host:port")]
    Address(String),
    /// A time that is too long.
    #[error("{0} is more than {1} ms")]
    TooMuch(&'static str, u64),
    /// A number that must not be 0.
    #[error("{0} is 0")]
    Zero(&'static str),
}
