use std::fs;
use std::path::Path;

use super::*;

const KV: &str = r#"
namespace java com.example.kv
namespace * kv
include "./base.thrift"

const i32 LIMIT = 0x10
const list<string> NAMES = ["a", 'b']
typedef map<string, i32> Counts

enum Color { RED, GREEN = 5, BLUE; }

/* All of it. */
struct Everything {
  1: required string text (key = "value", other)
  2: optional i32 n = LIMIT,
  3: optional Color color = Color.GREEN;
  4: optional i64 wide
  5: optional binary blob
  6: optional Counts counts
  7: optional list<list<i16>> lists
  8: optional set<string> set
  9: optional bool yes
  10: optional double d
  11: optional i8 small
  12: optional base.Id id
  13: optional Choice choice
  14: optional map<Color, byte> byColor
  15: optional map<base.Id, bool> byId
  16: optional Everything & inner
  17: optional list<string> names = NAMES
}

union Choice { 1: string a  2: i32 b }

exception Missing { 1: required string key }

service KV extends base.Base {
  Everything get(1: string key) throws (1: Missing missing)
  void put(1: required string key, 2: optional Everything value)
  oneway void forget()
}
"#;

const BASE: &str = "struct Id { 1: required i32 id = 7 }\nservice Base { Id who(1: Id id) }";

fn write(dir: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        fs::write(dir.join(name), text).unwrap();
    }
}

fn load(files: &[(&str, &str)], strict: bool) -> Result<Idl, String> {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), files);
    let loaded = Idl::load(&dir.path().join(files[0].0), strict);
    let place = format!("{}/", dir.path().display());
    loaded.map_err(|bad| bad.to_string().replace(&place, ""))
}

fn kv() -> Idl {
    load(&[("kv.thrift", KV), ("base.thrift", BASE)], true).unwrap()
}

/// What comes back of a value that is sent as the argument of a function and returned by it.
fn there_and_back(idl: &Idl, json: &str) -> Result<String, String> {
    let endpoint = Endpoint::of(idl, "KV::put").unwrap();
    let body = format!(r#"{{"key":"k","value":{json}}}"#);
    let body = serde_json::from_str(&body).unwrap();
    let arguments = endpoint.arguments(&body).map_err(|bad| bad.to_string())?;
    let sent = Struct::decode(arguments).unwrap();
    let value = sent.get(2).unwrap().clone();
    let get = Endpoint::of(idl, "KV::get").unwrap();
    let returned = get.returned(Struct::new([(0, value)]).encode(), true);
    Ok(returned.unwrap().body.unwrap())
}

#[test]
fn endpoints_of_a_service_and_of_those_it_extends() {
    let endpoints = ["KV::get", "KV::put", "KV::forget", "KV::who"];
    assert_eq!(kv().endpoints(), endpoints);
    assert!(Endpoint::of(&kv(), "KV::who").is_some());
    for name in ["KV::nope", "KV", "Base::who", "Color::RED", "::", ""] {
        assert!(Endpoint::of(&kv(), name).is_none(), "{name}");
    }
}

#[test]
fn every_type_there_and_back() {
    let idl = kv();
    let cases = [
        (r#""n":-5"#, r#""n":-5"#),
        (r#""n":"12""#, r#""n":12"#),
        (r#""n":null"#, r#""n":16"#),
        (r#""color":"BLUE""#, r#""color":"BLUE""#),
        (r#""color":5"#, r#""color":"GREEN""#),
        (
            r#""wide":-9223372036854775808"#,
            r#""wide":-9223372036854775808"#,
        ),
        (r#""wide":"00000000000000ff""#, r#""wide":255"#),
        (
            r#""wide":[255,255,255,255,255,255,255,254]"#,
            r#""wide":-2"#,
        ),
        (
            r#""wide":{"type":"Buffer","data":[0,0,0,0,0,0,0,9]}"#,
            r#""wide":9"#,
        ),
        (
            r#""blob":"hi""#,
            r#""blob":{"type":"Buffer","data":[104,105]}"#,
        ),
        (
            r#""blob":[255]"#,
            r#""blob":{"type":"Buffer","data":[255]}"#,
        ),
        (r#""counts":{"a":1,"b":2}"#, r#""counts":{"a":1,"b":2}"#),
        (r#""lists":[[1],[],[2,3]]"#, r#""lists":[[1],[],[2,3]]"#),
        (r#""set":["x","y"]"#, r#""set":["x","y"]"#),
        (r#""yes":false"#, r#""yes":false"#),
        (r#""d":1.5"#, r#""d":1.5"#),
        (r#""d":2"#, r#""d":2"#),
        (r#""small":-128"#, r#""small":-128"#),
        (r#""id":{"id":3}"#, r#""id":{"id":3}"#),
        (r#""id":{}"#, r#""id":{"id":7}"#),
        (r#""choice":{"b":3}"#, r#""choice":{"type":"b","b":3}"#),
        (
            r#""choice":{"type":"a","a":"x"}"#,
            r#""choice":{"type":"a","a":"x"}"#,
        ),
        (r#""byColor":{"RED":1}"#, r#""byColor":{"RED":1}"#),
        (r#""byId":[[{"id":1},true]]"#, r#""byId":[[{"id":1},true]]"#),
        (r#""names":["z"]"#, r#""names":["z"]"#),
    ];
    for (field, expected) in cases {
        let back = there_and_back(&idl, &format!(r#"{{"text":"t",{field}}}"#));
        let back = back.unwrap_or_else(|bad| panic!("{field}: {bad}"));
        assert!(back.starts_with(r#"{"text":"t","#), "{back}");
        assert!(
            back.contains(&format!(",{expected},")) || back.ends_with(&format!(",{expected}}}")),
            "{back}"
        );
    }
    let bare = there_and_back(&idl, r#"{"text":""}"#).unwrap();
    assert_eq!(
        bare,
        r#"{"text":"","n":16,"color":"GREEN","wide":null,"blob":null,"counts":null,"lists":null,"#
            .to_owned()
            + r#""set":null,"yes":null,"d":null,"small":null,"id":null,"choice":null,"#
            + r#""byColor":null,"byId":null,"inner":null,"names":["a","b"]}"#
    );
}

/// Bodies, and what is said about them.
const BAD_BODIES: &[(&str, &str)] = &[
    (
        "{}",
        r#"value: missing required field "text" with id 1 on Everything"#,
    ),
    (
        "5",
        "value: expected an object, the fields of Everything, found 5",
    ),
    (r#"{"text":5}"#, "value.text: expected a string, found 5"),
    (
        r#"{"text":"","choice":{}}"#,
        "value.choice: the union Choice has one field: one of a, b",
    ),
    (
        r#"{"text":"","choice":{"a":"","b":1}}"#,
        "value.choice: the union Choice has one field: one of a, b",
    ),
    (
        r#"{"text":"","id":{"x":1}}"#,
        r#"value.id: Id has no "x"; it has id"#,
    ),
    (
        r#"{"text":"","lists":[[1],[70000]]}"#,
        "value.lists[1][0]: expected a whole number of 16 bits, found 70000",
    ),
    (
        r#"{"text":"","n":1.5}"#,
        "value.n: expected a whole number of 32 bits, found 1.5",
    ),
    (
        r#"{"text":"","color":"PINK"}"#,
        r#"value.color: expected a member of Color: RED, GREEN, BLUE, found "PINK""#,
    ),
    (
        r#"{"text":"","counts":{"a":"x"}}"#,
        r#"value.counts.a: expected a whole number of 32 bits, found "x""#,
    ),
    (
        r#"{"text":"","byId":[[1]]}"#,
        "value.byId[0]: expected [key, value], found [1]",
    ),
    (
        r#"{"text":"","yes":1}"#,
        "value.yes: expected true or false, found 1",
    ),
    (
        r#"{"text":"","wide":"12"}"#,
        "value.wide: expected a whole number of 64 bits, 16 hex digits in a string, or 8 \
             bytes, found \"12\"",
    ),
];

#[test]
fn bodies_that_differ_from_the_idl() {
    let idl = kv();
    for (json, expected) in BAD_BODIES {
        assert_eq!(
            there_and_back(&idl, json),
            Err((*expected).into()),
            "{json}"
        );
    }
    let nested = r#"{"text":"","inner":"#.repeat(60) + "null" + &"}".repeat(60);
    let bad = there_and_back(&idl, &nested).unwrap_err();
    assert!(bad.ends_with("nested deeper than 32"), "{bad}");
    let put = Endpoint::of(&idl, "KV::put").unwrap();
    let bad = put.arguments(&serde_json::json!({"key": "", "zz": 1}));
    assert_eq!(
        bad.unwrap_err().to_string(),
        r#"KV::put has no "zz"; it has key, value"#
    );
    let forget = Endpoint::of(&idl, "KV::forget").unwrap();
    assert_eq!(&forget.arguments(&Json::Null).unwrap()[..], b"\0");
    let bad = forget.arguments(&serde_json::json!({"a": 1})).unwrap_err();
    assert_eq!(bad.to_string(), r#"KV::forget has no fields, so no "a""#);
}

#[test]
fn answers() {
    use heeler_tchannel::scheme::thrift::Value;

    let idl = kv();
    let get = Endpoint::of(&idl, "KV::get").unwrap();
    let put = Endpoint::of(&idl, "KV::put").unwrap();
    let text = |text: &str| Value::from(text);
    let of = |id, value: Struct| Struct::new([(id, Value::Struct(value))]).encode();
    let returned = |body: Option<&str>, exception: Option<&str>| Returned {
        body: body.map(String::from),
        exception: exception.map(String::from),
    };
    let nothing = Struct::default().encode();
    assert_eq!(
        put.returned(nothing.clone(), true),
        Ok(returned(None, None))
    );
    let null = returned(Some("null"), None);
    assert_eq!(get.returned(nothing.clone(), true), Ok(null));
    let missing = of(1, Struct::new([(1, text("k"))]));
    let thrown = returned(Some(r#"{"key":"k"}"#), Some("missing"));
    assert_eq!(get.returned(missing.clone(), false), Ok(thrown));
    // An exception that the IDL does not know.
    let unknown = returned(Some(r#"{"1":{"rec":{"1":{"str":"k"}}}}"#), None);
    assert_eq!(put.returned(missing, false), Ok(unknown));

    let bad = |arg3: Bytes| get.returned(arg3, true).unwrap_err().to_string();
    assert_eq!(
        bad(of(0, Struct::default())),
        r#"missing required field "text" with id 1 on Everything"#
    );
    assert_eq!(
        bad(of(0, Struct::new([(1, Value::I32(1))]))),
        "text: expected binary, found i32"
    );
    let list = Value::List(heeler_tchannel::scheme::thrift::Type::I16, vec![]);
    assert_eq!(
        bad(of(0, Struct::new([(1, text("")), (6, list)]))),
        "counts: expected map, found list"
    );
    assert_eq!(
        bad(Bytes::from_static(b"\x0b\0")),
        "the thrift struct ends too early"
    );
    // What a newer server adds is left out; a member that the IDL does not know is a number.
    let newer = Struct::new([
        (1, text("t")),
        (3, Value::I32(99)),
        (13, Value::Struct(Struct::new([(9, text("new"))]))),
        (99, text("new")),
    ]);
    let shown = get.returned(of(0, newer), true).unwrap().body.unwrap();
    assert!(shown.contains(r#""color":99,"#), "{shown}");
    assert!(shown.contains(r#""choice":{"type":null},"#), "{shown}");
    let double = Struct::new([(1, text("t")), (10, Value::Double(f64::NAN))]);
    let shown = get.returned(of(0, double), true).unwrap().body.unwrap();
    assert!(shown.contains(r#""d":"NaN","#), "{shown}");
}

/// Files, and how what is said about them begins.
const MISTAKES: &[(&str, &str)] = &[
    (
        "struct X {",
        "1:11: expected the number of a field, as in 1:, or '}', found the end",
    ),
    ("struct {", "1:8: expected a name, found '{'"),
    (
        "\n  strukt X {}",
        "2:3: expected include, namespace, const, typedef, enum, struct,",
    ),
    (
        "struct X { 1 string a }",
        "1:14: expected ':', found 'string'",
    ),
    (
        "struct X { string a }",
        "1:12: expected the number of a field, as in 1:, or '}', found",
    ),
    (
        "struct X { 0: string a }",
        "1:12: a field's number is from 1 to 32767",
    ),
    (
        "struct X { 1: required string }",
        "1:31: expected the name of a field, found '}'",
    ),
    (
        "struct X { 1: required list<string a }",
        "1:36: expected '>', found 'a'",
    ),
    (
        "struct X { 1: required Y a }",
        "1:24: there is no type Y in this file or in those",
    ),
    (
        "struct X { 1: required b.Y a }",
        "1:24: there is no type b.Y in this file or in",
    ),
    (
        "struct X { 1: string a }",
        "1:12: a of X is neither required nor optional and has no",
    ),
    (
        "exception X { 1: string a }",
        "1:15: a of X is neither required nor optional and has",
    ),
    (
        "struct X { 1: optional i32 a 1: optional i32 b }",
        "1:30: 1: b has the same number or name as 1: a",
    ),
    ("enum E { A, A }", "1:13: a second member A"),
    (
        "enum E { A = 3000000000 }",
        "1:14: 3000000000 does not fit 32 bits: expected the",
    ),
    ("struct A {} struct A {}", "1:20: a second definition of A"),
    ("typedef A B typedef B A", "1:"),
    (
        "const i32 A = B",
        "1:15: there is no constant B in this file",
    ),
    (
        "const i32 A = B const i32 B = A",
        "1:15: B never comes to a value",
    ),
    (
        "service S extends T {}",
        "1:19: there is no service T in this file",
    ),
    (
        "service S extends S {}",
        "1:19: the services extend each other without an end",
    ),
    (
        "struct S {} service T extends S {}",
        "1:31: expected a service: S is something else",
    ),
    (
        "service S {} struct X { 1: optional S s }",
        "1:37: expected a type: S is a service",
    ),
    (
        "service S { void f() void f() }",
        "1:27: a second function f",
    ),
    (
        "service S { void f( }",
        "1:21: expected the number of a field, as in 1:, or ')', found",
    ),
    (
        "include x",
        "1:10: expected the path of a file in quotes, found the end of the file",
    ),
    (
        "include \"no.thrift\"",
        "1:1: cannot include no.thrift: No such file",
    ),
    (
        "include \"/no.thrift\"",
        "1:1: an included path starts from the file",
    ),
    ("/* x", "1:1: this comment has no end: expected */"),
];

#[test]
fn mistakes_have_a_place() {
    for (text, expected) in MISTAKES {
        let bad = load(&[("x.thrift", text)], true).unwrap_err();
        assert!(
            bad.starts_with(&format!("x.thrift:{expected}")),
            "{text}\n{bad}"
        );
    }
    let deep = format!("typedef {}i32{} X", "list<".repeat(40), ">".repeat(40));
    let bad = load(&[("x.thrift", &deep)], true).unwrap_err();
    assert!(bad.ends_with("nested deeper than 32"), "{bad}");
    let bombs: String = (0..30)
        .map(|n| format!("const list<i32> A{n} = [A{0}, A{0}]\n", n + 1))
        .collect();
    let bad = load(&[("x.thrift", &(bombs + "const i32 A30 = 1"))], true).unwrap_err();
    assert!(bad.ends_with("stands for too many values"), "{bad}");
    let missing = Idl::load(Path::new("there/is/none.thrift"), true).unwrap_err();
    assert!(
        missing
            .to_string()
            .starts_with("there/is/none.thrift: No such"),
        "{missing}"
    );
}

#[test]
fn strictness() {
    let text = "struct X { 1: string a 2: i32 b = 3 } union U { 1: string a }
        service S { X f(1: string a) throws (1: X x) }";
    assert!(load(&[("x.thrift", text)], true).is_err());
    let idl = load(&[("x.thrift", text)], false).unwrap();
    let f = Endpoint::of(&idl, "S::f").unwrap();
    // An argument that is not marked may be left out.
    assert_eq!(&f.arguments(&Json::Null).unwrap()[..], b"\0");
}

#[test]
fn includes_of_each_other() {
    let a = "include \"b.thrift\" struct A { 1: optional b.B b } service S { A f(1: b.B b) }";
    let b = "include \"a.thrift\" struct B { 1: optional a.A a }";
    let idl = load(&[("a.thrift", a), ("b.thrift", b)], true).unwrap();
    let f = Endpoint::of(&idl, "S::f").unwrap();
    let body = serde_json::json!({"b": {"a": {"b": {}}}});
    assert!(f.arguments(&body).is_ok());
    // A mistake is told in the file where it is.
    let b = "typedef Nothing B";
    let bad = load(&[("a.thrift", a), ("b.thrift", b)], true).unwrap_err();
    assert!(
        bad.starts_with("b.thrift:1:9: there is no type Nothing"),
        "{bad}"
    );
    let bad = load(&[("a.thrift", a), ("b.thrift", "struct B { x }")], true).unwrap_err();
    assert!(
        bad.starts_with("b.thrift:1:12: expected the number of a field"),
        "{bad}"
    );
}

proptest::proptest! {
    /// No file, however it is mangled, brings the reader down.
    #[test]
    fn mangled_files(
        at in 0..KV.len(),
        cut in 0..40_usize,
        put in "[{}()<>,;:=a1\"'/*#. é-]{0,6}",
    ) {
        let start = KV.floor_char_boundary(at);
        let end = KV.floor_char_boundary((at + cut).min(KV.len())).max(start);
        let text = [&KV[..start], &put, &KV[end..]].concat();
        let loaded = load(&[("kv.thrift", &text), ("base.thrift", BASE)], false);
        if let Ok(idl) = loaded {
            for endpoint in idl.endpoints() {
                let endpoint = Endpoint::of(&idl, &endpoint).unwrap();
                let _ = endpoint.arguments(&serde_json::json!({"key": "k"}));
                let _ = endpoint.returned(Struct::health(true, "").encode(), true);
            }
        }
    }

    /// No answer does.
    #[test]
    fn mangled_answers(bytes in proptest::collection::vec(0..18_u8, 0..60), ok: bool) {
        let idl = kv();
        let get = Endpoint::of(&idl, "KV::get").unwrap();
        if let Ok(Returned { body: Some(body), .. }) = get.returned(bytes.into(), ok) {
            serde_json::from_str::<Json>(&body).unwrap();
        }
    }
}
