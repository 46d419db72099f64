//! Flags to a call.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail, ensure};
use bytes::{Bytes, BytesMut};
use heeler_ringpop::channel::{Headers, Request};
use heeler_tchannel::Pairs;
use heeler_tchannel::scheme::http::RequestHead;
use serde_json::Value as Json;

use super::flags::Flags;
use super::json;
use super::thrift::{Endpoint, Idl, health};
use crate::limits;

/// A call, and how its answer is to be read.
#[derive(Debug)]
pub struct Plan {
    /// What is sent.
    pub request: Request,
    /// How the answer is shown.
    pub reading: Reading,
}

/// How an answer is to be read.
#[derive(Debug)]
pub enum Reading {
    /// As it is.
    Raw,
    /// As JSON.
    Json,
    /// As the response to an HTTP request.
    Http,
    /// As what a function returns: the IDL, and the function in it.
    Thrift(Box<Idl>, String),
    /// As the answer to whether all is well.
    Health,
}

/// Makes the call that the flags ask for. Reads files and standard input if they say so.
///
/// # Errors
///
/// Words that are missing or too many; a body that is not what its scheme asks for; files that
/// cannot be read.
pub fn plan(flags: &Flags) -> anyhow::Result<Plan> {
    let mut words = flags.words.iter();
    let mut named = |flag: &Option<String>, what: &str| match flag {
        Some(name) => Ok(name.clone()),
        None => {
            let word = words.next().and_then(|word| word.to_str());
            word.map(String::from)
                .with_context(|| format!("say {what}"))
        }
    };
    let service = named(
        &flags.service,
        "which service is called: SERVICE ENDPOINT [BODY]",
    )?;
    if flags.health {
        ensure!(
            words.next().is_none(),
            "--health takes the service and nothing else"
        );
        return Ok(Plan {
            request: Request {
                service: service.into(),
                headers: headers(flags, "thrift")?,
                arg1: health::ENDPOINT.into(),
                arg2: pairs(&Pairs::default())?,
                arg3: health::arguments(),
                ..Request::default()
            },
            reading: Reading::Health,
        });
    }
    let what = "which endpoint is called: SERVICE ENDPOINT [BODY], or --health";
    let endpoint = named(&flags.endpoint, what)?;
    let word = words.next();
    if let Some(more) = words.next() {
        let more = more.display();
        bail!("{more} is a word too many: write SERVICE ENDPOINT [BODY], the body in quotes");
    }
    let given = Given::of(flags, word)?;
    let (scheme, reading, args) = given.args(flags, &service, &endpoint)?;
    let (arg1, arg2, arg3) = args;
    Ok(Plan {
        request: Request {
            service: service.into(),
            headers: headers(flags, scheme)?,
            arg1,
            arg2,
            arg3,
            ..Request::default()
        },
        reading,
    })
}

fn headers(flags: &Flags, scheme: &str) -> anyhow::Result<Headers> {
    let pairs = [
        ("as", Some(scheme)),
        ("cn", Some(flags.caller.as_str())),
        ("sk", flags.shard_key.as_deref()),
        ("rd", flags.routing_delegate.as_deref()),
    ];
    let given = pairs
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)));
    Ok(Headers::new(given)?)
}

/// A head and a body as they were given.
struct Given {
    head: Option<Vec<u8>>,
    body: Option<Vec<u8>>,
    /// Whether the body was a word: then it may be a string without quotes.
    is_word: bool,
}

type Args = (Bytes, Bytes, Bytes);

impl Given {
    fn of(flags: &Flags, word: Option<&OsString>) -> anyhow::Result<Self> {
        let from_stdin = |text: &Option<OsString>| text.as_deref() == Some(OsStr::new("-"));
        if from_stdin(&flags.head) && from_stdin(&flags.body) {
            bail!("the head and the body cannot both come from standard input");
        }
        let head = flags.head.as_deref().map(content).transpose();
        let head = head.context("the head (arg2)")?;
        let body = match (&flags.body, word) {
            (Some(_), Some(word)) => {
                let word = word.display();
                bail!("the body is given twice: as the word {word} and with -3");
            }
            (Some(body), None) => Some(content(body).context("the body (arg3)")?),
            (None, word) => word.map(|word| word.clone().into_vec()),
        };
        let is_word = word.is_some();
        Ok(Given {
            head,
            body,
            is_word,
        })
    }

    /// The name of the scheme, and the three args.
    fn args(
        self,
        flags: &Flags,
        service: &str,
        endpoint: &str,
    ) -> anyhow::Result<(&'static str, Reading, Args)> {
        let arg1 = Bytes::from(endpoint.to_owned());
        let scheme = &flags.scheme;
        if scheme.raw {
            let arg = |given: Option<Vec<u8>>| Bytes::from(given.unwrap_or_default());
            return Ok(("raw", Reading::Raw, (arg1, arg(self.head), arg(self.body))));
        }
        if let Some(method) = &scheme.http {
            let head = RequestHead {
                method: method.clone().into(),
                url: arg1,
                headers: self.head_pairs()?,
            };
            let arg3 = Bytes::from(self.body.unwrap_or_default());
            return Ok(("http", Reading::Http, (Bytes::new(), head.encode()?, arg3)));
        }
        if scheme.json || (scheme.thrift.is_none() && !endpoint.contains("::")) {
            let arg2 = match &self.head {
                Some(head) => json::compact(text(head, "the head (arg2)")?)
                    .context("the head (arg2) is no JSON; with --raw it is sent as it is")?,
                None => String::new(),
            };
            let arg3 = self.json_body()?;
            return Ok(("json", Reading::Json, (arg1, arg2.into(), arg3.into())));
        }
        let Some(thrift) = &scheme.thrift else {
            bail!(
                "{endpoint} looks like a function of Thrift: say with -t FILE where its IDL is, or \
                 with --json that it takes JSON"
            );
        };
        let idl = Box::new(Idl::load(&idl_file(thrift, service)?, !scheme.no_strict)?);
        let function = Endpoint::of(&idl, endpoint).with_context(|| no_such(&idl, endpoint))?;
        let body: Json = serde_json::from_str(&self.json_body()?)?;
        let arg3 = function.arguments(&body);
        let arg3 = arg3.map_err(|bad| anyhow!("the body (arg3) does not fit the IDL: {bad}"))?;
        let arg2 = pairs(&self.head_pairs()?)?;
        let reading = Reading::Thrift(idl, endpoint.into());
        Ok(("thrift", reading, (arg1, arg2, arg3)))
    }

    /// The body as JSON; an empty object if there is none.
    fn json_body(&self) -> anyhow::Result<String> {
        let Some(body) = &self.body else {
            return Ok("{}".into());
        };
        let body = text(body, "the body (arg3)")?;
        match json::compact(body) {
            Ok(json) => Ok(json),
            Err(_) if self.is_word && !body.starts_with(['{', '[', '"']) => {
                let mut json = String::new();
                json::put_text(&mut json, body);
                Ok(json)
            }
            Err(error) => Err(anyhow!(error))
                .context("the body (arg3) is no JSON; with --raw it is sent as it is"),
        }
    }

    /// The head as pairs.
    fn head_pairs(&self) -> anyhow::Result<Pairs> {
        const FORM: &str = "the head (arg2) is a JSON object of strings";
        let Some(head) = &self.head else {
            return Ok(Pairs::default());
        };
        let fields = json::fields(text(head, "the head (arg2)")?).context(FORM)?;
        let mut pairs = Vec::new();
        for (name, value) in fields {
            let value: Json = serde_json::from_str(&value)?;
            let value = match value {
                Json::String(value) => value,
                Json::Number(_) | Json::Bool(_) => value.to_string(),
                _ => bail!("{FORM}: {name} is {value}"),
            };
            pairs.push((name, value));
        }
        Ok(Pairs::new(pairs))
    }
}

fn pairs(pairs: &Pairs) -> anyhow::Result<Bytes> {
    let mut out = BytesMut::new();
    pairs.write(&mut out).context("the head (arg2)")?;
    Ok(out.freeze())
}

fn text<'a>(bytes: &'a [u8], what: &str) -> anyhow::Result<&'a str> {
    std::str::from_utf8(bytes).with_context(|| format!("{what} is no UTF-8"))
}

/// What a flag gives: `@FILE`, `-` for standard input, or the text itself.
fn content(given: &OsStr) -> anyhow::Result<Vec<u8>> {
    if given == "-" {
        return read(std::io::stdin().lock()).context("standard input");
    }
    let Some(path) = given.as_bytes().strip_prefix(b"@") else {
        return Ok(given.as_bytes().to_vec());
    };
    let path = Path::new(OsStr::from_bytes(path));
    let file = std::fs::File::open(path);
    let content = file.map_err(anyhow::Error::from).and_then(read);
    content.with_context(|| path.display().to_string())
}

fn read(from: impl Read) -> anyhow::Result<Vec<u8>> {
    let mut content = Vec::new();
    from.take(limits::CALL_BYTES + 1)
        .read_to_end(&mut content)?;
    let fits = content.len() as u64 <= limits::CALL_BYTES;
    ensure!(fits, "longer than {} bytes", limits::CALL_BYTES);
    Ok(content)
}

/// The IDL of a service: the file, or the one of the service's name in the folder.
fn idl_file(path: &Path, service: &str) -> anyhow::Result<PathBuf> {
    if !path.is_dir() {
        return Ok(path.into());
    }
    let file = path.join(format!("{service}.thrift"));
    let (folder, name) = (path.display(), format!("{service}.thrift"));
    ensure!(
        file.is_file(),
        "the folder {folder} has no {name}: say which file it is with -t FILE"
    );
    Ok(file)
}

fn no_such(idl: &Idl, endpoint: &str) -> String {
    let endpoints = idl.endpoints();
    match endpoints.len() {
        0 => format!("there is no function {endpoint}: the IDL has no service"),
        _ => format!(
            "there is no function {endpoint} in the IDL; it has {}",
            endpoints.join(", ")
        ),
    }
}
