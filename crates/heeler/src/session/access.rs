//! Who may come in: AUTH, and what is refused before it.

use super::Session;
use crate::command::{Command, Id, Reply};
use crate::config::Secret;

/// What a client must say before anything else.
#[derive(Clone, Debug)]
pub enum Access {
    /// A node without a password: nothing.
    Open,
    /// The pool's `redis_auth`, where it has one.
    Pool(Option<Secret>),
}

const WRONG_PAIR: &str = "WRONGPASS invalid username-password pair or user is disabled.";

impl Access {
    /// The refusal of a command that comes before the password. A pool's is in nutcracker's words.
    pub fn refuses(&self, session: &Session, id: Id) -> Option<Reply> {
        match (self, id) {
            (Access::Open | Access::Pool(None), _) => None,
            _ if session.authenticated => None,
            (_, Id::Auth | Id::Hello | Id::Quit | Id::Reset) => None,
            _ => Some(Reply::error("NOAUTH Authentication required")),
        }
    }

    /// AUTH \[user\] password.
    pub(super) fn auth(&self, session: &mut Session, command: &Command<'_>) -> Reply {
        match (self, command.len()) {
            (Access::Open, 2) => Reply::error(
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
            (_, 3) => match self.log_in(session, command.arg(1), command.arg(2)) {
                Ok(()) => Reply::OK,
                Err(refused) => refused,
            },
            _ => Reply::error("ERR syntax error"),
        }
    }

    /// A user and a password, as HELLO and AUTH give them. There is one user, `default`; without a
    /// password he may give any.
    pub(super) fn log_in(
        &self,
        session: &mut Session,
        user: &[u8],
        password: &[u8],
    ) -> Result<(), Reply> {
        let right = match self {
            Access::Open | Access::Pool(None) => true,
            Access::Pool(Some(secret)) => secret.is(password),
        };
        if user != b"default" || !right {
            return Err(Reply::error(WRONG_PAIR));
        }
        session.authenticated = true;
        Ok(())
    }
}
