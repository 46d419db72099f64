//! In which form a body is sent, and in which form an answer is wanted (RFC 9110, section 12).

/// A form of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `application/json`
    Json,
    /// `application/octet-stream`: any bytes.
    Bytes,
    /// `text/plain`: UTF-8.
    Text,
    /// `text/event-stream`
    Events,
}

impl Form {
    /// Its name in `Content-Type`.
    pub fn name(self) -> &'static str {
        match self {
            Form::Json => "application/json",
            Form::Bytes => "application/octet-stream",
            Form::Text => "text/plain; charset=utf-8",
            Form::Events => "text/event-stream",
        }
    }

    /// Whether a range of `Accept` takes it in; how exactly.
    fn is_in(self, range: &str) -> Option<u8> {
        let name = self.name();
        let name = name.split(';').next().unwrap_or(name);
        let family = name.split('/').next().unwrap_or(name);
        match range {
            "*/*" | "" => Some(0),
            range if range.strip_suffix("/*") == Some(family) => Some(1),
            range if range == name => Some(2),
            _ => None,
        }
    }
}

/// The form of a body with this `Content-Type`. JSON is also what has none, and what curl's `-d`
/// calls a form. `None`: it is not supported.
pub fn sent(content_type: Option<&[u8]>) -> Option<Form> {
    let Some(name) = content_type else {
        return Some(Form::Json);
    };
    let name = std::str::from_utf8(name).ok()?;
    let name = name.split(';').next().unwrap_or(name).trim();
    match name.to_ascii_lowercase().as_str() {
        "" | "*/*" | "application/json" | "application/x-www-form-urlencoded" => Some(Form::Json),
        "application/octet-stream" => Some(Form::Bytes),
        "text/plain" => Some(Form::Text),
        _ => None,
    }
}

/// Which of the forms offered is wanted most by `Accept`; of two that are wanted alike the one
/// that is offered first. `None`: none is acceptable.
pub fn wanted(accept: Option<&[u8]>, offers: &[Form]) -> Option<Form> {
    match accept {
        None | Some(b"" | b"*/*") => return offers.first().copied(),
        Some(b"application/json") if offers.first() == Some(&Form::Json) => {
            return Some(Form::Json);
        }
        _ => {}
    }
    let accept = std::str::from_utf8(accept?).ok()?.to_ascii_lowercase();
    let quality = |form: Form| {
        let ranges = accept.split(',').filter_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let exactness = form.is_in(parts.next()?)?;
            let weight = parts.find_map(|p| p.strip_prefix("q="));
            let weight: f32 = weight.map_or(Some(1.0), |w| w.parse().ok())?;
            Some((exactness, (weight.clamp(0.0, 1.0) * 1000.0) as u16))
        });
        ranges
            .max_by_key(|(exactness, _)| *exactness)
            .map_or(0, |(_, weight)| weight)
    };
    let mut best = None;
    for offer in offers {
        let quality = quality(*offer);
        if quality > best.map_or(0, |(_, quality)| quality) {
            best = Some((*offer, quality));
        }
    }
    best.map(|(form, _)| form)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_bodies() {
        for (name, form) in [
            ("", Some(Form::Json)),
            ("*/*", Some(Form::Json)),
            ("application/json", Some(Form::Json)),
            ("Application/JSON; charset=utf-8", Some(Form::Json)),
            ("application/x-www-form-urlencoded", Some(Form::Json)),
            ("application/octet-stream", Some(Form::Bytes)),
            ("text/plain;charset=utf-8", Some(Form::Text)),
            ("text/html", None),
            ("multipart/form-data", None),
            ("application/jsonx", None),
        ] {
            assert_eq!(sent(Some(name.as_bytes())), form, "{name}");
        }
        assert_eq!(sent(None), Some(Form::Json));
        assert_eq!(sent(Some(b"\xff")), None);
    }

    #[test]
    fn forms_of_answers() {
        let all = [Form::Json, Form::Bytes, Form::Text];
        for (accept, form) in [
            ("", Some(Form::Json)),
            ("*/*", Some(Form::Json)),
            ("application/json", Some(Form::Json)),
            (
                "text/html, application/xhtml+xml, */*;q=0.8",
                Some(Form::Json),
            ),
            ("application/*", Some(Form::Json)),
            ("text/*", Some(Form::Text)),
            ("application/octet-stream", Some(Form::Bytes)),
            ("Application/Octet-Stream", Some(Form::Bytes)),
            ("application/json;q=0.5, text/plain", Some(Form::Text)),
            ("*/*, application/json;q=0", Some(Form::Bytes)),
            ("*/*;q=0", None),
            ("text/html", None),
            ("application/json;q=x", None),
        ] {
            assert_eq!(wanted(Some(accept.as_bytes()), &all), form, "{accept}");
        }
        assert_eq!(wanted(None, &[Form::Events]), Some(Form::Events));
        assert_eq!(wanted(Some(b"application/json"), &[Form::Events]), None);
        assert_eq!(
            wanted(Some(b"text/event-stream"), &[Form::Events]),
            Some(Form::Events)
        );
    }
}
