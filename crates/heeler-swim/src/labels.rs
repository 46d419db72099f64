//! What a member says of itself beside its address.

use std::collections::BTreeMap;

use heeler_ring::fingerprint32;

use crate::limits;

/// Names and values that a member carries along, as in ringpop-go.
///
/// Keys that begin with `__` are internal: they are not counted and may be longer. The one in use
/// is [`Labels::IDENTITY`].
///
/// ```
/// use heeler_swim::Labels;
///
/// let mut labels = Labels::default();
/// labels.set("zone", "a").unwrap();
/// assert_eq!(labels.get("zone"), Some("a"));
/// assert!(labels.set("a key that has more than 32 bytes", "").is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Labels(BTreeMap<String, String>);

/// Why a label is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// There are as many as there may be.
    #[error("there are {max} labels already, and no more are allowed", max = limits::LABELS)]
    TooMany,
    /// The key is too long.
    #[error("the key {0:?} of a label is longer than {max} bytes", max = limits::LABEL_KEY_BYTES)]
    Key(String),
    /// The value is too long.
    #[error("the value of label {0:?} is longer than {max} bytes", max = limits::LABEL_VALUE_BYTES)]
    Value(String),
    /// The key belongs to the protocol.
    #[error("the key {0:?} of a label begins with __: such keys are internal")]
    Internal(String),
}

impl Labels {
    /// The label of a member's identity: its name on the ring in the place of its address.
    pub const IDENTITY: &'static str = "__identity";
    const INTERNAL: &'static str = "__";

    /// Sets an application's label.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), LabelError> {
        if key.starts_with(Labels::INTERNAL) {
            return Err(LabelError::Internal(key.into()));
        }
        if key.len() > limits::LABEL_KEY_BYTES {
            return Err(LabelError::Key(key.into()));
        }
        if value.len() > limits::LABEL_VALUE_BYTES {
            return Err(LabelError::Value(key.into()));
        }
        let public = self
            .0
            .keys()
            .filter(|key| !key.starts_with(Labels::INTERNAL));
        if !self.0.contains_key(key) && public.count() >= limits::LABELS {
            return Err(LabelError::TooMany);
        }
        self.insert(key.into(), value.into());
        Ok(())
    }

    /// Removes a label. Returns whether there was one.
    pub fn remove(&mut self, key: &str) -> bool {
        self.0.remove(key).is_some()
    }

    /// The value of a label.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// The identity, if it is not the address.
    pub fn identity(&self) -> Option<&str> {
        self.get(Labels::IDENTITY)
    }

    /// Keys and values, sorted by key.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// ringpop-go's checksum, as it stands in its membership checksum; 0 if there are no labels.
    pub fn checksum(&self) -> i32 {
        let mut bytes = Vec::new();
        let sum = self.iter().fold(0, |sum, (key, value)| {
            bytes.clear();
            for part in [key, value] {
                bytes.extend_from_slice(&(part.len() as u32).to_be_bytes());
                bytes.extend_from_slice(part.as_bytes());
            }
            sum ^ fingerprint32(&bytes)
        });
        sum as i32
    }

    /// Sets any label, without a look at the limits.
    pub(crate) fn insert(&mut self, key: String, value: String) {
        self.0.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_those_of_ringpop_go_and_leave_internal_labels_out() {
        let mut labels = Labels::default();
        labels.insert(Labels::IDENTITY.into(), "x".repeat(500));
        for i in 0..5 {
            labels.set(&format!("{i:032}"), &"v".repeat(128)).unwrap();
        }
        assert_eq!(labels.set("6", ""), Err(LabelError::TooMany));
        labels.set(&format!("{:032}", 4), "again").unwrap();
        assert!(labels.remove(&format!("{:032}", 4)));
        assert_eq!(
            labels.set(&"k".repeat(33), ""),
            Err(LabelError::Key("k".repeat(33)))
        );
        assert_eq!(
            labels.set("k", &"v".repeat(129)),
            Err(LabelError::Value("k".into()))
        );
        assert_eq!(
            labels.set("__k", ""),
            Err(LabelError::Internal("__k".into()))
        );
    }

    #[test]
    fn the_checksum_is_the_xor_over_labels() {
        let sum = |labels: &[(&str, &str)]| {
            let mut all = Labels::default();
            labels
                .iter()
                .for_each(|(key, value)| all.insert((*key).into(), (*value).into()));
            all.checksum()
        };
        assert_eq!(sum(&[]), 0);
        let one = fingerprint32(b"\0\0\0\x03key\0\0\0\x05value") as i32;
        assert_eq!(sum(&[("key", "value")]), one);
        assert_eq!(sum(&[("key", "value"), ("a", "")]), one ^ sum(&[("a", "")]));
    }
}
