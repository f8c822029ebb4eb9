//! From the bytes of a name to the table's entry: one hash, no allocation.
//!
//! Names are folded to lower case and packed into 128 bits (no command's name is longer than 15 bytes), so a comparison
//! is one machine comparison. The index is built once, from the table.

use std::sync::LazyLock;

use crate::command::consistency;
use crate::command::context::Planning;
use crate::command::error::CommandError;
use crate::command::table::{Command, commands};
use crate::types::Args;

/// A command, or a subcommand, and its place in the statistics.
#[derive(Clone, Copy)]
pub struct Resolved {
    /// The table's entry.
    pub command: &'static Command,
    /// Place among all commands and subcommands, in the order of the table.
    pub index: usize,
    // Place of the first subcommand.
    first_subcommand: usize,
}

impl Resolved {
    /// Plans the command under the levels of its connection.
    ///
    /// # Errors
    /// What the command's plan refuses, or that its level asks for more replicas than there are.
    #[inline]
    pub fn plan(self, planning: &mut Planning<'_>, args: Args<'_>) -> Result<(), CommandError> {
        if planning.session.levels.are_chosen() {
            consistency::choose(planning, self.command)?;
        } else {
            planning.batch.reset_levels();
        }
        (self.command.plan)(planning, args)
    }
}

const BUCKETS: usize = 1024;
/// Names are packed behind a one, so that zero bytes before a name count too.
const NAME_BYTES_MAX: usize = 15;

struct Index {
    buckets: Vec<Option<(u128, Resolved)>>,
}

static INDEX: LazyLock<Index> = LazyLock::new(|| {
    let mut buckets = vec![None; BUCKETS];
    let mut index = 0;
    for command in commands() {
        let resolved = Resolved { command, index, first_subcommand: index + 1 };
        index += 1 + command.subcommands.len();
        let name = pack(command.name.as_bytes()).expect("names of commands are at most 15 bytes");
        let mut at = bucket(name);
        while buckets[at].is_some() {
            at = (at + 1) % BUCKETS;
        }
        buckets[at] = Some((name, resolved));
    }
    Index { buckets }
});

/// Finds the command, or the subcommand, that `args` names, and checks its arity.
///
/// # Errors
/// Redis's lines for unknown commands and subcommands and for a wrong number of arguments.
#[inline]
pub fn resolve(args: Args<'_>) -> Result<Resolved, CommandError> {
    let resolved = find(args.get(0)).ok_or_else(|| CommandError::unknown_command(args))?;
    if resolved.command.subcommands.is_empty() {
        return arity_checked(resolved, args, None);
    }
    resolve_subcommand(resolved, args)
}

fn resolve_subcommand(container: Resolved, args: Args<'_>) -> Result<Resolved, CommandError> {
    if args.count() < 2 {
        return arity_checked(container, args, None);
    }
    let name = args.get(1);
    let subcommands = container.command.subcommands.iter();
    match subcommands.zip(container.first_subcommand..).find(|(sub, _)| sub.name.as_bytes().eq_ignore_ascii_case(name))
    {
        Some((command, index)) => {
            let resolved = Resolved { command, index, first_subcommand: 0 };
            arity_checked(resolved, args, Some(container.command.name))
        }
        None => Err(CommandError::unknown_subcommand(container.command.name, name)),
    }
}

fn arity_checked(resolved: Resolved, args: Args<'_>, container: Option<&str>) -> Result<Resolved, CommandError> {
    if resolved.command.accepts(args.count()) {
        Ok(resolved)
    } else {
        Err(CommandError::wrong_arity(container, resolved.command.name))
    }
}

/// Every command and subcommand with its place in the statistics and, for a subcommand, its container's name.
pub(super) fn all() -> impl Iterator<Item = (Option<&'static str>, &'static Command)> {
    commands().flat_map(|command| {
        let subcommands = command.subcommands.iter().map(|sub| (Some(command.name), sub));
        std::iter::once((None, command)).chain(subcommands)
    })
}

/// The top-level command of that name, in any case.
#[inline]
pub(super) fn find(name: &[u8]) -> Option<Resolved> {
    let name = pack(name)?;
    let mut at = bucket(name);
    while let Some((found, resolved)) = INDEX.buckets[at] {
        if found == name {
            return Some(resolved);
        }
        at = (at + 1) % BUCKETS;
    }
    None
}

#[inline]
fn pack(name: &[u8]) -> Option<u128> {
    // A loop over few bytes in registers: a copy to the stack, read back as one number, would wait for the store.
    let join = |packed, byte: &u8| packed << 8 | u128::from(byte.to_ascii_lowercase());
    (name.len() <= NAME_BYTES_MAX).then(|| name.iter().fold(1, join))
}

#[inline]
fn bucket(name: u128) -> usize {
    let folded = (name as u64) ^ (name >> 64) as u64;
    (folded.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 54) as usize
}

#[cfg(test)]
mod tests {
    use super::find;
    use crate::command::table::commands;

    #[test]
    fn every_command_is_found_in_any_case() {
        for command in commands() {
            let found = find(command.name.to_ascii_uppercase().as_bytes()).map(|found| found.command.name);
            assert_eq!(found, Some(command.name));
        }
        assert!(find(b"nosuchcommand").is_none());
        assert!(find(b"\0get").is_none());
        assert!(find(b"a-name-longer-than-any-command").is_none());
    }
}
