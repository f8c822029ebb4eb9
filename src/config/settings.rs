//! The values of all settings, and where each came from.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::config::error::{Error, Place};
use crate::config::table::{self, SPECS, Spec};
use crate::config::value::{Flaw, Value};

/// A value for every setting of the table.
#[derive(Clone, Debug)]
pub struct Settings {
    values: Vec<(Value, Place)>,
}

impl Settings {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        let default = |spec: &Spec| spec.kind.parse(spec.default).expect("a test reads every default of the table");
        Settings { values: SPECS.iter().map(|spec| (default(spec), Place::Default)).collect() }
    }

    /// Every setting with its value, in the order of the table.
    pub fn iter(&self) -> impl Iterator<Item = (&'static Spec, &Value)> {
        SPECS.iter().zip(self.values.iter().map(|(value, _)| value))
    }

    /// Gives a setting the value that `text` says.
    ///
    /// # Errors
    /// [`Error::Unknown`] or [`Error::Value`], with `place`.
    pub fn set(&mut self, name: &str, text: &str, place: Place) -> Result<(), Error> {
        let Some((index, spec)) = table::find(name) else {
            return Err(Error::Unknown { place, name: name.to_owned(), suggestion: table::suggestion(name) });
        };
        let value = spec.kind.parse(text).map_err(|flaw| refusal(spec, text, &place, &flaw))?;
        self.values[index] = (value, place);
        Ok(())
    }

    /// Replaces the value of the setting at `index` of the table.
    pub(super) fn replace(&mut self, index: usize, value: Value) {
        self.values[index] = (value, Place::Command);
    }

    /// Where the value of a setting was given.
    #[must_use]
    pub fn place(&self, name: &str) -> &Place {
        &self.values[index_of(name)].1
    }

    /// That `what` is wrong with the value that a setting has.
    pub(super) fn unfit(&self, name: &'static str, what: impl Into<String>) -> Error {
        Error::Unfit { place: self.place(name).clone(), name, what: what.into() }
    }

    /// The value of a setting.
    ///
    /// # Panics
    /// If the table has no such setting.
    #[must_use]
    pub fn value(&self, name: &str) -> &Value {
        &self.values[index_of(name)].0
    }

    /// The value of a text, a word or a choice.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        match self.value(name) {
            Value::Text(text) => text,
            Value::Choice(word) => word,
            other => unreachable!("{name} is no text: {other}"),
        }
    }

    /// The value of a number.
    #[must_use]
    pub fn number(&self, name: &str) -> i64 {
        match self.value(name) {
            Value::Number(number) => *number,
            other => unreachable!("{name} is no number: {other}"),
        }
    }

    /// The value of a number that is not negative.
    #[must_use]
    pub fn count(&self, name: &str) -> u64 {
        u64::try_from(self.number(name)).unwrap_or(0)
    }

    /// The value of a size, in bytes.
    #[must_use]
    pub fn bytes(&self, name: &str) -> u64 {
        match self.value(name) {
            Value::Bytes(bytes) => *bytes,
            other => unreachable!("{name} is no size: {other}"),
        }
    }

    /// The value of a length of time.
    #[must_use]
    pub fn duration(&self, name: &str) -> Duration {
        match self.value(name) {
            Value::Duration(duration) => *duration,
            other => unreachable!("{name} is no time: {other}"),
        }
    }

    /// The value of a switch.
    #[must_use]
    pub fn is_on(&self, name: &str) -> bool {
        *self.value(name) == Value::Switch(true)
    }

    /// Where clients connect.
    #[must_use]
    pub fn listen(&self) -> SocketAddr {
        match self.value("listen") {
            Value::Address(address) => *address,
            other => unreachable!("listen is no address: {other}"),
        }
    }

    /// The addresses of a cluster to join; none if this node is not to join one.
    #[must_use]
    pub fn join(&self) -> &[SocketAddr] {
        match self.value("join") {
            Value::Addresses(addresses) => addresses,
            other => unreachable!("join is no list of addresses: {other}"),
        }
    }

    /// The address of setting `name`; if it follows from `listen`: that with `offset` added to its port. `None` if it is off.
    ///
    /// # Errors
    /// [`Error::Unfit`] if there is no such port.
    pub fn derived(&self, name: &'static str, offset: u16) -> Result<Option<SocketAddr>, Error> {
        let listen = self.listen();
        match self.value(name) {
            Value::Address(address) => Ok(Some(*address)),
            Value::Off => Ok(None),
            // Any free port was asked for: the one that follows from it is not known yet, any other will do.
            _ if listen.port() == 0 => Ok(Some(SocketAddr::new(listen.ip(), 0))),
            _ => match listen.port().checked_add(offset) {
                Some(port) => Ok(Some(SocketAddr::new(listen.ip(), port))),
                None => {
                    let port = u32::from(listen.port()) + u32::from(offset);
                    let what = format!("the port that {name} follows to is {port}; set {name}, or a lower port here");
                    Err(self.unfit("listen", what))
                }
            },
        }
    }

    /// Whether clients can reach the node from other machines.
    #[must_use]
    pub fn is_exposed(&self) -> bool {
        !is_loopback(self.listen().ip())
    }
}

impl Default for Settings {
    fn default() -> Self {
        Settings::new()
    }
}

fn index_of(name: &str) -> usize {
    table::find(name).unwrap_or_else(|| unreachable!("the table has no setting {name}")).0
}

pub(super) fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

fn refusal(spec: &'static Spec, text: &str, place: &Place, flaw: &Flaw) -> Error {
    let allowed = match flaw {
        Flaw::NotANumber => spec.kind.to_string(),
        flaw => flaw.to_string(),
    };
    Error::Value { place: place.clone(), name: spec.name, value: text.to_owned(), allowed }
}
