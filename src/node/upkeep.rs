//! What a node looks after by itself once in a while: its store's health, idle connections, the rate of commands.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::command::{Admin, Services};
use crate::node::admin::NodeAdmin;
use crate::session::Registry;

/// How often the store is asked whether it failed.
const TICK: Duration = Duration::from_millis(250);
/// Ticks between looks at connections and rates.
const SLOW_TICKS: u32 = 4;

/// Runs until `stopping`, or until the store fails: then the answer says why.
pub(super) async fn run(services: Arc<Services>, admin: Arc<NodeAdmin>, stopping: CancellationToken) -> Option<String> {
    let clock = Arc::clone(&admin.env.clock);
    let mut last = (services.stats.total_calls(), clock.monotonic());
    for tick in 1_u32.. {
        tokio::select! {
            biased;
            () = stopping.cancelled() => return None,
            () = tokio::time::sleep(TICK) => {}
        }
        if let Some(reason) = admin.replica.failure() {
            return Some(reason);
        }
        if tick.is_multiple_of(SLOW_TICKS) {
            let now = (services.stats.total_calls(), clock.monotonic());
            let elapsed_ms = now.1.saturating_sub(last.1).as_millis().max(1) as u64;
            admin.note_rate(now.0.saturating_sub(last.0) * 1000 / elapsed_ms);
            last = now;
            let idle_ms = admin.tunables().idle_timeout_ms.load(Ordering::Relaxed);
            close_idle(&services.registry, clock.wall_ms(), idle_ms);
        }
    }
    None
}

/// Closes connections that have sent nothing for `idle_ms`; 0 closes none.
fn close_idle(registry: &Registry, now_ms: u64, idle_ms: u64) {
    if idle_ms == 0 {
        return;
    }
    let clients = registry.list();
    let is_idle = |active_ms: u64| now_ms.saturating_sub(active_ms) >= idle_ms;
    clients.iter().filter(|client| is_idle(client.active_ms.load(Ordering::Relaxed))).for_each(|client| client.kill());
}

#[cfg(test)]
mod tests {
    use super::close_idle;
    use crate::session::Registry;
    use std::net::SocketAddr;

    #[test]
    fn only_idle_connections_are_closed() {
        let registry = Registry::new(2);
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let old = registry.admit(address, address, 1_000).expect("room for two");
        let new = registry.admit(address, address, 5_000).expect("room for two");
        close_idle(&registry, 6_000, 0);
        assert!(!old.is_killed());
        close_idle(&registry, 6_000, 5_000);
        assert!(old.is_killed() && !new.is_killed());
    }
}
