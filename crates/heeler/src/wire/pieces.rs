//! Bytes that come in pieces, for tests of what reads them.

/// Has the bytes come in pieces of the given sizes, over and over, or as a whole if there is none.
/// After each, `read` gets what has come and was not read, and takes from it what it reads.
pub fn in_pieces<E>(
    bytes: &[u8],
    sizes: &[usize],
    mut read: impl FnMut(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    let (mut buffer, mut rest) = (Vec::new(), bytes);
    let mut sizes = sizes.iter().cycle();
    while !rest.is_empty() {
        let size = sizes.next().copied().unwrap_or(usize::MAX);
        let (piece, after) = rest.split_at(size.clamp(1, rest.len()));
        buffer.extend_from_slice(piece);
        rest = after;
        read(&mut buffer)?;
    }
    Ok(())
}
