//! INFO: which sections a client asked for. What they say is in `report`.

use crate::command::context::{Finishing, Next, plan_nothing};
use crate::command::report::{Report, SECTIONS, Section};
use crate::command::table::{Command, Flags, Group};
use crate::types::Args;

/// It looks at every shard, so in `EXEC` it must run with none locked.
const FLAGS: Flags = Flags::ALONE.with(Flags::GLOBAL).with(Flags::LOADING).with(Flags::STALE);

/// The family's part of the table.
pub(super) static COMMANDS: &[Command] = &[Command::new("info", -1, FLAGS, (plan_nothing, finish_info)).docs(
    Group::Server,
    "1.0.0",
    "Tells the state of the server, in sections.",
)];

fn finish_info(finishing: &mut Finishing<'_>) -> Next {
    let report = Report::new(finishing.services, finishing.batch.now_ms());
    let sections = SECTIONS.iter().filter(|section| is_asked(section, finishing.args));
    let texts: Vec<String> = sections.map(|section| section.text(&report)).collect();
    finishing.reply.verbatim(&texts.join("\r\n"));
    Next::Done
}

/// Whether the arguments of `INFO` name a section, or a group that it is in; no argument means the default group.
fn is_asked(section: &Section, args: Args<'_>) -> bool {
    let names = |word: &[u8]| {
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        is(section.name) || is("all") || is("everything") || (section.is_default && is("default"))
    };
    if args.count() == 1 { section.is_default } else { args.iter().skip(1).any(names) }
}
