//! Certificates of the port between nodes that are renewed in their files while the node runs.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::Tls;
use super::keyspace::Keyspace;
use crate::clock;
use crate::config::Watch;
use crate::limits;

/// The files of what nodes show to each other.
pub(super) struct Shown {
    tls: Tls,
    watch: Watch,
}

impl Shown {
    /// Its files are watched from now on, and are yet to be read.
    pub(super) fn new(tls: &Tls) -> Shown {
        let mut watch = Watch::new(&tls.certificate);
        watch.follow(std::iter::once(&*tls.key).chain(tls.ca.as_deref()));
        let tls = tls.clone();
        Shown { tls, watch }
    }

    /// Takes what is renewed in the files, as long as the process lives. What cannot be used is
    /// told, and what was there stays.
    pub(super) async fn follow(mut self, keyspace: Arc<Keyspace>) {
        loop {
            tokio::time::sleep(Duration::from_millis(limits::WATCH_MS)).await;
            if let Some(changed) = self.watch.has_changed() {
                self.renew(&keyspace, &changed);
            }
        }
    }

    fn renew(&self, keyspace: &Keyspace, changed: &Path) {
        let loaded = self
            .tls
            .acceptor()
            .and_then(|server| Ok((server, self.tls.connector()?)));
        let (server, client) = match loaded {
            Ok(loaded) => loaded,
            Err(error) => {
                tracing::error!(
                    "the old certificate is shown to other nodes still, though {} has changed: \
                     {error}",
                    changed.display()
                );
                return;
            }
        };
        for doubt in server.doubts(clock::now() / 1000) {
            tracing::warn!("{doubt}");
        }
        let channel = keyspace.ringpop.channel();
        let config = client.parts().0;
        channel.renew_tls(server.config(), config.clone());
        keyspace.reachable.callable.renew_tls(config);
        keyspace.others.renew(client);
        // With the next picture the workers take what is new.
        keyspace.members.publish_again();
        tracing::info!("a renewed certificate is shown to other nodes from now on");
    }
}
