//! Where clients connect, and where servers are: `listen` and the items of `servers`.

use std::net::Ipv6Addr;
use std::ops::Range;

use super::keys::{Draft, Fault, digits};
use super::{Address, Listen, Server};
use crate::config::conceal::quoted;
use crate::config::document::Scalar;

/// What `listen` allows.
pub(super) const LISTEN: &str =
    "write 'listen: host:port', such as 127.0.0.1:22121, or 'listen: /path/of/socket 0660'";
/// What an item of `servers` allows.
pub(super) const SERVER: &str = "write '- host:port:weight name' or '- /path/of/socket:weight \
     name' below 'servers:', such as '- 10.0.0.1:6379:1 server1'; the name may be left out";

/// Longest path of a Unix socket, in bytes: `sun_path` holds 108 with the NUL at its end.
const SOCKET_PATH_BYTES: usize = 107;

/// A server with the place of its line.
pub(super) struct ServerLine {
    pub(super) server: Server,
    pub(super) at: Range<usize>,
}

/// Sets `listen`: `host:port`, split at the last colon, or `/path`, `/path permissions`.
pub(super) fn listen(draft: &mut Draft, value: &Scalar<'_>) -> Result<(), Fault> {
    let listen = match value.text.starts_with('/') {
        true => listen_unix(draft, value)?,
        false => listen_tcp(value)?,
    };
    draft.listen = Some(listen);
    Ok(())
}

fn listen_tcp(value: &Scalar<'_>) -> Result<Listen, Fault> {
    let Some((host, port_text)) = value.text.rsplit_once(':') else {
        let message = format!("{} has no port", quoted(&value.text));
        return Err(Fault::new(value.at.clone(), message));
    };
    let port = port(port_text).ok_or_else(|| {
        let at = value.place_of(host.len() + 1..value.text.len());
        bad_port(port_text, at)
    })?;
    let at = value.place_of(0..host.len());
    if host.is_empty() {
        let help = format!("write 127.0.0.1:{port}, or 0.0.0.0:{port} for every address");
        return Err(Fault::new(value.at.clone(), "the host is missing").help(help));
    }
    if let Some(inner) = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        let help = format!(
            "write it without brackets: {}",
            quoted(&format!("{inner}:{port}"))
        );
        return Err(Fault::new(at, "brackets around an address are not allowed").help(help));
    }
    if host.contains(|c: char| c.is_whitespace() || c.is_control()) {
        let message = format!("the host {} has a blank in it", quoted(host));
        return Err(Fault::new(at, message));
    }
    if !may_be_host(host) {
        let message = format!(
            "{} is neither a name nor an address of a host",
            quoted(host)
        );
        return Err(Fault::new(at, message));
    }
    Ok(Listen::Tcp {
        host: host.to_owned(),
        port,
    })
}

/// False for what no resolver can find. `*` alone is a name to glibc.
fn may_be_host(host: &str) -> bool {
    let address = host.split('%').next().unwrap_or_default();
    let is_letter = |c: char| !c.is_ascii() || c.is_ascii_alphanumeric() || "-._".contains(c);
    host == "*" || address.parse::<Ipv6Addr>().is_ok() || host.chars().all(is_letter)
}

fn listen_unix(draft: &mut Draft, value: &Scalar<'_>) -> Result<Listen, Fault> {
    let (path, mode) = match value.text.rsplit_once(' ') {
        Some((path, mode)) => (path, Some(mode)),
        None => (&*value.text, None),
    };
    let at = value.place_of(0..path.len());
    if path.len() > SOCKET_PATH_BYTES {
        let message = format!("the path has {} bytes", path.len());
        let help = format!("a socket's path has at most {SOCKET_PATH_BYTES}");
        return Err(Fault::new(at, message).help(help));
    }
    if path.contains('\0') {
        return Err(Fault::new(at, "a path cannot hold a NUL"));
    }
    if path.ends_with(' ') {
        let warning = Fault::new(at, format!("the path {} ends in a blank", quoted(path)));
        draft
            .warnings
            .push(warning.help("write one blank before the permissions"));
    }
    let permissions = match mode {
        Some(mode) => permissions(
            draft,
            mode,
            value.place_of(path.len() + 1..value.text.len()),
        )?,
        None => None,
    };
    Ok(Listen::Unix {
        path: path.to_owned(),
        permissions,
    })
}

/// Mode bits in base 8. twemproxy reads as many digits as there are and ignores the rest; 0 leaves
/// the mode to the umask.
fn permissions(draft: &mut Draft, text: &str, at: Range<usize>) -> Result<Option<u32>, Fault> {
    const ALLOWED: &str = "write an octal number from 0001 to 0777, such as 0660";
    let end = text.find(|c| !matches!(c, '0'..='7')).unwrap_or(text.len());
    let mode = match &text[..end] {
        "" => Some(0),
        octal => u32::from_str_radix(octal, 8)
            .ok()
            .filter(|&mode| mode <= 0o777),
    };
    let Some(mode) = mode.filter(|_| !text.starts_with('-')) else {
        let message = format!("the permissions {} are not allowed", quoted(text));
        return Err(Fault::new(at, message).help(ALLOWED));
    };
    if end < text.len() || mode == 0 {
        let message = match mode {
            0 => format!(
                "the permissions {} are ignored, as by twemproxy",
                quoted(text)
            ),
            _ => format!(
                "of the permissions {} only {mode:03o} is used",
                quoted(text)
            ),
        };
        draft.warnings.push(Fault::new(at, message).help(ALLOWED));
    }
    Ok((mode > 0).then_some(mode))
}

fn port(text: &str) -> Option<u16> {
    digits(text)
        .and_then(|port| u16::try_from(port).ok())
        .filter(|&port| port > 0)
}

fn bad_port(text: &str, at: Range<usize>) -> Fault {
    let message = format!("the port {} is not allowed", quoted(text));
    Fault::new(at, message).help("write a number from 1 to 65535")
}

/// Adds a server: `host:port:weight`, `/path:weight`, either with ` name`, read from the right.
pub(super) fn server(draft: &mut Draft, value: &Scalar<'_>) -> Result<(), Fault> {
    let text = &*value.text;
    let (address, name) = match text.rsplit_once(' ') {
        Some((address, name)) => (address, Some(name)),
        None => (text, None),
    };
    let server = match text.starts_with('/') {
        true => unix_server(address, name, value)?,
        false => tcp_server(address, name, value)?,
    };
    draft.warnings.extend(doubts(&server, value));
    draft.servers.push(ServerLine {
        server,
        at: value.at.clone(),
    });
    Ok(())
}

fn tcp_server(text: &str, name: Option<&str>, value: &Scalar<'_>) -> Result<Server, Fault> {
    let parts = text.rsplit_once(':').and_then(|(left, weight)| {
        let (host, port) = left.rsplit_once(':')?;
        Some((host, port, weight))
    });
    let Some((host, port_text, weight_text)) = parts else {
        return Err(unsplit(text, name, value));
    };
    let weight_at = text.len() - weight_text.len()..text.len();
    let weight = weight(weight_text, value, weight_at)?;
    let port = port(port_text).ok_or_else(|| {
        let at = value.place_of(host.len() + 1..host.len() + 1 + port_text.len());
        bad_port(port_text, at)
    })?;
    // An unnamed server's name has the digits as they are written, leading zeros included.
    let canonical = port == 11211 || port_text == port.to_string();
    let placed = match name {
        Some(name) => heeler_ring::Server::named(name, weight),
        None if canonical => heeler_ring::Server::tcp(host, port, weight),
        None => heeler_ring::Server::named(format!("{host}:{port_text}"), weight),
    };
    // As twemproxy does: without a host, this machine is meant.
    let host = if host.is_empty() { "127.0.0.1" } else { host };
    let address = Address::Tcp {
        host: host.to_owned(),
        port,
    };
    Ok(Server {
        name: placed.name,
        is_named: name.is_some(),
        address,
        weight,
    })
}

fn unix_server(text: &str, name: Option<&str>, value: &Scalar<'_>) -> Result<Server, Fault> {
    let Some((path, weight_text)) = text.rsplit_once(':') else {
        return Err(unsplit(text, name, value));
    };
    if path.contains(':') {
        let fault = Fault::new(value.at.clone(), "a path with a colon is not allowed");
        return Err(fault.help("a socket has no port: write '- /path/of/socket:weight name'"));
    }
    let weight = weight(weight_text, value, path.len() + 1..text.len())?;
    let placed = match name {
        Some(name) => heeler_ring::Server::named(name, weight),
        None => heeler_ring::Server::unix(path, weight),
    };
    let address = Address::Unix {
        path: path.to_owned(),
    };
    Ok(Server {
        name: placed.name,
        is_named: name.is_some(),
        address,
        weight,
    })
}

/// A server that has too few colons before its name.
fn unsplit(text: &str, name: Option<&str>, value: &Scalar<'_>) -> Fault {
    let colons = text.matches(':').count();
    let is_socket = text.starts_with('/');
    let fault = |message: &str| Fault::new(value.at.clone(), message);
    let name = name.map(|name| format!(" {name}")).unwrap_or_default();
    match (is_socket, colons) {
        _ if text.trim().is_empty() => fault("the host, the port and the weight are missing"),
        (false, 1) => {
            let fix = format!("{text}:1{name}");
            fault("the weight is missing").help(format!("write {}", quoted(&fix)))
        }
        (true, _) => {
            let fix = format!("{text}:1{name}");
            fault("the weight is missing").help(format!("write {}", quoted(&fix)))
        }
        _ => fault("the port and the weight are missing"),
    }
}

fn weight(text: &str, value: &Scalar<'_>, part: Range<usize>) -> Result<u32, Fault> {
    const ALLOWED: &str = "write a whole number from 1 to 2147483647";
    let fault = |message: String| Err(Fault::new(value.place_of(part), message));
    match digits(text) {
        Some(0) => {
            let fault = Fault::new(value.at.clone(), "the weight is 0");
            Err(fault.help("write 1 or more, or remove the server"))
        }
        Some(weight) => Ok(weight),
        None if value.text.contains('|') => {
            let message = "groups and roles (':weight|group:weight:role') are not supported";
            Err(Fault::new(value.at.clone(), message).help(SERVER))
        }
        None if text.trim() != text => {
            let message = format!("the weight {} has a blank in it", quoted(text));
            fault(message).map_err(|f| f.help("write one blank between the weight and the name"))
        }
        None if text.contains('\t') => {
            let message = format!("a tab follows the weight {}", quoted(text));
            fault(message).map_err(|f| f.help("write a blank between the weight and the name"))
        }
        None => {
            let message = format!("the weight {} is not a number", quoted(text));
            fault(message).map_err(|f| f.help(ALLOWED))
        }
    }
}

/// What is taken, as twemproxy takes it, but cannot work.
fn doubts(server: &Server, value: &Scalar<'_>) -> Option<Fault> {
    let fault = |message: String| Some(Fault::new(value.at.clone(), message));
    let address = value.text.split(' ').next().unwrap_or_default();
    let no_host = address.starts_with(':') && address.matches(':').count() == 2;
    match &server.address {
        _ if server.name.is_empty() => {
            fault("the server's name is empty".to_owned()).map(|f| f.help("remove the last blank"))
        }
        Address::Tcp { port, .. } if no_host => {
            let help = format!("write '127.0.0.1:{port}:{}' to say so", server.weight);
            fault("no host: this machine is used".to_owned()).map(|f| f.help(help))
        }
        Address::Tcp { host, .. } if host.contains(|c: char| c.is_whitespace() || c == '[') => {
            let message = format!("the host {} will not be found", quoted(host));
            fault(message).map(|f| f.help("write it without blanks and brackets"))
        }
        Address::Unix { path } if path.len() > SOCKET_PATH_BYTES => {
            let message = format!(
                "a socket with a path of {} bytes cannot be reached",
                path.len()
            );
            let help = format!("a socket's path has at most {SOCKET_PATH_BYTES} bytes");
            fault(message).map(|f| f.help(help))
        }
        _ if value.text.contains('\n') || server.name.contains(char::is_control) => {
            fault("the server's name has a control character".to_owned())
        }
        _ => None,
    }
}
