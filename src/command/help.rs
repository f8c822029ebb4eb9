//! The HELP subcommand of container commands, made from the table.

use crate::command::context::{Finishing, Next};
use crate::command::table::Command;

/// Replies with one line for each subcommand's name and one for its summary.
pub(super) fn reply_help(finishing: &mut Finishing<'_>, container: &str, subcommands: &[Command]) -> Next {
    let reply = &mut finishing.reply;
    reply.array(1 + 2 * subcommands.len());
    reply.simple(&format!("{container} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"));
    for subcommand in subcommands {
        reply.simple(&subcommand.name.to_ascii_uppercase());
        reply.simple(&format!("    {}", subcommand.summary));
    }
    Next::Done
}
