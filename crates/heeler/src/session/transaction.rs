//! MULTI … EXEC: commands that are queued to run as one.

use super::Session;
use crate::command::{Command, Flags, Id, OwnedCommand, Reply};
use crate::limits;

/// The commands queued since MULTI.
#[derive(Debug, Default)]
pub struct Transaction {
    /// In the order they came.
    pub commands: Vec<OwnedCommand>,
    /// So many bytes were they, as they came.
    pub bytes: usize,
    /// A command was refused: EXEC shall run nothing.
    pub spoiled: bool,
}

/// What becomes of a command before it goes anywhere.
#[derive(Debug)]
pub enum Admission {
    /// It runs now.
    Run,
    /// It was queued, or refused: this is the answer.
    Answer(Reply),
}

impl Session {
    /// Whether a command is queued in a transaction, or refused there, and does not run now.
    pub fn queues(&self, command: &Command<'_>) -> bool {
        let runs = matches!(
            command.spec.id,
            Id::Exec | Id::Discard | Id::Multi | Id::Watch | Id::Quit | Id::Reset
        );
        self.transaction.is_some() && !runs
    }

    /// Queues a command in a transaction; outside of one, lets it pass.
    pub fn admit(&mut self, command: &Command<'_>) -> Admission {
        let is_queued = self.queues(command);
        let Some(transaction) = self.transaction.as_mut().filter(|_| is_queued) else {
            return Admission::Run;
        };
        match () {
            () if command.spec.flags.has(Flags::NO_MULTI) => {
                transaction.spoiled = true;
                Admission::Answer(Reply::error("ERR Command not allowed inside a transaction"))
            }
            () if transaction.commands.len() >= limits::TRANSACTION_COMMANDS => {
                transaction.spoiled = true;
                Admission::Answer(Reply::error("ERR too many commands in one transaction"))
            }
            () => {
                transaction.commands.push(command.to_owned());
                transaction.bytes += command.raw().len();
                Admission::Answer(Reply::Status("QUEUED"))
            }
        }
    }

    /// A command was refused before it could be queued: EXEC shall run nothing.
    pub fn spoil(&mut self) {
        if let Some(transaction) = &mut self.transaction {
            transaction.spoiled = true;
        }
    }

    /// MULTI.
    pub fn begin_transaction(&mut self) -> Reply {
        if self.transaction.is_some() {
            return Reply::error("ERR MULTI calls can not be nested");
        }
        self.transaction = Some(Transaction::default());
        Reply::OK
    }

    /// The commands that EXEC shall run.
    ///
    /// # Errors
    /// The reply of an EXEC that runs nothing.
    pub fn end_transaction(&mut self) -> Result<Vec<OwnedCommand>, Reply> {
        match self.transaction.take() {
            None => Err(Reply::error("ERR EXEC without MULTI")),
            Some(Transaction { spoiled: true, .. }) => Err(Reply::error(
                "EXECABORT Transaction discarded because of previous errors.",
            )),
            Some(Transaction { commands, .. }) => Ok(commands),
        }
    }

    /// DISCARD.
    pub fn discard_transaction(&mut self) -> Reply {
        match self.transaction.take() {
            None => Reply::error("ERR DISCARD without MULTI"),
            Some(_) => Reply::OK,
        }
    }
}
