//! Who may come in: AUTH, and what is refused before it.

use std::sync::Arc;

use super::{Password, Session};
use crate::command::{Command, Id, Reply};
use crate::config::Secret;

/// What a client must say before anything else.
#[derive(Clone, Debug)]
pub enum Access {
    /// A store's password, where it has one.
    Store(Arc<Password>),
    /// The pool's `redis_auth`, where it has one.
    Pool(Option<Secret>),
}

const WRONG_PAIR: &str = "WRONGPASS invalid username-password pair or user is disabled.";

impl Access {
    /// Whether a connection that begins now is in for good, as with a Redis without a password. Of
    /// a pool that has got one by a reload, all are asked for it.
    pub fn lets_in(&self) -> bool {
        match self {
            Access::Store(password) => !password.is_set(),
            Access::Pool(_) => false,
        }
    }

    /// Whether a connection has still to say a store's password.
    #[inline]
    pub fn misses(&self, session: &Session) -> bool {
        !session.authenticated && matches!(self, Access::Store(password) if password.is_set())
    }

    /// The refusal of a command that comes before the password. A pool's is in nutcracker's words.
    #[inline]
    pub fn refuses(&self, session: &Session, id: Id) -> Option<Reply> {
        match session.authenticated {
            true => None,
            false => self.refuses_stranger(id),
        }
    }

    fn refuses_stranger(&self, id: Id) -> Option<Reply> {
        match (self, id) {
            (Access::Pool(None), _) => None,
            (Access::Store(password), _) if !password.is_set() => None,
            (_, Id::Auth | Id::Hello | Id::Quit | Id::Reset) => None,
            (Access::Store(_), _) => Some(Reply::error("NOAUTH Authentication required.")),
            (Access::Pool(_), _) => Some(Reply::error("NOAUTH Authentication required")),
        }
    }

    /// AUTH \[user\] password.
    pub(super) fn auth(&self, session: &mut Session, command: &Command<'_>) -> Reply {
        match (self, command.len()) {
            (Access::Store(password), 2) if !password.is_set() => Reply::error(
                "ERR AUTH <password> called without any password configured for the default \
                 user. Are you sure your configuration is correct?",
            ),
            (Access::Pool(None), 2) => Reply::error("ERR Client sent AUTH, but no password is set"),
            (Access::Pool(Some(secret)), 2) => {
                session.authenticated = secret.is(command.arg(1));
                match session.authenticated {
                    true => Reply::OK,
                    false => Reply::error("ERR invalid password"),
                }
            }
            (Access::Store(_), 2) => match self.log_in(session, b"default", command.arg(1)) {
                Ok(()) => Reply::OK,
                Err(refused) => refused,
            },
            (_, 3) => match self.log_in(session, command.arg(1), command.arg(2)) {
                Ok(()) => Reply::OK,
                Err(refused) => refused,
            },
            _ => Reply::error("ERR syntax error"),
        }
    }

    /// A user and a password, as HELLO and AUTH give them. There is one user, `default`; without a
    /// password he may give any.
    ///
    /// # Errors
    /// They are not right: Redis's reply.
    pub fn log_in(&self, session: &mut Session, user: &[u8], password: &[u8]) -> Result<(), Reply> {
        let right = match self {
            Access::Store(expected) => expected.is(password),
            Access::Pool(None) => true,
            Access::Pool(Some(secret)) => secret.is(password),
        };
        if user != b"default" || !right {
            return Err(Reply::error(WRONG_PAIR));
        }
        session.authenticated = true;
        Ok(())
    }
}
