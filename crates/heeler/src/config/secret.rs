//! Passwords, which no log, error or admin page may show.

use std::fmt;

/// A password. Its `Debug` form does not show it, and it has no `Display` form.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a password.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// Whether a client's word is the password. How long it takes tells nothing of where they
    /// differ.
    pub fn is(&self, word: &[u8]) -> bool {
        let same = self
            .0
            .bytes()
            .zip(word)
            .fold(0, |sum, (a, b)| sum | (a ^ b));
        same == 0 && self.0.len() == word.len()
    }

    /// The password itself, for the one place that sends or compares it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_hides_it() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret:?}"), "Secret(hidden)");
        assert_eq!(
            format!("{:#?}", Some(&secret)).matches("hunter2").count(),
            0
        );
        assert_eq!(secret.expose(), "hunter2");
        assert!(secret.is(b"hunter2"));
        for word in ["", "hunter", "hunter22", "Hunter2"] {
            assert!(!secret.is(word.as_bytes()), "{word}");
        }
    }
}
