//! What the HTTP door reads: bodies, paths, queries, lengths of time, conditions, and forms.
#![no_main]

use heeler::json;
use heeler::web::condition::{Condition, Versions};
use heeler::web::duration::GoDuration;
use heeler::web::path::{Resource, parameter};
use heeler::web::{body, negotiation};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    if let Ok(value) = json::read(input) {
        // What was read is written as one value, and is read as the same.
        let written = value.to_vec();
        assert!(json::is_value(&written));
        assert_eq!(json::read(&written).unwrap(), value);
        serde_json::from_slice::<serde::de::IgnoredAny>(&written).unwrap();
        value.printed();
    }
    if json::is_value(input) {
        assert!(json::read(input).is_ok());
    }
    json::pick_element(input, 1);
    json::pick_member(input, b"\"a\"");
    let _ = body::store(input);
    let _ = body::index(input);
    let _ = body::item(input);
    let _ = body::list(input, "keys");
    negotiation::sent(Some(input));
    negotiation::wanted(
        Some(input),
        &[negotiation::Form::Json, negotiation::Form::Bytes],
    );
    let condition = Condition::read([input].into_iter(), [input].into_iter());
    if let Versions::Of(versions) = &condition.if_match {
        assert!(versions.iter().all(|v| condition.if_match.names(Some(*v))));
    }
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    if let Ok(resource) = Resource::parse(text) {
        assert!(resource.has("OPTIONS"));
    }
    let _ = parameter(text, "prefix");
    if let Ok(duration) = GoDuration::parse(text) {
        assert_eq!(GoDuration::parse(&duration.to_string()), Ok(duration));
    }
});
