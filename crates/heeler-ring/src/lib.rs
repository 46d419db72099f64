//! Placement: which server owns a key.
#![forbid(unsafe_code)]
