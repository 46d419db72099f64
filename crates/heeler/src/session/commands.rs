//! Commands about the connection itself.

use super::{Access, Replies, Session};
use crate::command::number::integer;
use crate::command::{Command, Id, Reply};
use crate::wire::resp::Protocol;

/// What this connection is told of the server that it talks to.
#[derive(Clone, Debug)]
pub struct Greeting {
    /// The version of Redis whose behaviour is kept: `redis_version`.
    pub version: &'static str,
    /// The newest protocol that is spoken here.
    pub newest: Protocol,
    /// What a client must say before anything else.
    pub access: Access,
    /// Which databases there are.
    pub databases: Databases,
}

/// Answers a command of the room `Session` that touches nothing but the session.
pub fn answer(session: &mut Session, command: &Command<'_>, greeting: &Greeting) -> Reply {
    match command.spec.id {
        Id::Ping => ping(session, command),
        Id::Echo => Reply::bulk(command.arg(1)),
        Id::Quit => quit(session),
        Id::Hello => hello(session, command, greeting),
        Id::Auth => greeting.access.auth(session, command),
        Id::Select => select(session, command, greeting),
        Id::Reset => reset(session, greeting),
        Id::Multi => session.begin_transaction(),
        Id::Discard => session.discard_transaction(),
        Id::ClientId => Reply::Int(session.id as i64),
        Id::ClientNoEvict => no_evict(session, command.arg(2)),
        Id::ClientGetname => getname(session),
        Id::ClientSetname => setname(session, command.arg(2)),
        Id::ClientReply => reply_mode(session, command.arg(2)),
        _ => command.unknown(|_| false),
    }
}

fn ping(session: &Session, command: &Command<'_>) -> Reply {
    let is_listener = session.subscriptions > 0 && session.protocol == Protocol::Resp2;
    match command.len() {
        1 | 2 if is_listener => {
            let word = command.args(1).next().unwrap_or_default();
            Reply::Array(vec![Reply::bulk("pong"), Reply::bulk(word)])
        }
        1 => Reply::Status("PONG"),
        2 => Reply::bulk(command.arg(1)),
        _ => crate::command::wrong_arity(command.spec),
    }
}

fn quit(session: &mut Session) -> Reply {
    session.closing = true;
    Reply::OK
}

fn hello(session: &mut Session, command: &Command<'_>, greeting: &Greeting) -> Reply {
    let mut protocol = session.protocol;
    if command.len() > 1 {
        protocol = match integer(command.arg(1)) {
            Some(2) => Protocol::Resp2,
            Some(3) if greeting.newest == Protocol::Resp3 => Protocol::Resp3,
            Some(_) => return Reply::error("NOPROTO unsupported protocol version"),
            None => {
                return Reply::error("ERR Protocol version is not an integer or out of range");
            }
        };
    }
    let mut name = None;
    let mut options = command.args(2);
    while let Some(option) = options.next() {
        if option.eq_ignore_ascii_case(b"auth") && options.len() >= 2 {
            let (user, password) = (options.next(), options.next());
            let (user, password) = (user.unwrap_or_default(), password.unwrap_or_default());
            if let Err(refused) = greeting.access.log_in(session, user, password) {
                return refused;
            }
        } else if option.eq_ignore_ascii_case(b"setname") && options.len() >= 1 {
            name = options.next();
        } else {
            let option = String::from_utf8_lossy(option).into_owned();
            return Reply::error(format!("ERR Syntax error in HELLO option '{option}'"));
        }
    }
    if greeting.access.refuses(session, Id::Ping).is_some() {
        return Reply::error(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the \
             HELLO AUTH <user> <pass> option can be used to authenticate the client and \
             select the RESP protocol version at the same time",
        );
    }
    if let Some(refused) = name.map(|n| setname(session, n)).filter(Reply::is_error) {
        return refused;
    }
    session.protocol = protocol;
    session.changed = true;
    Reply::Map(vec![
        (Reply::bulk("server"), Reply::bulk("redis")),
        (Reply::bulk("version"), Reply::bulk(greeting.version)),
        (
            Reply::bulk("proto"),
            Reply::Int(if protocol == Protocol::Resp3 { 3 } else { 2 }),
        ),
        (Reply::bulk("id"), Reply::Int(session.id as i64)),
        (Reply::bulk("mode"), Reply::bulk("standalone")),
        (Reply::bulk("role"), Reply::bulk("master")),
        (Reply::bulk("modules"), Reply::Array(Vec::new())),
    ])
}

fn select(session: &mut Session, command: &Command<'_>, greeting: &Greeting) -> Reply {
    match greeting.databases.selected(command) {
        Ok(database) => {
            session.database = database;
            session.changed = true;
            Reply::OK
        }
        Err(refused) => refused,
    }
}

/// Which databases a client may select.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Databases {
    /// One, of this number: its servers' in a pool.
    Only(u32),
    /// So many, from 0 on.
    Upto(u32),
    /// 0, as at a node of Redis Cluster.
    OfRing,
}

impl Databases {
    /// The database that SELECT names.
    ///
    /// # Errors
    /// The reply to a SELECT that names none of them.
    pub fn selected(self, command: &Command<'_>) -> Result<u32, Reply> {
        let argument = integer(command.arg(1));
        let number = argument.ok_or(Reply::error("ERR value is not an integer or out of range"))?;
        let Ok(number) = i32::try_from(number) else {
            return Err(Reply::error(
                "ERR value is out of range, value must between -2147483648 and 2147483647",
            ));
        };
        let named = u32::try_from(number).ok();
        let is_there = |number: &u32| match self {
            Databases::Only(only) => *number == only,
            Databases::Upto(count) => *number < count,
            Databases::OfRing => *number == 0,
        };
        named.filter(is_there).ok_or(match self {
            Databases::OfRing => Reply::error("ERR SELECT is not allowed in cluster mode"),
            _ => Reply::error("ERR DB index is out of range"),
        })
    }
}

fn reset(session: &mut Session, greeting: &Greeting) -> Reply {
    session.transaction = None;
    session.protocol = Protocol::Resp2;
    session.replies = Replies::On;
    session.name.clear();
    session.database = 0;
    session.changed = true;
    session.authenticated = greeting.access.lets_in();
    session.stays = false;
    Reply::Status("RESET")
}

fn getname(session: &Session) -> Reply {
    match session.name.is_empty() {
        true => Reply::Null,
        false => Reply::bulk(&session.name),
    }
}

fn setname(session: &mut Session, name: &[u8]) -> Reply {
    if name.iter().any(|b| !(b'!'..=b'~').contains(b)) {
        return Reply::error(
            "ERR Client names cannot contain spaces, newlines or special characters.",
        );
    }
    session.name = name.to_vec();
    session.changed = true;
    Reply::OK
}

/// CLIENT NO-EVICT: whether it may be closed when clients take too much memory.
fn no_evict(session: &mut Session, mode: &[u8]) -> Reply {
    session.stays = match mode {
        m if m.eq_ignore_ascii_case(b"on") => true,
        m if m.eq_ignore_ascii_case(b"off") => false,
        _ => return Reply::error("ERR syntax error"),
    };
    session.changed = true;
    Reply::OK
}

fn reply_mode(session: &mut Session, mode: &[u8]) -> Reply {
    session.replies = match mode.to_ascii_lowercase().as_slice() {
        b"on" => Replies::On,
        b"off" => Replies::Off,
        b"skip" if session.replies == Replies::Off => Replies::Off,
        b"skip" => Replies::SkipNext,
        _ => return Reply::error("ERR syntax error"),
    };
    Reply::OK
}
