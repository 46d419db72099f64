//! What memhashd has answered to curl, recorded: a node has to answer the same.

use super::curl::{Answer, curl};

const RECORDED: &str = include_str!("session.txt");

/// A request, and the answer that was recorded.
struct Exchange {
    url: String,
    args: Vec<String>,
    head: String,
    body: String,
}

/// Numbers are exact here, where Go makes floating-point numbers of them: what was sent, and what
/// memhashd has made of it.
const EXACT: [(&str, &str); 12] = [
    ("\"num\":1.0", "\"num\":1"),
    ("\"big\":9007199254740993", "\"big\":9007199254740992"),
    ("\"data\":1.0", "\"data\":1"),
    ("\"data\":1.50", "\"data\":1.5"),
    ("\"data\":1e3", "\"data\":1000"),
    ("\"data\":1e21", "\"data\":1e+21"),
    ("\"data\":1e20", "\"data\":100000000000000000000"),
    ("\"data\":1e-7", "\"data\":1e-7"),
    ("\"data\":0.000001", "\"data\":0.000001"),
    ("\"data\":123456789012345678", "\"data\":123456789012345680"),
    ("\"data\":9007199254740993", "\"data\":9007199254740992"),
    ("\"data\":-0", "\"data\":-0"),
];

/// Asks what was asked, and compares.
pub fn replay(port: u16) {
    let exchanges = exchanges();
    assert!(exchanges.len() > 100);
    let mut compared = 0;
    for exchange in &exchanges {
        if is_about_nodes(exchange) {
            continue;
        }
        let url = at(port, &exchange.url);
        if url.ends_with("/exp") {
            // Each was tried on a new key.
            curl(&[&url, "-X", "DELETE"]);
        }
        let mut args = vec![url.as_str()];
        args.extend(exchange.args.iter().map(String::as_str));
        if let Some(body) = args.last_mut()
            && let Some(value) = body.strip_suffix(" trailing")
        {
            *body = value;
            assert_trailing_bytes_are_refused(&args);
        }
        let answer = curl(&args);
        compared += 1;
        compare(exchange, &answer);
    }
    assert!(compared > 95, "{compared}");
}

/// Go's decoder leaves alone what follows a value, and so does memhashd: a client that sends two
/// values by mistake is not told that one was lost.
fn assert_trailing_bytes_are_refused(args: &[&str]) {
    let (value, rest) = args.split_last().unwrap();
    let body = format!("{value} trailing");
    let answer = curl(&[rest, &[body.as_str()]].concat());
    let told = "failed to read request body, invalid character 't' after top-level value, at byte";
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains(told), "{}", answer.body);
}

/// What one of three nodes has answered where one alone answers otherwise.
fn is_about_nodes(exchange: &Exchange) -> bool {
    let url = &exchange.url;
    url.ends_with("/v1/nodes") || url.ends_with("/v1/keys") && !url.contains(":8001")
}

/// The same address at another port.
fn at(port: u16, url: &str) -> String {
    let path = url.find("/v1").unwrap();
    format!("http://127.0.0.1:{port}{}", &url[path..])
}

fn compare(exchange: &Exchange, answer: &Answer) {
    let Exchange { url, args, .. } = exchange;
    let recorded = exchange.head.lines().next().unwrap();
    let status: u16 = recorded.split(' ').nth(1).unwrap().parse().unwrap();
    let accepts_more = match status {
        // curl sends POST where it has a body: memhashd refuses what its own README shows.
        405 => answer.status == 200 && answer.body.contains("\"action\":\"index\""),
        // A number that is too large for Go.
        400 => exchange.body.contains("1e400") && answer.body.contains("\"data\":1e400"),
        _ => false,
    };
    if accepts_more {
        return;
    }
    assert_eq!(answer.status, status, "{url} {args:?}: {}", answer.body);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let mut expected = normal(&exchange.body);
    let got = normal(&answer.body);
    let sent = args.last().cloned().unwrap_or_default().replace(' ', "");
    for (exact, rounded) in EXACT {
        if sent.contains(exact) || url.contains("/keys/2") {
            expected = expected.replacen(&format!("{rounded},"), &format!("{exact},"), 1);
        }
    }
    assert_eq!(got, expected, "{url} {args:?}");
}

/// A body whose times, ids and addresses are all the same.
fn normal(body: &str) -> String {
    let mut out = String::new();
    let mut rest = body.trim_end();
    loop {
        let found = ["_at\":\"2", "\"id\":\"", "\"addr\":\""]
            .iter()
            .filter_map(|mark| rest.find(mark).map(|at| at + mark.len()))
            .min();
        let Some(at) = found else {
            return out + rest;
        };
        out += &rest[..at];
        out += "X";
        rest = &rest[at..];
        rest = &rest[rest.find('"').unwrap()..];
    }
}

fn exchanges() -> Vec<Exchange> {
    let recorded = RECORDED.replace('\r', "");
    let blocks = recorded.split("% curl -i ").skip(1);
    blocks
        .map(|block| {
            let (line, rest) = block.split_once('\n').unwrap();
            let (head, body) = rest.split_once("\n\n").unwrap();
            let body = body.split("\n#####").next().unwrap();
            let (url, args) = arguments(line);
            Exchange {
                url,
                args,
                head: head.into(),
                body: body.trim().into(),
            }
        })
        .collect()
}

/// The arguments of a line that was written without its quotes.
fn arguments(line: &str) -> (String, Vec<String>) {
    let (mut url, mut args) = (String::new(), Vec::new());
    let mut rest = line;
    while !rest.is_empty() {
        let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
        rest = after;
        match word {
            "-X" => {
                let (method, after) = rest.split_once(' ').unwrap_or((rest, ""));
                args.extend(["-X".into(), method.into()]);
                rest = after;
            }
            "-H" => {
                let header = "Content-Type: application/json";
                args.extend(["-H".into(), header.into()]);
                rest = rest.strip_prefix(header).unwrap().trim_start();
            }
            "-d" => {
                args.extend(["-d".into(), rest.into()]);
                rest = "";
            }
            _ => url = word.into(),
        }
    }
    (url, args)
}
