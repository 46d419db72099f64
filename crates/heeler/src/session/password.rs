//! The password of a store, which may change while connections are open.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use crate::config::Secret;

/// The password that all doors of a store ask for, if there is one.
#[derive(Debug, Default)]
pub struct Password(ArcSwapOption<Secret>);

impl Password {
    /// With this password, or none.
    pub fn new(secret: Option<Secret>) -> Password {
        let password = Password::default();
        password.set(secret);
        password
    }

    /// Asks for another one from now on, or for none. Who is in stays in.
    pub fn set(&self, secret: Option<Secret>) {
        self.0.store(secret.map(Arc::new));
    }

    /// Whether one is asked for.
    pub fn is_set(&self) -> bool {
        self.0.load().is_some()
    }

    /// Whether a word is the password; where none is asked for any is.
    pub fn is(&self, word: &[u8]) -> bool {
        self.0.load().as_ref().is_none_or(|secret| secret.is(word))
    }

    /// The password itself, for those who have given it.
    pub fn secret(&self) -> Option<Arc<Secret>> {
        self.0.load_full()
    }
}
