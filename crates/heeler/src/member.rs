//! `heeler ringpop`: a bare member of a ring.

use std::pin::pin;

use crate::{peer, run};

/// Runs until it is asked to stop; then tells the others.
///
/// # Errors
/// It could not start, or not join.
pub fn run(options: &peer::Options) -> anyhow::Result<()> {
    run::control(async {
        let mut stop = pin!(run::asked_to_stop()?);
        let ringpop = peer::member(options)?.start().await?;
        tracing::info!(
            peer = ringpop.whoami(),
            app = ringpop.app(),
            "joining the ring"
        );
        tokio::select! {
            () = &mut stop => {}
            joined = ringpop.ready() => {
                joined?;
                stop.await;
            }
        }
        ringpop.shut_down().await;
        tracing::info!("stopped");
        Ok(())
    })
}
