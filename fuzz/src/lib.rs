//! What targets share: bytes that come in pieces.

use std::fmt::Debug;

/// Has the bytes come in pieces of this size. After each, `read` gets what has come and was not
/// read, and takes from it what it reads. Returns how many bytes are left over.
///
/// # Errors
/// That of `read`, after which nothing more comes.
pub fn in_pieces<E>(
    bytes: &[u8],
    piece: usize,
    mut read: impl FnMut(&mut Vec<u8>) -> Result<(), E>,
) -> Result<usize, E> {
    let mut buffer = Vec::new();
    for piece in bytes.chunks(piece) {
        buffer.extend_from_slice(piece);
        read(&mut buffer)?;
    }
    Ok(buffer.len())
}

/// What is read of bytes in pieces of any size, which must be the same for each size: as a whole,
/// in pieces of this size, one by one.
pub fn however_cut<T: PartialEq + Debug>(
    bytes: &[u8],
    piece: u8,
    read: impl Fn(&[u8], usize) -> T,
) -> T {
    let whole = read(bytes, usize::MAX);
    assert_eq!(read(bytes, usize::from(piece).max(1)), whole);
    assert_eq!(read(bytes, 1), whole);
    whole
}
