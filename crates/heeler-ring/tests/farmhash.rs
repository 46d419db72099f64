//! FarmHash against the values of the original, at every length where it changes its ways.

use heeler_ring::{fingerprint32, fingerprint64, hash32v1};
use serde::Deserialize;

/// One input with its hashes. The file's `h32`, a later build of the package, is not offered.
#[derive(Deserialize)]
struct Row {
    hex: String,
    fp32: u32,
    fp64: String,
    v1: u32,
}

#[test]
fn every_length_gives_the_values_of_the_original() {
    let rows: Vec<Row> = serde_json::from_str(include_str!("vectors/farmhash.json")).unwrap();
    for row in rows {
        let bytes = from_hex(&row.hex);
        let len = bytes.len();
        assert_eq!(
            fingerprint32(&bytes),
            row.fp32,
            "fingerprint32, {len} bytes"
        );
        assert_eq!(
            fingerprint64(&bytes).to_string(),
            row.fp64,
            "fingerprint64, {len} bytes"
        );
        assert_eq!(hash32v1(&bytes), row.v1, "hash32v1, {len} bytes");
    }
}

fn from_hex(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}
