//! `heeler proxy --explain KEY…`: why a key lies where it lies.

use std::ffi::OsString;
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;

use heeler_ring::{Placement, Server};

use crate::config::pools::{self, Address, Pool};
use crate::{live, proxy};

/// Prints the way of each key in each pool of the file.
///
/// # Errors
/// The file is not right.
pub fn run(options: &proxy::Options, keys: &[OsString]) -> anyhow::Result<()> {
    let file = live::read_alone(&options.flags.conf_file)?;
    for pool in &file.pools {
        print!("{}", table(pool, keys.iter().map(|key| key.as_bytes())));
    }
    Ok(())
}

fn table<'k>(pool: &Pool, keys: impl Iterator<Item = &'k [u8]>) -> String {
    let servers: Vec<Server> = pool.servers.iter().map(pools::Server::placed).collect();
    let placement = Placement::build(
        pool.distribution,
        pool.hash,
        pool.hash_tag,
        &servers,
        |_| true,
    );
    let heads = ["key", "hashed", "hash", "point", "server"].map(String::from);
    let rows: Vec<[String; 5]> = std::iter::once(heads)
        .chain(keys.filter_map(|key| row(pool, &placement, key)))
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..4).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = format!(
        "pool {}: hash {}, distribution {}, {} servers\n",
        pool.name,
        pool.hash.name(),
        pool.distribution.name(),
        servers.len()
    );
    for row in rows {
        for (cell, &width) in row.iter().zip(&widths) {
            let _ = write!(text, "  {cell:width$}");
        }
        let _ = writeln!(text, "  {}", row[4]);
    }
    text
}

fn row(pool: &Pool, placement: &Placement, key: &[u8]) -> Option<[String; 5]> {
    let steps = placement.explain(key, 0)?;
    let server = &pool.servers[steps.server];
    let address = match &server.address {
        Address::Tcp { host, port } => format!("{host}:{port}"),
        Address::Unix { path } => path.clone(),
    };
    let is_random = steps.hash.is_none() && pool.servers.len() > 1;
    let shown = |number: Option<u64>| number.map_or_else(|| "-".into(), |n| n.to_string());
    Some([
        key.escape_ascii().to_string(),
        steps.hashed.escape_ascii().to_string(),
        shown(steps.hash.map(u64::from)),
        shown(steps.point),
        match is_random {
            true => "any, at random".into(),
            false if server.name == address => address,
            false => format!("{} ({address})", server.name),
        },
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(distribution: &str, keys: &[&str]) -> String {
        let text = format!(
            "herd:\n  listen: 127.0.0.1:1\n  hash: fnv1a_64\n  distribution: {distribution}\n  \
             hash_tag: \"{{}}\"\n  redis: true\n  servers:\n   - 127.0.0.1:31001:1\n   \
             - 127.0.0.1:31002:1 two\n"
        );
        let file = pools::parse("f.yml", &text).unwrap_or_else(|invalid| panic!("{invalid}"));
        table(&file.pools[0], keys.iter().map(|key| key.as_bytes()))
    }

    #[test]
    fn each_step_is_shown() {
        assert_eq!(
            shown("modula", &["foo", "{foo}1", "\n"]),
            "\
pool herd: hash fnv1a_64, distribution modula, 2 servers
  key     hashed  hash        point  server
  foo     foo     4275688823  1      127.0.0.1:31001
  {foo}1  foo     4275688823  1      127.0.0.1:31001
  \\n      \\n      2248263901  1      127.0.0.1:31001
"
        );
        assert!(shown("random", &["foo"]).contains("any, at random"));
    }
}
