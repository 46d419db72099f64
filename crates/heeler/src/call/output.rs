//! Answers and failures as what is printed, and as exit codes.

use heeler_ringpop::channel::{ErrorCode, Failure, Origin, Response};
use heeler_tchannel::Pairs;
use heeler_tchannel::scheme::http::ResponseHead;

use super::json;
use super::request::Reading;
use super::thrift::{Endpoint, Idl, health};

/// What a call ends with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// For standard output.
    pub stdout: Vec<u8>,
    /// For standard error: lines.
    pub stderr: String,
    /// The exit code.
    pub code: u8,
}

/// `--health`: the service is not well.
pub const NOT_HEALTHY: u8 = 124;
/// Wrong usage, a file that cannot be read, an answer that means nothing.
pub const FAULT: u8 = 125;
/// The answer is an error of the application.
pub const NOT_OK: u8 = 126;
/// A fatal error of the protocol.
pub const FATAL: u8 = 127;

/// Shows an answer.
pub fn answered(reading: &Reading, response: &Response) -> Output {
    let mut output = match reading {
        Reading::Raw => Output {
            stdout: response.arg3.to_vec(),
            ..Output::default()
        },
        Reading::Json => as_json(response),
        Reading::Http => as_http(response),
        Reading::Thrift(idl, name) => as_thrift(idl, name, response),
        Reading::Health => return as_health(response),
    };
    if !response.is_ok() && output.code == 0 {
        output.code = NOT_OK;
    }
    output
}

/// Shows why there is no answer.
pub fn failed(reading: &Reading, failure: &Failure) -> Output {
    let (name, kind) = names(failure);
    let of_frame = match failure.origin {
        Origin::Peer => Some(failure.code.to_wire()),
        Origin::Here => None,
    };
    let output = error(name, kind, &failure.message, of_frame);
    match reading {
        Reading::Health => Output {
            stdout: [b"NOT OK\n", output.stdout.as_slice()].concat(),
            code: FAULT,
            ..output
        },
        _ => Output {
            code: exit_code(failure.code),
            ..output
        },
    }
}

/// The exit code for a call that failed.
pub fn exit_code(code: ErrorCode) -> u8 {
    match code {
        ErrorCode::Protocol => FATAL,
        ErrorCode::Other(_) => FAULT,
        code => code.to_wire(),
    }
}

/// tchannel-node's names for a failure and its type.
fn names(failure: &Failure) -> (&'static str, &'static str) {
    match (failure.code, failure.origin) {
        (ErrorCode::Timeout, Origin::Here) => {
            ("TchannelRequestTimeoutError", "tchannel.request.timeout")
        }
        (ErrorCode::Network, Origin::Here) => ("TchannelSocketError", "tchannel.socket"),
        (ErrorCode::Timeout, _) => ("TchannelTimeoutError", "tchannel.timeout"),
        (ErrorCode::Cancelled, _) => ("TchannelCancelledError", "tchannel.cancelled"),
        (ErrorCode::Busy, _) => ("TchannelBusyError", "tchannel.busy"),
        (ErrorCode::Declined, _) => ("TchannelDeclinedError", "tchannel.declined"),
        (ErrorCode::Unexpected, _) => ("TchannelUnexpectedError", "tchannel.unexpected"),
        (ErrorCode::BadRequest, _) => ("TchannelBadRequestError", "tchannel.bad-request"),
        (ErrorCode::Network, _) => ("TchannelNetworkError", "tchannel.network"),
        (ErrorCode::Unhealthy, _) => ("TchannelUnhealthyError", "tchannel.unhealthy"),
        (ErrorCode::Protocol, _) => ("TchannelProtocolError", "tchannel.protocol"),
        (ErrorCode::Other(_), _) => (
            "TchannelInvalidErrorCodeError",
            "tchannel.invalid-error-code",
        ),
    }
}

fn error(name: &str, kind: &str, message: &str, of_frame: Option<u8>) -> Output {
    let mut line = format!(r#"{{"ok":false,"name":"{name}","message":"#);
    json::put_text(&mut line, message);
    line += &format!(r#","isError":true,"isErrorFrame":{}"#, of_frame.is_some());
    if let Some(code) = of_frame {
        line += &format!(r#","errorCode":{code}"#);
    }
    line += &format!(r#","type":"{kind}","fullType":"{kind}"}}"#);
    line.push('\n');
    Output {
        stdout: line.into_bytes(),
        stderr: format!("{name}: {message}\n"),
        code: FAULT,
    }
}

fn as_json(response: &Response) -> Output {
    let body = match response.is_ok() {
        true => json_or_text(&response.arg3),
        false => hydrated(json_or_text(&response.arg3)),
    };
    let head = json_or_text(&response.arg2);
    record(response, &head, Some(&body), None)
}

/// JSON as it came; what is none as a string; nothing as null.
fn json_or_text(arg: &[u8]) -> String {
    if arg.is_empty() {
        return "null".into();
    }
    let json = std::str::from_utf8(arg).ok();
    json.and_then(|text| json::compact(text).ok())
        .unwrap_or_else(|| {
            let mut out = String::new();
            json::put_text_or_bytes(&mut out, arg);
            out
        })
}

/// An error as tcurl prints it, if it is as the scheme json has it, with `type` and `message`:
/// these two and the name come first, `fullType` last.
fn hydrated(body: String) -> String {
    let Some(fields) = json::fields(&body) else {
        return body;
    };
    let field = |name: &str| {
        fields
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value)
    };
    let (Some(kind), Some(message)) = (field("type"), field("message")) else {
        return body;
    };
    let default = "\"TchannelHydratedErrorDefaultTypeError\"".to_owned();
    let name = field("name").unwrap_or(&default);
    let mut out = format!(r#"{{"type":{kind},"name":{name},"message":{message}"#);
    for (name, value) in &fields {
        if !["type", "name", "message", "fullType"].contains(&name.as_str()) {
            out.push(',');
            json::put_text(&mut out, name);
            out.push(':');
            out.push_str(value);
        }
    }
    out += &format!(r#","fullType":{}}}"#, field("fullType").unwrap_or(kind));
    out
}

/// An answer on one line.
fn record(response: &Response, head: &str, body: Option<&str>, exception: Option<&str>) -> Output {
    let mut line = format!(r#"{{"ok":{},"head":{head}"#, response.is_ok());
    if let Some(body) = body {
        line += &format!(r#","body":{body}"#);
    }
    line += &format!(r#","headers":{}"#, object(response.headers.iter()));
    if let Some(exception) = exception {
        line.push_str(r#","typeName":"#);
        json::put_text(&mut line, exception);
    }
    line.push_str("}\n");
    Output {
        stdout: line.into_bytes(),
        ..Output::default()
    }
}

fn object<'a>(pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> String {
    let mut out = String::from("{");
    for (key, value) in pairs {
        if out.len() > 1 {
            out.push(',');
        }
        json::put_text(&mut out, &String::from_utf8_lossy(key));
        out.push(':');
        json::put_text(&mut out, &String::from_utf8_lossy(value));
    }
    out.push('}');
    out
}

fn as_http(response: &Response) -> Output {
    match ResponseHead::decode(response.arg2.clone()) {
        Ok(head) => Output {
            stdout: response.arg3.to_vec(),
            stderr: format!(
                "HTTP {} {}\n",
                head.status,
                String::from_utf8_lossy(&head.message)
            ),
            code: if head.status >= 400 { NOT_OK } else { 0 },
        },
        Err(fault) => error(
            "TchannelHttpHandlerFromBufferArg2ResFailedError",
            "tchannel.http-handler.from-buffer-arg2.res-failed",
            &format!("the head (arg2) of the answer is no HTTP: {fault}"),
            None,
        ),
    }
}

fn as_thrift(idl: &Idl, name: &str, response: &Response) -> Output {
    let head = match Pairs::from_bytes(response.arg2.clone()) {
        // No head at all is as good as an empty one.
        _ if response.arg2.is_empty() => "{}".into(),
        Ok(pairs) => object(pairs.0.iter().map(|(k, v)| (&k[..], &v[..]))),
        Err(fault) => {
            return error(
                "TchannelThriftHandlerParseErrorHeadFailedError",
                "tchannel-thrift-handler.parse-error.head-failed",
                &format!("the head (arg2) of the answer is no thrift: {fault}"),
                None,
            );
        }
    };
    let endpoint = Endpoint::of(idl, name);
    let returned = endpoint.map(|e| e.returned(response.arg3.clone(), response.is_ok()));
    match returned {
        Some(Ok(returned)) => {
            let (body, exception) = (returned.body.as_deref(), returned.exception.as_deref());
            record(response, &head, body, exception)
        }
        Some(Err(bad)) => error(
            "TchannelThriftHandlerParseErrorBodyFailedError",
            "tchannel-thrift-handler.parse-error.body-failed",
            &format!("the body (arg3) of the answer of {name} does not fit the IDL: {bad}"),
            None,
        ),
        // It was found when the call was made.
        None => Output::default(),
    }
}

fn as_health(response: &Response) -> Output {
    let (stdout, code) = match health::read(response.arg3.clone()) {
        Some((true, _)) if response.is_ok() => ("OK\n".into(), 0),
        Some((_, Some(message))) => (format!("NOT OK\n{message}\n"), NOT_HEALTHY),
        Some((_, None)) => ("NOT OK\n".into(), NOT_HEALTHY),
        None => {
            let stderr = format!("the answer is not that of {}\n", health::ENDPOINT);
            return Output {
                stdout: b"NOT OK\n".to_vec(),
                stderr,
                code: NOT_HEALTHY,
            };
        }
    };
    Output {
        stdout: stdout.into_bytes(),
        stderr: String::new(),
        code,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use heeler_ringpop::channel::Headers;

    use super::*;

    fn response(code: u8, arg2: &'static [u8], arg3: &'static [u8]) -> Response {
        Response {
            code,
            headers: Headers::new([("as", "json"), ("x", "\"1\"")]).unwrap(),
            arg2: Bytes::from_static(arg2),
            arg3: Bytes::from_static(arg3),
        }
    }

    fn line(output: &Output) -> &str {
        std::str::from_utf8(&output.stdout).unwrap()
    }

    #[test]
    fn failures_and_their_exit_codes() {
        use ErrorCode as E;
        use Origin::{Here, Peer};
        let cases = [
            (
                E::Timeout,
                Here,
                "RequestTimeoutError",
                "request.timeout",
                1,
            ),
            (E::Timeout, Peer, "TimeoutError", "timeout", 1),
            (E::Cancelled, Peer, "CancelledError", "cancelled", 2),
            (E::Busy, Here, "BusyError", "busy", 3),
            (E::Declined, Peer, "DeclinedError", "declined", 4),
            (E::Unexpected, Peer, "UnexpectedError", "unexpected", 5),
            (E::BadRequest, Peer, "BadRequestError", "bad-request", 6),
            (E::Network, Peer, "NetworkError", "network", 7),
            (E::Network, Here, "SocketError", "socket", 7),
            (E::Unhealthy, Peer, "UnhealthyError", "unhealthy", 8),
            (E::Protocol, Peer, "ProtocolError", "protocol", 127),
            (
                E::Other(9),
                Peer,
                "InvalidErrorCodeError",
                "invalid-error-code",
                125,
            ),
        ];
        for (code, origin, name, kind, exit) in cases {
            let message = "a \"why\"".into();
            let failure = Failure {
                code,
                message,
                origin,
            };
            let output = failed(&Reading::Json, &failure);
            let of_frame = match origin {
                Peer => format!(r#"true,"errorCode":{}"#, code.to_wire()),
                Here => "false".into(),
            };
            let expected = format!(
                r#"{{"ok":false,"name":"Tchannel{name}","message":"a \"why\"","isError":true,"#
            ) + &format!(r#""isErrorFrame":{of_frame},"type":"tchannel.{kind}","#)
                + &format!("\"fullType\":\"tchannel.{kind}\"}}\n");
            assert_eq!(line(&output), expected);
            assert_eq!(output.stderr, format!("Tchannel{name}: a \"why\"\n"));
            assert_eq!(output.code, exit);
            let health = failed(&Reading::Health, &failure);
            assert_eq!(line(&health), format!("NOT OK\n{expected}"));
            assert_eq!(health.code, 125);
        }
    }

    #[test]
    fn answers_in_json() {
        let cases: [(&[u8], &[u8], &str); 6] = [
            (b"", b"", r#""head":null,"body":null"#),
            (b" {} ", b"[ 1 ]", r#""head":{},"body":[1]"#),
            (b"not", b"a\"b", r#""head":"not","body":"a\"b""#),
            (
                b"",
                b"\0\xff",
                r#""head":null,"body":{"type":"Buffer","data":[0,255]}"#,
            ),
            (b"", b"{} x", r#""head":null,"body":"{} x""#),
            (
                b"",
                br#"{"type":1,"message":2}"#,
                r#""head":null,"body":{"type":1,"message":2}"#,
            ),
        ];
        let headers = r#""headers":{"as":"json","x":"\"1\""}}"#;
        for (arg2, arg3, body) in cases {
            let output = answered(&Reading::Json, &response(0, arg2, arg3));
            assert_eq!(line(&output), format!("{{\"ok\":true,{body},{headers}\n"));
            assert_eq!((output.stderr.as_str(), output.code), ("", 0));
        }
    }

    #[test]
    fn errors_of_the_application() {
        let cases: [(&[u8], &str); 4] = [
            (
                br#"{"x": [ 1 ],"message":"m","type":"t"}"#,
                r#"{"type":"t","name":"TchannelHydratedErrorDefaultTypeError","message":"m","x":["#,
            ),
            (
                br#"{"type":"t","message":"m","name":"N","fullType":"f"}"#,
                r#"{"type":"t","name":"N","message":"m","fullType":"f"},"headers""#,
            ),
            (br#"{"type":"t"}"#, r#"{"type":"t"},"headers""#),
            (b"word", r#""word","headers""#),
        ];
        for (arg3, body) in cases {
            let output = answered(&Reading::Json, &response(1, b"", arg3));
            let begins = format!(r#"{{"ok":false,"head":null,"body":{body}"#);
            assert!(line(&output).starts_with(&begins), "{}", line(&output));
            assert_eq!(output.code, NOT_OK);
        }
        let raw = answered(&Reading::Raw, &response(1, b"head", b"\0raw"));
        assert_eq!((raw.stdout.as_slice(), raw.code), (&b"\0raw"[..], NOT_OK));
    }

    #[test]
    fn answers_that_are_not_what_they_should_be() {
        let http = answered(&Reading::Http, &response(0, b"\0", b"body"));
        assert_eq!(http.code, FAULT);
        assert!(http.stderr.contains("is no HTTP"), "{}", http.stderr);
        for arg3 in [&b""[..], b"\0", b"nonsense", b"\x0b\0\0\0\0\0\0\0"] {
            let health = answered(&Reading::Health, &response(0, b"", arg3));
            assert_eq!((line(&health), health.code), ("NOT OK\n", NOT_HEALTHY));
            assert!(health.stderr.contains("Meta::health"), "{}", health.stderr);
        }
    }
}
