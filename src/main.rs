//! The command line.
//!
//! Flags come from the table of settings, so that there is one list of them; values are read by `config`, which tells a
//! mistake with its place whether it stands in a flag, a variable or the file.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use annulus::config::{Config, Kind, SPECS, Sources, Spec, meaning, print};
use annulus::env::Disk;
use annulus::env::os::OsDisk;
use annulus::node::{LocalCluster, LostLedger, MAX_LOCAL_NODES, Report, SalvageMode};
use clap::{Arg, ArgAction, ArgMatches, Command};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ABOUT: &str = "A Dynamo-style, leaderless, durable key-value store that every Redis client can talk to";
const FIRST_STEPS: &str = "First steps:
  annulus local              runs a cluster of three nodes on this machine, with its data in ./annulus-local
  annulus status             shows its nodes
  annulus serve --found      founds a cluster of this one node, with its data in ./annulus-data
  annulus serve              starts it again
  redis-cli -p 6379          connects to it";

fn main() -> ExitCode {
    let matches = command().get_matches();
    match matches.subcommand() {
        Some(("serve", flags)) => serve(flags),
        Some(("local", flags)) => local(flags),
        Some(("status", flags)) => status(flags),
        Some(("config", flags)) => show_config(flags),
        Some(("check", flags)) => check(flags),
        Some(("salvage", flags)) => salvage(flags),
        Some(("snapshot", flags)) => snapshot(flags),
        // Without a subcommand clap has shown the help.
        _ => ExitCode::from(2),
    }
}

fn command() -> Command {
    let file = Arg::new("config").long("config").value_name("FILE").value_parser(clap::value_parser!(PathBuf));
    let serve = Command::new("serve")
        .about("Runs one node until SIGTERM, SIGINT or SHUTDOWN")
        .after_help("Every flag is also a key of the file and a variable: --max-clients 5, max-clients = 5, ANNULUS_MAX_CLIENTS=5.\nA flag wins over a variable, a variable over the file.")
        .arg(file.help("TOML file with settings; `annulus config --print` shows one [variable: ANNULUS_CONFIG]"))
        .arg(Arg::new("parent").long("parent").hide(true).value_parser(clap::value_parser!(u32)))
        .args(SPECS.iter().map(flag));
    let print = Arg::new("print").long("print").action(ArgAction::SetTrue).required(true);
    let config = Command::new("config")
        .about("Tells about settings")
        .arg(print.help("Prints every setting with its default and meaning, as a file that can be used"));
    let data = Arg::new("data")
        .long("data")
        .value_name("DIR")
        .default_value("annulus-data")
        .value_parser(clap::value_parser!(PathBuf))
        .help("The data directory, which no node may have open");
    let json = Arg::new("json").long("json").action(ArgAction::SetTrue).help("Tells what is found as JSON");
    let check = Command::new("check")
        .about("Verifies every file of a stopped node; ends with 0 if all is sound, with 1 if not")
        .args([data.clone(), json.clone()]);
    let switch =
        |name: &'static str, help: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue).help(help);
    let salvage = Command::new("salvage")
        .about("Says what can be recovered of a damaged data directory and what is lost; with --write, recovers it")
        .args([
            data.clone(),
            switch("write", "Does it; copies of all that is removed are kept in DIR/salvage-N"),
            switch("new-ledger", "If the ledger is lost: makes the data that of a new cluster of one node"),
        ]);
    let to = Arg::new("to").long("to").value_name("DIR").required(true).value_parser(clap::value_parser!(PathBuf));
    let snapshot = Command::new("snapshot")
        .about("Makes a verified copy of the data directory of a stopped node; SNAPSHOT does it while a node runs")
        .args([data, to.help("Where the copy goes: an empty directory, or one that does not exist")]);
    Command::new("annulus")
        .version(env!("CARGO_PKG_VERSION"))
        .about(ABOUT)
        .after_help(FIRST_STEPS)
        .arg_required_else_help(true)
        .subcommand_required(true)
        .subcommands([serve, local_command(), status_command(json), config, check, salvage, snapshot])
}

fn local_command() -> Command {
    let count = |most: u16| clap::value_parser!(u16).range(1..=i64::from(most));
    let most = u16::MAX - 10_000 - MAX_LOCAL_NODES;
    Command::new("local")
        .about("Runs a whole cluster on this machine until SIGTERM or SIGINT, each node a process of its own")
        .args([
            Arg::new("nodes")
                .long("nodes")
                .value_name("NODES")
                .default_value("3")
                .value_parser(count(MAX_LOCAL_NODES))
                .help("How many nodes, 1 to 9"),
            Arg::new("port")
                .long("port")
                .value_name("PORT")
                .default_value("6379")
                .value_parser(count(most))
                .help("Where clients of the first node connect; the others follow"),
            Arg::new("data")
                .long("data")
                .value_name("DIR")
                .default_value("annulus-local")
                .value_parser(clap::value_parser!(PathBuf))
                .help("Where the data directories and logs of the nodes are"),
            Arg::new("flags")
                .value_name("FLAGS")
                .num_args(0..)
                .last(true)
                .help("More flags of `annulus serve` for each node, after --: annulus local -- --durability none"),
        ])
}

fn status_command(json: Arg) -> Command {
    Command::new("status").about("Shows the nodes of a running cluster, as one of them sees it").args([
        Arg::new("at")
            .long("at")
            .value_name("ADDR")
            .default_value("127.0.0.1:6379")
            .value_parser(clap::value_parser!(SocketAddr))
            .help("Where clients of the node that is asked connect"),
        Arg::new("requirepass")
            .long("requirepass")
            .value_name("TEXT")
            .env("ANNULUS_REQUIREPASS")
            .default_value("")
            .hide_env_values(true)
            .help("The password that clients have to give"),
        json,
    ])
}

fn flag(spec: &'static Spec) -> Arg {
    let default = if spec.default.is_empty() { String::new() } else { format!(" [default: {}]", spec.default) };
    let arg = Arg::new(spec.name)
        .long(spec.name)
        .value_name(spec.kind.placeholder())
        .allow_hyphen_values(true)
        .help(format!("{}{default}", meaning(spec)));
    match (spec.name, spec.kind) {
        ("found", _) => arg.value_name("NODES").num_args(0..=1).default_missing_value("1").allow_hyphen_values(false),
        ("data", _) => arg.value_name("DIR"),
        (_, Kind::Switch) => arg.num_args(0..=1).default_missing_value("true").allow_hyphen_values(false),
        _ => arg,
    }
}

fn local(flags: &ArgMatches) -> ExitCode {
    let number = |name| *flags.get_one::<u16>(name).expect("the flag has a default");
    let cluster = LocalCluster {
        nodes: number("nodes"),
        port: number("port"),
        data: flags.get_one::<PathBuf>("data").expect("the flag has a default").clone(),
        flags: flags.get_many::<String>("flags").into_iter().flatten().cloned().collect(),
    };
    cluster.run().unwrap_or_else(|error| refuse(&error))
}

fn status(flags: &ArgMatches) -> ExitCode {
    let address = *flags.get_one::<SocketAddr>("at").expect("the flag has a default");
    let password = flags.get_one::<String>("requirepass").expect("the flag has a default");
    match annulus::node::survey(address, password) {
        Ok(survey) => {
            say(&if flags.get_flag("json") { survey.json() } else { survey.text() });
            ExitCode::SUCCESS
        }
        Err(error) => refuse(&error),
    }
}

fn serve(flags: &ArgMatches) -> ExitCode {
    if let Some(parent) = flags.get_one::<u32>("parent")
        && let Err(error) = annulus::env::os::end_with_parent(*parent)
    {
        eprintln!("annulus: {error}");
        return ExitCode::FAILURE;
    }
    let given = SPECS.iter().filter_map(|spec| {
        let text = flags.get_one::<String>(spec.name)?;
        Some((spec.name.to_owned(), text.clone()))
    });
    let variables = std::env::vars_os();
    let sources = Sources {
        file: flags.get_one::<PathBuf>("config").cloned(),
        variables: variables
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect(),
        flags: given.collect(),
    };
    let ended = Config::load(&sources, &OsDisk)
        .map_err(annulus::node::Error::from)
        .and_then(|config| annulus::node::run(&config));
    ended.unwrap_or_else(|error| refuse(&error))
}

fn check(flags: &ArgMatches) -> ExitCode {
    let (disk, dir) = disk_and_data(flags);
    let found = match annulus::node::check(&disk, dir) {
        Ok(found) => found,
        Err(error) => return refuse(&error),
    };
    let report = Report { dir, found: &found };
    say(&if flags.get_flag("json") { report.json() } else { report.text() });
    if report.is_sound() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn salvage(flags: &ArgMatches) -> ExitCode {
    let (_, dir) = disk_and_data(flags);
    let env = annulus::env::os::env(&annulus::env::os::Options::new());
    let mode = if flags.get_flag("write") { SalvageMode::Write } else { SalvageMode::Tell };
    let lost = if flags.get_flag("new-ledger") { LostLedger::Replace } else { LostLedger::Refuse };
    match annulus::node::salvage(&env, dir, (mode, lost)) {
        Ok(done) => {
            say(&done.text());
            if done.is_sound() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => refuse(&error),
    }
}

fn snapshot(flags: &ArgMatches) -> ExitCode {
    let (disk, dir) = disk_and_data(flags);
    let to = flags.get_one::<PathBuf>("to").expect("the flag is required");
    match annulus::node::snapshot(&disk, dir, to) {
        Ok(found) => {
            say(&Report { dir: to, found: &found }.text());
            ExitCode::SUCCESS
        }
        Err(error) => refuse(&error),
    }
}

fn disk_and_data(flags: &ArgMatches) -> (Arc<dyn Disk>, &Path) {
    let dir = flags.get_one::<PathBuf>("data").expect("the flag has a default");
    (Arc::new(OsDisk), dir)
}

fn refuse(error: &annulus::node::Error) -> ExitCode {
    eprintln!("annulus: {error}");
    error.exit_code()
}

fn say(text: &str) {
    // A reader that has seen enough (`| head`) is no failure.
    drop(std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes()));
}

fn show_config(_: &ArgMatches) -> ExitCode {
    say(&print());
    ExitCode::SUCCESS
}
