//! Who was turned away before a connection was open, for the log.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rustls::InvalidMessage;
use tokio::time::Instant;

/// From one line in the log to the next: whoever is turned away comes back, and soon.
const PAUSE: Duration = Duration::from_secs(1);
/// Reasons that are told of side by side.
const REASONS: usize = 16;

/// Tells of handshakes that fail, but not of every one of them.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    /// Why, when that was told last, and how often it has not been told since.
    told: HashMap<String, (Instant, u64)>,
}

impl Refusals {
    /// What to write into the log, if it is time.
    pub(super) fn tell(
        &mut self,
        now: Instant,
        address: SocketAddr,
        error: &io::Error,
    ) -> Option<String> {
        // As those do who only look whether the port is open.
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return None;
        }
        let reason = reason(error);
        let mut more = String::new();
        if let Some((told, untold)) = self.told.get_mut(&reason) {
            if now < *told + PAUSE {
                *untold += 1;
                return None;
            }
            if *untold > 0 {
                more = format!(" (and {untold} more since this was told last)");
            }
        } else if self.told.len() >= REASONS {
            self.told.retain(|_, (told, _)| now < *told + PAUSE);
            if self.told.len() >= REASONS {
                return None;
            }
        }
        let told =
            format!("{address} wants to talk to this node, and was turned away: {reason}{more}");
        self.told.insert(reason, (now, 0));
        Some(told)
    }
}

fn reason(error: &io::Error) -> String {
    let inner = error.get_ref();
    match inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)) => {
            "it speaks no TLS".to_owned()
        }
        Some(rustls::Error::NoCertificatesPresented) => "it shows no certificate".to_owned(),
        Some(rustls::Error::AlertReceived(alert)) => {
            format!("it refuses this node's certificate: {alert:?}")
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(refusals: &mut Refusals, now: Instant, error: rustls::Error) -> Option<String> {
        let error = io::Error::new(io::ErrorKind::InvalidData, error);
        refusals.tell(now, ([10, 0, 0, 7], 4000).into(), &error)
    }

    #[test]
    fn says_why_and_not_oftener_than_once_a_second() {
        let (mut refusals, now) = (Refusals::default(), Instant::now());
        let first = told(&mut refusals, now, rustls::Error::NoCertificatesPresented);
        let text = "10.0.0.7:4000 wants to talk to this node, and was turned away: it shows no \
                    certificate";
        assert_eq!(first.as_deref(), Some(text));
        let again = rustls::Error::NoCertificatesPresented;
        assert_eq!(told(&mut refusals, now + PAUSE / 2, again), None);
        let plain = || rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType);
        assert!(told(&mut refusals, now + PAUSE / 2, plain()).is_some());
        let again = rustls::Error::NoCertificatesPresented;
        let later = told(&mut refusals, now + PAUSE, again).unwrap_or_default();
        assert!(
            later.ends_with("no certificate (and 1 more since this was told last)"),
            "{later}"
        );
    }

    #[test]
    fn who_only_looks_at_the_port_is_not_told_of() {
        let gone = io::Error::from(io::ErrorKind::UnexpectedEof);
        let address = ([10, 0, 0, 7], 4000).into();
        let told = Refusals::default().tell(Instant::now(), address, &gone);
        assert_eq!(told, None);
    }
}
