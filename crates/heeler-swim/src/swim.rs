//! The machine.

use crate::{Config, ConfigError, Input, Now, Output};

/// A member of a cluster.
#[derive(Debug)]
pub struct Swim {
    config: Config,
}

impl Swim {
    /// A member that knows nobody yet. Its seeds start it ([`Input::Seeds`]).
    pub fn new(config: Config, now: Now, seed: u64) -> Result<Swim, ConfigError> {
        config.check()?;
        let _ = (now, seed);
        Ok(Swim { config })
    }

    /// Takes what happened, and appends what follows from it.
    pub fn handle(&mut self, now: Now, input: Input<'_>, out: &mut Vec<Output>) {
        let _ = (now, input, out);
    }

    /// Does what is due.
    pub fn wake(&mut self, now: Now, out: &mut Vec<Output>) {
        let _ = (now, out);
    }

    /// When [`Swim::wake`] is to be called next, by the clock of [`Now::ms`].
    pub fn next_wake(&self) -> Option<u64> {
        None
    }

    /// What it was made with.
    pub fn config(&self) -> &Config {
        &self.config
    }
}
