//! Which connections CLIENT KILL and CLIENT LIST mean.

use super::clients::Client;
use crate::command::number::integer;
use crate::command::{Command, Reply};
use crate::pubsub::Exchange;

/// The types of clients, as CLIENT LIST and KILL name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Normal,
    Pubsub,
    /// A server of the same keys: there is none.
    Server,
}

impl Kind {
    pub(super) fn parse(word: &[u8]) -> Result<Kind, Reply> {
        match word.to_ascii_lowercase().as_slice() {
            b"normal" => Ok(Kind::Normal),
            b"pubsub" => Ok(Kind::Pubsub),
            b"master" | b"replica" | b"slave" => Ok(Kind::Server),
            _ => {
                let word = String::from_utf8_lossy(word);
                Err(Reply::error(format!("ERR Unknown client type '{word}'")))
            }
        }
    }

    pub(super) fn of(listens: [usize; 3]) -> Kind {
        match listens == [0; 3] {
            true => Kind::Normal,
            false => Kind::Pubsub,
        }
    }
}

/// Which connections CLIENT KILL closes.
#[derive(Debug)]
pub(super) struct Filter<'a> {
    pub(super) id: Option<u64>,
    pub(super) address: Option<&'a [u8]>,
    pub(super) local: Option<&'a [u8]>,
    pub(super) kind: Option<Kind>,
    pub(super) skip_me: bool,
}

impl Default for Filter<'_> {
    fn default() -> Self {
        Filter {
            id: None,
            address: None,
            local: None,
            kind: None,
            skip_me: true,
        }
    }
}

impl<'a> Filter<'a> {
    pub(super) fn parse(command: &Command<'a>) -> Result<Filter<'a>, Reply> {
        let mut filter = Filter::default();
        let mut words = command.args(2);
        while let Some(word) = words.next() {
            let Some(value) = words.next() else {
                return Err(Reply::error("ERR syntax error"));
            };
            match word.to_ascii_lowercase().as_slice() {
                b"id" => match integer(value).filter(|&id| id > 0) {
                    Some(id) => filter.id = Some(id as u64),
                    None => {
                        return Err(Reply::error("ERR client-id should be greater than 0"));
                    }
                },
                b"addr" => filter.address = Some(value),
                b"laddr" => filter.local = Some(value),
                b"user" if value == b"default" => {}
                b"user" => {
                    let user = String::from_utf8_lossy(value);
                    return Err(Reply::error(format!("ERR No such user '{user}'")));
                }
                b"type" => filter.kind = Some(Kind::parse(value)?),
                b"skipme" => match value.to_ascii_lowercase().as_slice() {
                    b"yes" => filter.skip_me = true,
                    b"no" => filter.skip_me = false,
                    _ => return Err(Reply::error("ERR syntax error")),
                },
                _ => return Err(Reply::error("ERR syntax error")),
            }
        }
        Ok(filter)
    }

    pub(super) fn takes(&self, client: &Client, me: u64, exchange: &Exchange) -> bool {
        !(self.skip_me && client.id == me)
            && self
                .kind
                .is_none_or(|kind| kind == Kind::of(exchange.counts(client.id)))
            && self.id.is_none_or(|id| id == client.id)
            && self
                .address
                .is_none_or(|a| a == client.origin.address().as_bytes())
            && self.local.is_none_or(|a| a == client.local.as_bytes())
    }
}
