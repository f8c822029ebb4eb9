//! CONFIG.

use crate::command::table::Command;

/// The family's part of the table.
pub(super) static COMMANDS: &[Command] = &[];
