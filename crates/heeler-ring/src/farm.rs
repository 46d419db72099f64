//! FarmHash, as far as Ringpop uses it.
//!
//! Ringpop knows two dialects, and a ring's members must all speak the same one:
//!
//! - [`fingerprint32`] is what ringpop-go uses, and ringpop-node when it is told to be
//!   cross-platform.
//! - [`hash32v1`] is ringpop-node's default: `Hash32` of the npm package `farmhash` 1.2 as it is
//!   compiled on an x86-64 machine with SSE4.2 and AES-NI. Here its instructions (CRC32C and
//!   AESIMC among them) are computed in portable code, so it gives the same values everywhere.
//!
//! Both take the raw bytes of a key (UTF-8 in Ringpop), read as little-endian whatever the
//! machine. FarmHash is by Geoff Pike (<https://github.com/google/farmhash>); the names of its
//! parts (`mk`, `na`, `su`) are those of the original.
//!
//! ```
//! use heeler_ring::{fingerprint32, hash32v1};
//!
//! assert_eq!(fingerprint32(b"foo"), 1800414691);
//! assert_eq!(hash32v1(b"foo"), 744360634);
//! ```

/// FarmHash's `Fingerprint32` (`farmhashmk::Hash32`): stable across machines and versions.
#[inline]
pub fn fingerprint32(bytes: &[u8]) -> u32 {
    match bytes.len() {
        0..=4 => mk_0_to_4(bytes),
        5..=12 => mk_5_to_12(bytes),
        13..=24 => mk_13_to_24(bytes),
        _ => mk_over_24(bytes),
    }
}

/// FarmHash's `Fingerprint64` (`farmhashna::Hash64`): stable across machines and versions.
#[inline]
pub fn fingerprint64(bytes: &[u8]) -> u64 {
    match bytes.len() {
        0..=16 => na_0_to_16(bytes),
        17..=32 => na_17_to_32(bytes),
        33..=64 => na_33_to_64(bytes),
        _ => na_over_64(bytes),
    }
}

/// `Hash32` of the npm package `farmhash` 1.2 on x86-64, which ringpop-node uses by default.
///
/// Up to 256 bytes that is the low half of [`fingerprint64`]; beyond, `farmhashsu::Hash32`. Either
/// is then disturbed once more, because the package is compiled without `NDEBUG`, for which
/// FarmHash changes its results on purpose.
#[inline]
pub fn hash32v1(bytes: &[u8]) -> u32 {
    let hash = if bytes.len() <= 256 {
        fingerprint64(bytes) as u32
    } else {
        su_over_256(bytes)
    };
    !hash.wrapping_mul(C1).swap_bytes()
}

const C1: u32 = 0xcc9e_2d51;
const C2: u32 = 0x1b87_3593;
const K0: u64 = 0xc3a5_c85c_97cb_3127;
const K1: u64 = 0xb492_b66f_be98_f273;
const K2: u64 = 0x9ae1_6a3b_2f90_404f;

#[inline]
fn fetch32(bytes: &[u8], at: usize) -> u32 {
    let b = &bytes[at..at + 4];
    u32::from_le_bytes([b[0], b[1], b[2], b[3]])
}

#[inline]
fn fetch64(bytes: &[u8], at: usize) -> u64 {
    let b = &bytes[at..at + 8];
    u64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]])
}

// ---- farmhashmk: 32 bits out of 32-bit arithmetic ----

/// Murmur3's finalizer.
#[inline]
fn fmix(mut h: u32) -> u32 {
    h ^= h >> 16;
    h = h.wrapping_mul(0x85eb_ca6b);
    h ^= h >> 13;
    h = h.wrapping_mul(0xc2b2_ae35);
    h ^ (h >> 16)
}

/// Murmur3's step for one word, without the multiplication of the word.
#[inline]
fn rotate5(h: u32) -> u32 {
    h.rotate_right(19).wrapping_mul(5).wrapping_add(0xe654_6b64)
}

/// Murmur3's step: mixes the word `a` into `h`.
#[inline]
fn mur(a: u32, h: u32) -> u32 {
    rotate5(h ^ scramble(a))
}

#[inline]
fn scramble(a: u32) -> u32 {
    a.wrapping_mul(C1).rotate_right(17).wrapping_mul(C2)
}

#[inline]
fn mk_0_to_4(bytes: &[u8]) -> u32 {
    let mut b = 0u32;
    let mut c = 9u32;
    for &byte in bytes {
        // C's `char`, which is signed.
        b = b.wrapping_mul(C1).wrapping_add(byte as i8 as u32);
        c ^= b;
    }
    fmix(mur(b, mur(bytes.len() as u32, c)))
}

#[inline]
fn mk_5_to_12(bytes: &[u8]) -> u32 {
    let len = bytes.len();
    let b5 = (len as u32).wrapping_mul(5);
    let a = (len as u32).wrapping_add(fetch32(bytes, 0));
    let b = b5.wrapping_add(fetch32(bytes, len - 4));
    let c = 9u32.wrapping_add(fetch32(bytes, (len >> 1) & 4));
    fmix(mur(c, mur(b, mur(a, b5))))
}

#[inline]
fn mk_13_to_24(bytes: &[u8]) -> u32 {
    let len = bytes.len();
    let a = fetch32(bytes, (len >> 1) - 4);
    let b = fetch32(bytes, 4);
    let c = fetch32(bytes, len - 8);
    let d = fetch32(bytes, len >> 1);
    let e = fetch32(bytes, 0);
    let f = fetch32(bytes, len - 4);
    let mut h = d.wrapping_mul(C1).wrapping_add(len as u32);
    let mut a = a.rotate_right(12).wrapping_add(f);
    h = mur(c, h).wrapping_add(a);
    a = a.rotate_right(3).wrapping_add(c);
    h = mur(e, h).wrapping_add(a);
    a = a.wrapping_add(f).rotate_right(12).wrapping_add(d);
    fmix(mur(b, h).wrapping_add(a))
}

fn mk_over_24(bytes: &[u8]) -> u32 {
    let len = bytes.len();
    let tail = |back: usize| scramble(fetch32(bytes, len - back));
    let mut h = len as u32;
    let mut g = C1.wrapping_mul(len as u32);
    let mut f = g.wrapping_add(tail(20));
    h = rotate5(rotate5(h ^ tail(4)) ^ tail(16));
    g = rotate5(rotate5(g ^ tail(8)) ^ tail(12));
    f = f.rotate_right(19).wrapping_add(113);
    // The last block of 1 to 20 bytes has been mixed in as the tail.
    for block in bytes[..len - 1].chunks_exact(20) {
        let [a, b, c, d, e] = std::array::from_fn(|i| fetch32(block, i * 4));
        h = mur(d, h.wrapping_add(a)).wrapping_add(e);
        g = mur(c, g.wrapping_add(b)).wrapping_add(a);
        f = mur(b.wrapping_add(e.wrapping_mul(C1)), f.wrapping_add(c)).wrapping_add(d);
        f = f.wrapping_add(g);
        g = g.wrapping_add(f);
    }
    let whirl = |x: u32| {
        x.rotate_right(11)
            .wrapping_mul(C1)
            .rotate_right(17)
            .wrapping_mul(C1)
    };
    for x in [whirl(g), whirl(f)] {
        h = rotate5(h.wrapping_add(x)).rotate_right(17).wrapping_mul(C1);
    }
    h
}

// ---- farmhashna: 64 bits, portable ----

#[inline]
fn shift_mix(v: u64) -> u64 {
    v ^ (v >> 47)
}

/// Two words and a multiplier to one word, as Murmur does it.
#[inline]
fn hash_16(u: u64, v: u64, mul: u64) -> u64 {
    let a = shift_mix((u ^ v).wrapping_mul(mul));
    shift_mix((v ^ a).wrapping_mul(mul)).wrapping_mul(mul)
}

/// The multiplier for an input of `len` bytes.
#[inline]
fn multiplier(len: usize) -> u64 {
    K2.wrapping_add((len as u64).wrapping_mul(2))
}

#[inline]
fn na_0_to_16(bytes: &[u8]) -> u64 {
    let len = bytes.len();
    let mul = multiplier(len);
    match len {
        8.. => {
            let a = fetch64(bytes, 0).wrapping_add(K2);
            let b = fetch64(bytes, len - 8);
            let c = b.rotate_right(37).wrapping_mul(mul).wrapping_add(a);
            let d = a.rotate_right(25).wrapping_add(b).wrapping_mul(mul);
            hash_16(c, d, mul)
        }
        4.. => {
            let a = u64::from(fetch32(bytes, 0));
            let b = u64::from(fetch32(bytes, len - 4));
            hash_16((len as u64).wrapping_add(a << 3), b, mul)
        }
        1.. => {
            let [a, b, c] = [bytes[0], bytes[len >> 1], bytes[len - 1]].map(u32::from);
            let y = u64::from(a + (b << 8)).wrapping_mul(K2);
            let z = u64::from(len as u32 + (c << 2)).wrapping_mul(K0);
            shift_mix(y ^ z).wrapping_mul(K2)
        }
        0 => K2,
    }
}

#[inline]
fn na_17_to_32(bytes: &[u8]) -> u64 {
    let len = bytes.len();
    let mul = multiplier(len);
    let a = fetch64(bytes, 0).wrapping_mul(K1);
    let b = fetch64(bytes, 8);
    let c = fetch64(bytes, len - 8).wrapping_mul(mul);
    let d = fetch64(bytes, len - 16).wrapping_mul(K2);
    let [u, v] = na_pair(a, b, c, d);
    hash_16(u, v, mul)
}

fn na_33_to_64(bytes: &[u8]) -> u64 {
    let len = bytes.len();
    let mul = multiplier(len);
    let a = fetch64(bytes, 0).wrapping_mul(K2);
    let b = fetch64(bytes, 8);
    let c = fetch64(bytes, len - 8).wrapping_mul(mul);
    let d = fetch64(bytes, len - 16).wrapping_mul(K2);
    let [y, v] = na_pair(a, b, c, d);
    let z = hash_16(y, v, mul);
    let e = fetch64(bytes, 16).wrapping_mul(mul);
    let f = fetch64(bytes, 24);
    let g = y.wrapping_add(fetch64(bytes, len - 32)).wrapping_mul(mul);
    let h = z.wrapping_add(fetch64(bytes, len - 24)).wrapping_mul(mul);
    let u = e
        .wrapping_add(f)
        .rotate_right(43)
        .wrapping_add(g.rotate_right(30))
        .wrapping_add(h);
    let v = e
        .wrapping_add(f.wrapping_add(a).rotate_right(18))
        .wrapping_add(g);
    hash_16(u, v, mul)
}

#[inline]
fn na_pair(a: u64, b: u64, c: u64, d: u64) -> [u64; 2] {
    let u = a
        .wrapping_add(b)
        .rotate_right(43)
        .wrapping_add(c.rotate_right(30))
        .wrapping_add(d);
    let v = a
        .wrapping_add(b.wrapping_add(K2).rotate_right(18))
        .wrapping_add(c);
    [u, v]
}

/// The state of `farmhashna::Hash64` for long inputs: 56 bytes.
struct Na {
    x: u64,
    y: u64,
    z: u64,
    v: [u64; 2],
    w: [u64; 2],
}

impl Na {
    /// Mixes in a block of 64 bytes. The last block has another multiplier and factor.
    #[inline]
    fn mix(&mut self, s: &[u8], mul: u64, factor: u64) {
        let Na { x, y, z, v, w } = self;
        *x = x
            .wrapping_add(*y)
            .wrapping_add(v[0])
            .wrapping_add(fetch64(s, 8));
        *x = x.rotate_right(37).wrapping_mul(mul) ^ w[1].wrapping_mul(factor);
        *y = y.wrapping_add(v[1]).wrapping_add(fetch64(s, 48));
        *y = y.rotate_right(42).wrapping_mul(mul);
        *y = y
            .wrapping_add(v[0].wrapping_mul(factor))
            .wrapping_add(fetch64(s, 40));
        *z = z.wrapping_add(w[0]).rotate_right(33).wrapping_mul(mul);
        *v = na_32_bytes(&s[..32], v[1].wrapping_mul(mul), x.wrapping_add(w[0]));
        *w = na_32_bytes(
            &s[32..64],
            z.wrapping_add(w[1]),
            y.wrapping_add(fetch64(s, 16)),
        );
        std::mem::swap(z, x);
    }
}

/// Thirty-two bytes and two seeds to sixteen bytes, weakly.
#[inline]
fn na_32_bytes(s: &[u8], a: u64, b: u64) -> [u64; 2] {
    let [w, x, y, z] = std::array::from_fn(|i| fetch64(s, i * 8));
    let c = a.wrapping_add(w);
    let b = b.wrapping_add(c).wrapping_add(z).rotate_right(21);
    let a = c.wrapping_add(x).wrapping_add(y);
    [
        a.wrapping_add(z),
        b.wrapping_add(a.rotate_right(44)).wrapping_add(c),
    ]
}

fn na_over_64(bytes: &[u8]) -> u64 {
    const SEED: u64 = 81;
    let len = bytes.len();
    let y = SEED.wrapping_mul(K1).wrapping_add(113);
    let mut state = Na {
        x: SEED.wrapping_mul(K2).wrapping_add(fetch64(bytes, 0)),
        y,
        z: shift_mix(y.wrapping_mul(K2).wrapping_add(113)).wrapping_mul(K2),
        v: [0; 2],
        w: [0; 2],
    };
    // All blocks but the last, which may be a whole one.
    for block in bytes[..len - 1].chunks_exact(64) {
        state.mix(block, K1, 1);
    }
    let mul = K1.wrapping_add((state.z & 0xff) << 1);
    state.w[0] = state.w[0].wrapping_add(((len - 1) & 63) as u64);
    state.v[0] = state.v[0].wrapping_add(state.w[0]);
    state.w[0] = state.w[0].wrapping_add(state.v[0]);
    state.mix(&bytes[len - 64..], mul, 9);
    let Na { x, y, z, v, w } = state;
    let first = hash_16(v[0], w[0], mul)
        .wrapping_add(shift_mix(y).wrapping_mul(K0))
        .wrapping_add(z);
    hash_16(first, hash_16(v[1], w[1], mul).wrapping_add(x), mul)
}

// ---- farmhashsu: SSE4.2 and AES-NI, in portable code ----

/// A 128-bit register as four 32-bit lanes, the lowest first.
type Lanes = [u32; 4];

/// The state of `farmhashsu::Hash32` for inputs of 80 bytes or more.
struct Su {
    h: Lanes,
    g: Lanes,
    f: Lanes,
    k: Lanes,
    q: Lanes,
}

/// `farmhashsu::Hash32` for the lengths for which [`hash32v1`] needs it.
fn su_over_256(bytes: &[u8]) -> u32 {
    const SEED: u32 = 81;
    let len = bytes.len();
    let g = [C1.wrapping_mul(SEED); 4];
    let mut state = Su {
        h: [SEED; 4],
        g,
        f: g,
        k: [0xe654_6b64; 4],
        q: g,
    };
    let blocks = (len - 1) / 80;
    for block in bytes[..blocks * 80].chunks_exact(80) {
        state.mix(block);
    }
    let rest = len - blocks * 80;
    state.h = add(state.h, [rest as u32; 4]);
    state.mix(&bytes[len - 80..]);
    state.finish()
}

impl Su {
    /// Mixes in a block of 80 bytes.
    fn mix(&mut self, block: &[u8]) {
        let Su { h, g, f, k, q } = self;
        let [a, b, c, d, e] = std::array::from_fn(|i| load(block, i * 16));
        *h = add(*h, a);
        *g = rotate_lanes(add(*g, b));
        *f = add(*f, c);
        let be = add(b, mul(e, C1));
        *h = add(*h, *f);
        *f = add(*f, *h);
        *h = add(*h, d);
        *q = add(*q, e);
        *h = mul(h.map(|lane| lane.rotate_left(17)), C1);
        *k = xor(*k, shuffle_bytes(*g, *f));
        *g = add(xor(c, *g), a);
        *f = add(xor(be, *f), d);
        std::mem::swap(f, q);
        *q = q.map(inverse_mix_column);
        *k = add(*k, be);
        *k = add(*k, shuffle_bytes(*f, *h));
        *f = add(*f, *g);
        *g = add(*g, *f);
        *f = mul(*f, C1);
    }

    fn finish(self) -> u32 {
        let Su {
            mut h,
            mut g,
            mut f,
            mut k,
            q,
        } = self;
        g = rotate_lanes(g);
        k = mul(xor(xor(k, g), q), C2);
        h = mul(xor(h, q), C2);
        f = mul(f, C1);
        g = mul(g, C1);
        k = add(k, shuffle_bytes(g, f));
        h = add(h, f);
        f = add(f, h);
        g = add(g, k);
        k = add(k, g);
        k = xor(k, shuffle_bytes(f, h));
        let x = crc32c(crc32c(f[0], f[3]), g[2]);
        let o = crc32c(crc32c(f[1], g[0]).wrapping_mul(C1), g[3]);
        let z = crc32c(crc32c(f[2].wrapping_mul(C1), g[1]), k[0]);
        let x = crc32c(x.wrapping_mul(C1), k[1]);
        let y = crc32c(o, k[2]);
        let z = crc32c(z.wrapping_mul(C1), k[3]);
        let x = crc32c(crc32c(x, h[0]), h[3]);
        let y = crc32c(y.wrapping_mul(C1), h[1]);
        let z = crc32c(z, h[2]);
        o.wrapping_sub(x)
            .wrapping_add(y)
            .wrapping_sub(z)
            .wrapping_mul(C1)
    }
}

fn load(bytes: &[u8], at: usize) -> Lanes {
    std::array::from_fn(|lane| fetch32(bytes, at + lane * 4))
}

fn add(x: Lanes, y: Lanes) -> Lanes {
    std::array::from_fn(|i| x[i].wrapping_add(y[i]))
}

fn xor(x: Lanes, y: Lanes) -> Lanes {
    std::array::from_fn(|i| x[i] ^ y[i])
}

fn mul(x: Lanes, by: u32) -> Lanes {
    x.map(|lane| lane.wrapping_mul(by))
}

/// PSHUFD with 0321: the lanes move down by one, the lowest becomes the highest.
fn rotate_lanes([a, b, c, d]: Lanes) -> Lanes {
    [b, c, d, a]
}

/// PSHUFB: each byte of `control` names the byte of `x` to take its place; a byte of 0x80 or
/// more gives 0.
fn shuffle_bytes(x: Lanes, control: Lanes) -> Lanes {
    control.map(|lane| {
        u32::from_le_bytes(lane.to_le_bytes().map(|byte| match byte {
            0x80.. => 0,
            _ => x[usize::from(byte >> 2) & 3].to_le_bytes()[usize::from(byte) & 3],
        }))
    })
}

/// One column of AESIMC: AES's InvMixColumns, the matrix of 14, 11, 13, 9 over GF(2^8).
fn inverse_mix_column(column: u32) -> u32 {
    /// Doubles each of the four bytes in GF(2^8).
    fn double(x: u32) -> u32 {
        ((x & 0x7f7f_7f7f) << 1) ^ (((x >> 7) & 0x0101_0101) * 0x1b)
    }
    let two = double(column);
    let four = double(two);
    let eight = double(four);
    let nine = eight ^ column;
    (eight ^ four ^ two)
        ^ (nine ^ two).rotate_right(8)
        ^ (nine ^ four).rotate_right(16)
        ^ nine.rotate_right(24)
}

/// The instruction CRC32 for a 32-bit word: CRC-32C without the inversions.
fn crc32c(crc: u32, word: u32) -> u32 {
    let step = |crc: u32, _| (crc >> 8) ^ CRC32C_TABLE[crc as usize & 0xff];
    (0..4).fold(crc ^ word, step)
}

/// The CRC-32C table (Castagnoli's polynomial, least significant bit first).
const CRC32C_TABLE: [u32; 256] = crate::slots::reflected_crc_table(0x82f6_3b78);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_values_that_the_protocol_documents_name() {
        let three = b"127.0.0.1:3100;127.0.0.1:3101;127.0.0.1:3102";
        assert_eq!(fingerprint32(three), 3000583097);
        assert_eq!(fingerprint32(b""), 3696677242);
        assert_eq!(fingerprint32(b"foo"), 1800414691);
        assert_eq!(hash32v1(b"foo"), 744360634);
        assert_eq!(hash32v1(b""), 12864499);
    }

    #[test]
    fn aesimc_agrees_with_the_example_of_fips_197() {
        // FIPS-197, section 5.1.3's MixColumns of db 13 53 45 is 8e 4d a1 bc.
        let mixed = u32::from_le_bytes([0x8e, 0x4d, 0xa1, 0xbc]);
        let plain = u32::from_le_bytes([0xdb, 0x13, 0x53, 0x45]);
        assert_eq!(inverse_mix_column(mixed), plain);
    }

    #[test]
    fn crc32c_agrees_with_the_check_value() {
        // "12345678" in two words; the check value of CRC-32C is inverted at both ends.
        let words = [b"1234", b"5678"].map(|word| u32::from_le_bytes(*word));
        let crc = words.into_iter().fold(!0, crc32c);
        assert_eq!(!crc, 0x6087_809a);
    }
}
