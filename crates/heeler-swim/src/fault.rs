//! Application errors, as ringpop-node writes them.

use std::fmt;

use crate::json;

/// An error that a peer or an operator gets: always an object with `type` and `message`, where
/// ringpop-node answers `{}` to some mistakes and ringpop-go cannot read others.
///
/// ```
/// use heeler_swim::Fault;
///
/// let body = Fault::self_join("127.0.0.1:3100").to_body();
/// assert_eq!(
///     String::from_utf8(body).unwrap(),
///     "{\"type\":\"ringpop.self-join\",\"message\":\"A node tried joining a cluster by \
///      attempting to join itself. The joiner (127.0.0.1:3100) must join someone else.\",\
///      \"actual\":\"127.0.0.1:3100\",\"name\":\"RingpopSelfJoinError\"}"
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    kind: String,
    message: String,
    fields: Vec<(&'static str, String)>,
    name: &'static str,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

impl Fault {
    /// An error of this type, with the name that ringpop-node gives it.
    pub fn new(kind: impl Into<String>, name: &'static str, message: impl Into<String>) -> Fault {
        Fault {
            kind: kind.into(),
            message: message.into(),
            fields: Vec::new(),
            name,
        }
    }

    /// One more field.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Into<String>) -> Fault {
        self.fields.push((key, value.into()));
        self
    }

    /// The type, for example `ringpop.self-join`.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The JSON object.
    pub fn to_body(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(256);
        let fields = self
            .fields
            .iter()
            .map(|(key, value)| (*key, value.as_str()));
        let all = [
            ("type", self.kind.as_str()),
            ("message", self.message.as_str()),
        ];
        for (i, (key, value)) in all
            .into_iter()
            .chain(fields)
            .chain([("name", self.name)])
            .enumerate()
        {
            body.push(if i == 0 { b'{' } else { b',' });
            json::text(&mut body, key);
            body.push(b':');
            json::text(&mut body, value);
        }
        body.push(b'}');
        body
    }

    /// The joiner has this member's address.
    pub fn self_join(joiner: &str) -> Fault {
        let message = format!(
            "A node tried joining a cluster by attempting to join itself. The joiner ({joiner}) \
             must join someone else."
        );
        Fault::new("ringpop.self-join", "RingpopSelfJoinError", message).with("actual", joiner)
    }

    /// Joins are turned away.
    pub fn deny_join() -> Fault {
        Fault::new(
            "ringpop.deny-join",
            "RingpopDenyJoinError",
            "Node is currently configured to deny joins",
        )
    }

    /// The joiner's address is none.
    pub fn join_source(actual: &str) -> Fault {
        let message = format!(
            "A node tried joining the cluster with an invalid source. The source ({actual}) is not \
             of the form host:port."
        );
        Fault::new(
            "ringpop.invalid-join.source",
            "RingpopInvalidJoinSourceError",
            message,
        )
        .with("actual", actual)
    }

    /// The caller belongs to another application. `verb` is `join`, `ping` or `ping-req`.
    pub fn app(verb: &str, expected: &str, actual: &str) -> Fault {
        let (name, what) = match verb {
            "join" => ("RingpopInvalidJoinAppError", "joining"),
            "ping" => ("RingpopInvalidPingAppError", "pinging"),
            _ => ("RingpopInvalidPingReqAppError", "asking for a ping in"),
        };
        let message = format!(
            "A node tried {what} a different app cluster. The expected app ({expected}) did not \
             match the actual app ({actual})."
        );
        Fault::new(format!("ringpop.invalid-{verb}.app"), name, message)
            .with("expected", expected)
            .with("actual", actual)
    }

    /// This member is not ready.
    pub fn not_ready() -> Fault {
        let message = "The node is not ready: it has not joined its cluster yet";
        Fault::new("ringpop.not-ready", "RingpopNotReadyError", message)
    }

    /// A field is missing, or is not what it should be. `verb` as in `ping-req`.
    pub fn required(verb: &str, field: &str) -> Fault {
        let kind = format!("ringpop.server.{verb}.bad-request.{field}-required");
        let reason = format!("{field} is required");
        // ringpop-node's only error of this kind has a name that somebody forgot to fill in.
        let name = match verb {
            "damp-req" => "OverridemeError",
            _ => "RingpopBadRequestError",
        };
        Fault::new(kind, name, format!("Bad request: {reason}")).with("reason", reason)
    }

    /// The body cannot be read.
    pub fn body(verb: &str, reason: impl Into<String>) -> Fault {
        let (kind, reason) = (
            format!("ringpop.server.{verb}.bad-request.body"),
            reason.into(),
        );
        Fault::new(
            kind,
            "RingpopBadRequestError",
            format!("Bad request: {reason}"),
        )
        .with("reason", reason)
    }

    /// Too much is going on.
    pub fn busy() -> Fault {
        let message = "Too many requests to ping others are being worked on";
        Fault::new("ringpop.busy", "RingpopBusyError", message)
    }

    /// This member has left already.
    pub fn redundant_leave() -> Fault {
        Fault::new(
            "ringpop.invalid-leave.redundant",
            "RingpopInvalidLeaveRedundantError",
            "A node cannot leave its cluster when it has already left.",
        )
    }

    /// This member has not left.
    pub fn redundant_rejoin() -> Fault {
        Fault::new(
            "ringpop.invalid-rejoin.redundant",
            "RingpopInvalidRejoinRedundantError",
            "A node cannot rejoin its cluster when it has not left it.",
        )
    }

    /// This member has evicted itself, and does nothing more.
    pub fn evicted() -> Fault {
        Fault::new(
            "ringpop.evicted",
            "RingpopEvictedError",
            "The node has evicted itself from its cluster.",
        )
    }

    /// What the command needs is turned off.
    pub fn turned_off(what: &str) -> Fault {
        Fault::new(
            "ringpop.turned-off",
            "RingpopTurnedOffError",
            format!("{what} is turned off"),
        )
    }

    /// A command of the same kind is under way.
    pub fn under_way(what: &str) -> Fault {
        Fault::new(
            "ringpop.under-way",
            "RingpopUnderWayError",
            format!("{what} is under way"),
        )
    }
}
