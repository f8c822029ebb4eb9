//! Log lines on standard error, for people or as JSON; their level can be changed while the process runs.
//!
//! Logging is the one thing of a process that is global: it is started by whoever owns the process, once, and nodes that
//! share a process share it.

use std::io::IsTerminal;

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, reload};

use crate::config::Settings;

/// Changes the level of the process's log.
#[derive(Clone, Debug)]
pub struct LogControl {
    level: reload::Handle<LevelFilter, Registry>,
}

impl LogControl {
    /// Starts logging as `log-format` and `log-level` say.
    ///
    /// # Errors
    /// If the process logs already.
    pub fn start(settings: &Settings) -> Result<LogControl, String> {
        let (level, handle) = reload::Layer::new(level_of(settings.text("log-level")));
        let lines = fmt::layer().with_writer(std::io::stderr);
        let lines = match settings.text("log-format") {
            "json" => lines.json().flatten_event(true).boxed(),
            _ => lines.with_target(false).with_ansi(std::io::stderr().is_terminal()).boxed(),
        };
        let started = tracing_subscriber::registry().with(level).with(lines).try_init();
        started.map_err(|error| error.to_string())?;
        Ok(LogControl { level: handle })
    }

    /// Changes the level.
    ///
    /// # Errors
    /// If the process's log has ended.
    pub(super) fn set_level(&self, level: &str) -> Result<(), String> {
        self.level.reload(level_of(level)).map_err(|error| error.to_string())
    }
}

fn level_of(word: &str) -> LevelFilter {
    word.parse().unwrap_or(LevelFilter::INFO)
}
