//! What to do where an address cannot be listened on.

use std::io;

/// `cannot listen on ADDRESS: …`, with what to do about it where that is known.
pub fn refused(address: &str, error: &io::Error) -> anyhow::Error {
    let told = format!("cannot listen on {address}: {error}");
    match remedy(error.kind(), address.starts_with('/')) {
        Some(remedy) => anyhow::anyhow!("{told}; {remedy}"),
        None => anyhow::Error::msg(told),
    }
}

/// What to do about an error of this kind. `is_path`: it is a Unix socket's.
pub fn remedy(kind: io::ErrorKind, is_path: bool) -> Option<&'static str> {
    Some(match kind {
        io::ErrorKind::AddrInUse => {
            "another program has it, or another flag of this one: choose another port, or stop \
             that program (`ss -ltnp` lists them)"
        }
        io::ErrorKind::AddrNotAvailable => {
            "this machine has no such address: `ip addr` lists those that it has, 0.0.0.0 is all \
             of them"
        }
        io::ErrorKind::PermissionDenied if is_path => {
            "let the user who runs the process write to the folder"
        }
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 are for root: choose one above, or grant CAP_NET_BIND_SERVICE"
        }
        io::ErrorKind::NotFound if is_path => "create the folder",
        io::ErrorKind::AlreadyExists if is_path => "take the file away, or choose another path",
        _ => return None,
    })
}
