//! Settings: one table, read from flags, environment variables and a TOML file.
//!
//! Precedence: flag, variable, file, default. A mistake names the setting, its place (file and line, variable, flag) and
//! what is allowed; the first one ends the start.
//!
//! Invariant: [`Settings`] has an allowed value for every setting of [`SPECS`]; what goes together only in some ways is
//! checked by [`Settings::check`] at the start and at every change.
//! Left out: what a setting does (`node` hands values to the modules), and `CONFIG` itself (`command`).

mod change;
mod error;
mod file;
mod print;
mod settings;
mod sources;
mod table;
mod value;

pub use change::ChangeError;
pub use error::{Error, Place};
pub use print::{meaning, print};
pub use settings::Settings;
pub use sources::{Config, Sources};
pub use table::{Change, SPECS, Spec};
pub use value::{Flaw, Kind, Value};
