//! The command line.
//!
//! Flags come from the table of settings, so that there is one list of them; values are read by `config`, which tells a
//! mistake with its place whether it stands in a flag, a variable or the file.

use std::path::PathBuf;
use std::process::ExitCode;

use annulus::config::{Config, Kind, SPECS, Sources, Spec, meaning, print};
use annulus::env::os::OsDisk;
use clap::{Arg, ArgAction, ArgMatches, Command};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ABOUT: &str = "A Dynamo-style, leaderless, durable key-value store that every Redis client can talk to";
const FIRST_STEPS: &str = "First steps:
  annulus serve --found      founds a cluster of this one node, with its data in ./annulus-data
  annulus serve              starts it again
  redis-cli -p 6379          connects to it";

fn main() -> ExitCode {
    let matches = command().get_matches();
    match matches.subcommand() {
        Some(("serve", flags)) => serve(flags),
        Some(("config", flags)) => show_config(flags),
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
        .args(SPECS.iter().map(flag));
    let print = Arg::new("print").long("print").action(ArgAction::SetTrue).required(true);
    let config = Command::new("config")
        .about("Tells about settings")
        .arg(print.help("Prints every setting with its default and meaning, as a file that can be used"));
    Command::new("annulus")
        .version(env!("CARGO_PKG_VERSION"))
        .about(ABOUT)
        .after_help(FIRST_STEPS)
        .arg_required_else_help(true)
        .subcommand_required(true)
        .subcommands([serve, config])
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

fn serve(flags: &ArgMatches) -> ExitCode {
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
    ended.unwrap_or_else(|error| {
        eprintln!("annulus: {error}");
        error.exit_code()
    })
}

fn show_config(_: &ArgMatches) -> ExitCode {
    // A reader that has seen enough (`| head`) is no failure.
    drop(std::io::Write::write_all(&mut std::io::stdout(), print().as_bytes()));
    ExitCode::SUCCESS
}
