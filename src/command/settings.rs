//! CONFIG: our settings, and Redis's parameters that clients ask for.
//!
//! A parameter of Redis ([`PARAMETERS`]) shows what corresponds to it here. Most cannot change; setting one to what it is
//! already is no error, because suites and tools do that to be sure.
//!
//! Invariant: names are checked first, in the order given, then values; either all settings change or none.
//! Source: Redis 7.0.15 `config.c`: the order of its checks and its lines.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::command::admin::{Admin, RefusedReason, SettingRefused};
use crate::command::context::{Finishing, Next, finish_ok, plan_nothing};
use crate::command::error::CommandError;
use crate::command::help::reply_help;
use crate::command::table::{Command, Finish, Flags, Group};
use crate::types::{Args, glob_match};

const COLD: Flags = Flags::ALONE.with(Flags::ADMIN).with(Flags::NOSCRIPT).with(Flags::LOADING).with(Flags::STALE);

/// The family's part of the table.
pub(super) static COMMANDS: &[Command] = &[Command::new("config", -2, Flags::NONE, (plan_nothing, finish_ok))
    .docs(Group::Server, "2.0.0", "Shows and changes settings.")
    .subcommands(SUBCOMMANDS)];

static SUBCOMMANDS: &[Command] = &[
    sub("get", -3, (COLD, finish_get), "Shows the settings whose names match the patterns."),
    sub("set", -4, (COLD.with(Flags::SECRET), finish_set), "Changes settings, all that are given or none."),
    sub("resetstat", 2, (COLD, finish_resetstat), "Lets the statistics of INFO begin anew."),
    sub("rewrite", 2, (COLD, finish_rewrite), "Refused: configuration files are not written by the server."),
    sub("help", 2, (COLD, finish_help), "Lists the subcommands."),
];

const fn sub(name: &'static str, arity: i16, run: (Flags, Finish), summary: &'static str) -> Command {
    Command::new(name, arity, run.0, (plan_nothing, run.1)).docs(Group::Server, "2.0.0", summary)
}

/// What a parameter of Redis shows.
#[derive(Clone, Copy)]
enum Source {
    /// Always the same.
    Fixed(&'static str),
    /// One of our settings, under its own name.
    Setting(&'static str),
    /// Something made of the settings and the identity.
    Made(fn(&dyn Admin, &Settings) -> String),
    /// `log-level` in Redis's words.
    LogLevel,
}

/// Our settings: value, and whether it can change.
type Settings = BTreeMap<&'static str, (String, bool)>;

/// Parameters of Redis that our settings do not have under the same name.
const PARAMETERS: &[(&str, Source)] = &[
    ("appendfsync", Source::Made(appendfsync)),
    ("appendonly", Source::Fixed("yes")),
    ("bind", Source::Made(|admin, _| admin.identity().client_address.ip().to_string())),
    ("cluster-enabled", Source::Fixed("yes")),
    ("cluster-require-full-coverage", Source::Fixed("yes")),
    ("databases", Source::Fixed("16")),
    ("dir", Source::Setting("data")),
    ("latency-tracking", Source::Fixed("yes")),
    ("loglevel", Source::LogLevel),
    ("maxclients", Source::Setting("max-clients")),
    ("maxmemory", Source::Fixed("0")),
    ("maxmemory-policy", Source::Fixed("noeviction")),
    ("notify-keyspace-events", Source::Fixed("")),
    ("port", Source::Made(|admin, _| admin.identity().client_address.port().to_string())),
    ("proto-max-bulk-len", Source::Fixed("536870912")),
    ("protected-mode", Source::Made(protected_mode)),
    ("replica-read-only", Source::Fixed("yes")),
    ("save", Source::Fixed("")),
    ("slave-read-only", Source::Fixed("yes")),
    ("tcp-keepalive", Source::Fixed("300")),
];

fn appendfsync(_: &dyn Admin, settings: &Settings) -> String {
    let word = match settings["durability"].0.as_str() {
        "sync" => "always",
        "everysec" => "everysec",
        _ => "no",
    };
    word.to_owned()
}

fn protected_mode(_: &dyn Admin, settings: &Settings) -> String {
    if settings["allow-open"].0 == "true" { "no".to_owned() } else { "yes".to_owned() }
}

/// Our levels and Redis's, the one that is shown for a level first.
const LOG_LEVELS: &[(&str, &str)] =
    &[("trace", "debug"), ("debug", "verbose"), ("info", "notice"), ("warn", "warning"), ("error", "warning")];

impl Source {
    fn show(self, admin: &dyn Admin, settings: &Settings) -> String {
        match self {
            Source::Fixed(value) => value.to_owned(),
            Source::Setting(name) => settings[name].0.clone(),
            Source::Made(make) => make(admin, settings),
            Source::LogLevel => {
                let ours = &settings["log-level"].0;
                let found = LOG_LEVELS.iter().find(|(name, _)| name == ours);
                found.map_or_else(String::new, |(_, theirs)| (*theirs).to_owned())
            }
        }
    }
}

fn settings_of(admin: &dyn Admin) -> Settings {
    admin.settings().into_iter().map(|setting| (setting.name, (setting.value, setting.can_change))).collect()
}

fn parameter(name: &str) -> Option<Source> {
    PARAMETERS.iter().find(|(known, _)| *known == name).map(|(_, source)| *source)
}

fn finish_get(finishing: &mut Finishing<'_>) -> Next {
    let admin = &*finishing.services.admin;
    let settings = settings_of(admin);
    let ours = settings.iter().map(|(name, (value, _))| (*name, value.clone()));
    let theirs = PARAMETERS.iter().map(|(name, source)| (*name, source.show(admin, &settings)));
    let patterns: Vec<Vec<u8>> = finishing.args.iter().skip(2).map(<[u8]>::to_ascii_lowercase).collect();
    let is_asked = |name: &str| patterns.iter().any(|pattern| glob_match(pattern, name.as_bytes()));
    let asked: Vec<(&str, String)> = ours.chain(theirs).filter(|(name, _)| is_asked(name)).collect();
    finishing.reply.map(asked.len());
    for (name, value) in asked {
        finishing.reply.bulk(name.as_bytes());
        finishing.reply.bulk(value.as_bytes());
    }
    Next::Done
}

fn finish_set(finishing: &mut Finishing<'_>) -> Next {
    match set(&*finishing.services.admin, finishing.args) {
        Ok(()) => finishing.ok(),
        Err(error) => finishing.fail(&error),
    }
}

/// One pair of `CONFIG SET`.
struct Pair<'a> {
    /// The name as the client wrote it.
    asked: Cow<'a, str>,
    /// The setting to change, or nothing for a parameter that is what it is.
    setting: Option<&'static str>,
    value: Cow<'a, str>,
}

fn set(admin: &dyn Admin, args: Args<'_>) -> Result<(), CommandError> {
    if !args.count().is_multiple_of(2) {
        return Err(CommandError::SYNTAX);
    }
    let settings = settings_of(admin);
    let mut pairs: Vec<Pair<'_>> = Vec::new();
    for index in (2..args.count()).step_by(2) {
        let pair = pair(admin, &settings, (args.get(index), args.get(index + 1)))?;
        let is_same = |other: &Pair<'_>| {
            other.asked.eq_ignore_ascii_case(&pair.asked) || (pair.setting.is_some() && other.setting == pair.setting)
        };
        if pairs.iter().any(is_same) {
            return Err(refused(&pair.asked, "duplicate parameter"));
        }
        pairs.push(pair);
    }
    let changes: Vec<(&str, &str)> = pairs.iter().filter_map(|pair| Some((pair.setting?, &*pair.value))).collect();
    admin.set(&changes).map_err(|SettingRefused { name, reason }| {
        let asked = pairs.iter().find(|pair| pair.setting == Some(name.as_str()));
        let asked = asked.map_or(name.as_str(), |pair| &pair.asked);
        match reason {
            RefusedReason::Unknown => unknown(asked),
            RefusedReason::Fixed => refused(asked, FIXED),
            RefusedReason::Value(what) | RefusedReason::Failed(what) => refused(asked, &what),
        }
    })
}

const FIXED: &str = "can't set immutable config";

/// Which setting a name and a value mean.
fn pair<'a>(
    admin: &dyn Admin,
    settings: &Settings,
    (name, value): (&'a [u8], &'a [u8]),
) -> Result<Pair<'a>, CommandError> {
    let (asked, value) = (String::from_utf8_lossy(name), String::from_utf8_lossy(value));
    let lower = asked.to_ascii_lowercase();
    if let Some((name, (_, can_change))) = settings.get_key_value(lower.as_str()) {
        return if *can_change { Ok(Pair { asked, setting: Some(name), value }) } else { Err(refused(&asked, FIXED)) };
    }
    match parameter(&lower) {
        Some(Source::Setting(name)) if settings[name].1 => Ok(Pair { asked, setting: Some(name), value }),
        Some(Source::LogLevel) => {
            let found = LOG_LEVELS.iter().find(|(_, theirs)| value.eq_ignore_ascii_case(theirs));
            let Some((ours, _)) = found else {
                let what = "argument(s) must be one of the following: debug, verbose, notice, warning";
                return Err(refused(&asked, what));
            };
            Ok(Pair { asked, setting: Some("log-level"), value: Cow::Borrowed(ours) })
        }
        Some(source) if source.show(admin, settings) == value => Ok(Pair { asked, setting: None, value }),
        Some(_) => Err(refused(&asked, FIXED)),
        None => Err(unknown(&asked)),
    }
}

fn unknown(name: &str) -> CommandError {
    CommandError::line(format!("ERR Unknown option or number of arguments for CONFIG SET - '{name}'"))
}

fn refused(name: &str, what: &str) -> CommandError {
    CommandError::line(format!("ERR CONFIG SET failed (possibly related to argument '{name}') - {what}"))
}

fn finish_resetstat(finishing: &mut Finishing<'_>) -> Next {
    let services = finishing.services;
    services.stats.reset(services.admin.status().totals());
    finishing.ok()
}

fn finish_rewrite(finishing: &mut Finishing<'_>) -> Next {
    let line = match &finishing.services.admin.identity().config_file {
        None => "ERR The server is running without a config file",
        Some(_) => {
            "ERR The server does not write its config file; change it by hand, `annulus config --print` shows one"
        }
    };
    finishing.fail(&CommandError::text(line))
}

fn finish_help(finishing: &mut Finishing<'_>) -> Next {
    reply_help(finishing, "CONFIG", SUBCOMMANDS)
}
