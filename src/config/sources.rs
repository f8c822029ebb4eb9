//! Putting a configuration together: flags before variables before the file before defaults.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::config::error::{Error, Place};
use crate::config::file;
use crate::config::settings::{Settings, is_loopback};
use crate::config::table::SPECS;
use crate::env::Disk;

/// The variable that names the configuration file.
const FILE_VARIABLE: &str = "ANNULUS_CONFIG";
const PREFIX: &str = "ANNULUS_";

/// Where a configuration comes from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The file, if a flag names one.
    pub file: Option<PathBuf>,
    /// All environment variables; those that do not begin with `ANNULUS_` are ignored.
    pub variables: Vec<(String, String)>,
    /// Names and values of the flags that were given.
    pub flags: Vec<(String, String)>,
}

/// A configuration that can be used.
#[derive(Clone, Debug)]
pub struct Config {
    /// The values.
    pub settings: Settings,
    /// The file that was read.
    pub file: Option<PathBuf>,
}

impl Config {
    /// Reads all sources and checks that the values go together.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place.
    pub fn load(sources: &Sources, disk: &dyn Disk) -> Result<Config, Error> {
        let named = || sources.variables.iter().find(|(name, _)| name == FILE_VARIABLE);
        let file = sources.file.clone().or_else(|| named().map(|(_, path)| PathBuf::from(path)));
        let mut settings = Settings::new();
        if let Some(path) = &file {
            file::read(&mut settings, disk, path)?;
        }
        for (variable, text) in &sources.variables {
            set_variable(&mut settings, variable, text)?;
        }
        for (name, text) in &sources.flags {
            settings.set(name, text, Place::Flag(name.clone()))?;
        }
        settings.check()?;
        Ok(Config { settings, file })
    }
}

fn set_variable(settings: &mut Settings, variable: &str, text: &str) -> Result<(), Error> {
    if !variable.starts_with(PREFIX) || variable == FILE_VARIABLE || is_of_kubernetes(variable) {
        return Ok(());
    }
    let place = Place::Variable(variable.to_owned());
    match SPECS.iter().find(|spec| spec.variable() == variable) {
        Some(spec) => settings.set(spec.name, text, place),
        // Its name as a setting's, so that the nearest one is found.
        None => settings.set(&variable[PREFIX.len()..].to_ascii_lowercase().replace('_', "-"), text, place),
    }
}

/// Kubernetes gives every container such variables for a service that is called `annulus`.
fn is_of_kubernetes(variable: &str) -> bool {
    ["ANNULUS_SERVICE_", "ANNULUS_PORT_"].iter().any(|start| variable.starts_with(start)) || variable == "ANNULUS_PORT"
}

impl Settings {
    /// Whether the values go together, and with this version.
    ///
    /// # Errors
    /// [`Error::Unfit`].
    pub fn check(&self) -> Result<(), Error> {
        self.check_cluster()?;
        if self.is_exposed() && self.text("requirepass").is_empty() && !self.is_on("allow-open") {
            let what = format!(
                "other machines can reach {}, and no password is set: set requirepass, listen on 127.0.0.1, or allow it \
                 with allow-open",
                self.listen()
            );
            // The place to change may be either: after CONFIG SET it is the password.
            let name = if *self.place("requirepass") == Place::Command { "requirepass" } else { "listen" };
            return Err(self.unfit(name, what));
        }
        self.check_sizes()
    }

    /// What a node needs that is to be one of several from its first start on.
    fn check_cluster(&self) -> Result<(), Error> {
        let is_joining = !self.join().is_empty();
        if is_joining && self.count("found") > 0 {
            return Err(self.unfit("join", "a node founds a cluster or joins one: give found or join, not both"));
        }
        let Some(peers) = self.derived("peer-listen", 10_000)?.filter(|_| is_joining || self.count("found") > 1) else {
            return Ok(());
        };
        self.check_among_peers(peers)
    }

    /// Whether a node that listens for peers at `peers` can be one of several.
    ///
    /// # Errors
    /// [`Error::Unfit`].
    pub fn check_among_peers(&self, peers: SocketAddr) -> Result<(), Error> {
        if peers.ip().is_unspecified() {
            let what = format!("other nodes cannot connect to {peers}: set peer-listen to an address of this machine");
            return Err(self.unfit("peer-listen", what));
        }
        if !is_loopback(peers.ip()) && self.text("cluster-secret").is_empty() {
            let what = format!(
                "other machines can reach {peers}, so the nodes of a cluster have to know a secret: give all of them the \
                 same one"
            );
            return Err(self.unfit("cluster-secret", what));
        }
        Ok(())
    }

    fn check_sizes(&self) -> Result<(), Error> {
        let pair = self.bytes("max-pair-bytes");
        if pair.saturating_mul(4) > self.bytes("memtable-bytes") {
            return Err(self.unfit("max-pair-bytes", "four of these have to fit memtable-bytes"));
        }
        if pair.saturating_mul(2) > self.bytes("query-buffer-max") {
            return Err(self.unfit("max-pair-bytes", "two of these have to fit query-buffer-max"));
        }
        if self.bytes("query-buffer-max").saturating_mul(2) > self.bytes("connection-buffers-max") {
            return Err(self.unfit("query-buffer-max", "two of these have to fit connection-buffers-max"));
        }
        self.derived("peer-listen", 10_000)?;
        self.derived("http-listen", 2_000)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Config, Sources};
    use crate::env::memory::MemoryMachine;
    use crate::env::{Env, OpenMode};
    use std::path::{Path, PathBuf};

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn machine(text: &str) -> Env {
        let env = MemoryMachine::new(1).env();
        env.disk.make_dir(Path::new("/etc")).expect("a memory disk makes directories");
        let file = env.disk.open(Path::new("/etc/a.toml"), OpenMode::CreateNew).expect("a memory disk makes files");
        file.write_at(text.as_bytes(), 0).expect("a memory disk takes bytes");
        env
    }

    fn load(text: &str, variables: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Config, String> {
        let file = Some(PathBuf::from("/etc/a.toml"));
        let sources = Sources { file, variables: pairs(variables), flags: pairs(flags) };
        Config::load(&sources, &*machine(text).disk).map_err(|error| error.to_string())
    }

    #[test]
    fn flags_win_over_variables_over_the_file_over_defaults() {
        let text = "weight = 1\nmax-clients = 1\nreactors = 1";
        let variables = [("ANNULUS_WEIGHT", "2"), ("ANNULUS_MAX_CLIENTS", "2"), ("HOME", "/")];
        let config = load(text, &variables, &[("weight", "3")]).expect("all are allowed");
        let names = ["weight", "max-clients", "reactors", "read-threads"];
        assert_eq!(names.map(|name| config.settings.number(name)), [3, 2, 1, 6]);
        let places = names.map(|name| config.settings.place(name).to_string());
        assert_eq!(places, ["flag --weight", "variable ANNULUS_MAX_CLIENTS", "/etc/a.toml:3", "default"]);
    }

    #[test]
    fn mistakes_name_their_place() {
        let check = |variables: &[(&str, &str)], flags: &[(&str, &str)], expected: &str| {
            let error = load("", variables, flags).expect_err("it is a mistake");
            assert!(error.starts_with(expected), "{error}");
        };
        check(
            &[("ANNULUS_LISTNE", "x")],
            &[],
            "variable ANNULUS_LISTNE: there is no setting `listne` (did you mean `listen`?)",
        );
        check(&[("ANNULUS_WEIGHT", "x")], &[], "variable ANNULUS_WEIGHT: `weight` cannot be \"x\"; allowed: a whole");
        check(&[], &[("join", "a:1")], "flag --join: `join` cannot be \"a:1\"; allowed: IP:PORT, or several");
        let both = [("found", "3"), ("join", "127.0.0.1:1")];
        check(&[], &both, "flag --join: `join`: a node founds a cluster or joins one");
        let anywhere = [("found", "3"), ("peer-listen", "0.0.0.0:1")];
        check(&[], &anywhere, "flag --peer-listen: `peer-listen`: other nodes cannot connect to 0.0.0.0:1");
        let open = [("found", "3"), ("peer-listen", "10.0.0.1:1")];
        check(&[], &open, "default: `cluster-secret`: other machines can reach 10.0.0.1:1");
        check(&[], &[("listen", "0.0.0.0:1")], "flag --listen: `listen`: other machines can reach 0.0.0.0:1");
        check(
            &[],
            &[("listen", "127.0.0.1:60000")],
            "flag --listen: `listen`: the port that peer-listen follows to is 70000",
        );
        check(&[], &[("max-pair-bytes", "32MB")], "flag --max-pair-bytes: `max-pair-bytes`: four of these");
        check(&[], &[("query-buffer-max", "33MB")], "flag --query-buffer-max: `query-buffer-max`: two of these");
        let missing = Sources { file: Some("/none.toml".into()), ..Sources::default() };
        let error = Config::load(&missing, &*machine("").disk).expect_err("there is no such file");
        assert!(error.to_string().starts_with("/none.toml: "), "{error}");
    }

    #[test]
    fn an_open_listener_needs_a_password_or_permission() {
        let open = ("listen", "0.0.0.0:7000");
        for other in [("requirepass", "secret"), ("allow-open", "true")] {
            assert!(load("", &[], &[open, other]).is_ok(), "{other:?}");
        }
        assert!(
            load("", &[("ANNULUS_PORT", "tcp://10.0.0.1:6379"), ("ANNULUS_SERVICE_HOST", "10.0.0.1")], &[]).is_ok()
        );
    }
}
