//! memhashd's command line: its flags have one dash.

use std::ffi::OsString;

/// memhashd's flags.
const FLAGS: [&str; 8] = [
    "server-addr",
    "client-addr",
    "join",
    "join-retries",
    "tls-key",
    "tls-cert",
    "num-partitions",
    "help",
];

/// Gives memhashd's flags a second dash where they have one: `-join A`, `-join=A`.
pub fn fold(args: Vec<OsString>) -> Vec<OsString> {
    let folded = |arg: OsString| {
        let flag = arg.to_str().and_then(|arg| arg.strip_prefix('-'));
        let name = flag.map(|flag| flag.split_once('=').map_or(flag, |(name, _)| name));
        match name.is_some_and(|name| FLAGS.contains(&name)) {
            true => {
                let mut long = OsString::from("-");
                long.push(arg);
                long
            }
            false => arg,
        }
    };
    args.into_iter().map(folded).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_of_memhashd_get_their_second_dash() {
        let line = "heeler serve -server-addr :2371 -join=a:1 --join b:2 -help -V --redis -x:1 -j";
        let folded = fold(line.split(' ').map(OsString::from).collect());
        let expected =
            "heeler serve --server-addr :2371 --join=a:1 --join b:2 --help -V --redis -x:1 -j";
        let expected: Vec<OsString> = expected.split(' ').map(OsString::from).collect();
        assert_eq!(folded, expected);
    }
}
