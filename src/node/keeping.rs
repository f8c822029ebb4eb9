//! What this node keeps for members that are away: the store in the data directory, its workers, and what can be told of it.
//!
//! A node that is alone has none of it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::causality::Hlc;
use crate::command::HintsStatus;
use crate::config::Settings;
use crate::coordinator::Members;
use crate::env::{Env, Priority};
use crate::hints::{self, Hints, Keeper};
use crate::node::error::Error;
use crate::node::store;
use crate::repair::{Handoff, HandoffParts, HandoffStats};
use crate::topology::Current;
use crate::types::NodeNumber;
use crate::worker::Runner;

/// The hints' files in the data directory.
const FOLDER: &str = "hints";

/// The hints of a node, and their delivery before it runs.
pub(super) struct Keeping {
    pub(super) hints: Arc<Hints>,
    stats: Arc<HandoffStats>,
}

/// Whom the hints are for, and how they get there.
pub(super) struct Destination<'a> {
    pub(super) me: NodeNumber,
    pub(super) current: &'a Current,
    pub(super) members: Arc<dyn Members>,
    pub(super) hlc: Arc<Hlc>,
}

impl Keeping {
    /// Opens the store, or makes it, and starts what works on it. May wait for the disk.
    pub(super) fn begin(
        env: &Env,
        settings: &Settings,
        runner: &Runner,
        destination: Destination<'_>,
    ) -> Result<Keeping, Error> {
        let Destination { me, current, members, hlc } = destination;
        let hints = Hints::open(hints::Parts {
            env: env.clone(),
            topology: current.watch(),
            settings: hints::Settings {
                dir: Path::new(settings.text("data")).join(FOLDER),
                durability: store::durability(settings),
                max_bytes: settings.bytes("hints-max-bytes"),
                max_age: settings.duration("hints-max-age"),
            },
        })?;
        let handoff = Handoff::new(HandoffParts {
            me,
            hints: Arc::clone(&hints),
            topology: current.watch(),
            courier: Arc::new(members),
            clock: Arc::clone(&env.clock),
            hlc,
            bandwidth: settings.bytes("handoff-bandwidth"),
        });
        let stats = handoff.stats();
        hints.set_waker(runner.start(Priority::Low, Box::new(Keeper::new(Arc::clone(&hints)))));
        runner.start(Priority::Low, Box::new(handoff));
        Ok(Keeping { hints, stats })
    }

    /// What can be told of it at `now_ms`.
    pub(super) fn status(&self, now_ms: u64) -> HintsStatus {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        HintsStatus {
            store: self.hints.stats(),
            now_ms,
            delivered: load(&self.stats.delivered),
            sent_bytes: load(&self.stats.sent_bytes),
            refused: load(&self.stats.refused),
            failed: load(&self.stats.failed),
        }
    }
}
