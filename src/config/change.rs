//! Changing settings while the node runs: all that were asked for, or none.

use crate::config::error::Error;
use crate::config::settings::Settings;
use crate::config::table::{self, Change};
use crate::config::value::Flaw;

/// Why settings cannot be changed so.
#[derive(Debug)]
pub enum ChangeError {
    /// There is no such setting.
    Unknown,
    /// It only changes with a restart.
    AtStart,
    /// The value is not allowed.
    Value(Flaw),
    /// The value does not go together with the others.
    Unfit(String),
}

impl Settings {
    /// These settings with `changes` (name, value) applied in order.
    ///
    /// # Errors
    /// The name of the first change that cannot be made, and why.
    pub fn changed(&self, changes: &[(&str, &str)]) -> Result<Settings, (String, ChangeError)> {
        let mut changed = self.clone();
        for &(name, text) in changes {
            let refused = |why| (name.to_owned(), why);
            let (index, spec) = table::find(name).ok_or_else(|| refused(ChangeError::Unknown))?;
            if spec.change == Change::AtStart {
                return Err(refused(ChangeError::AtStart));
            }
            let value = spec.kind.parse(text).map_err(|flaw| refused(ChangeError::Value(flaw)))?;
            changed.replace(index, value);
        }
        match changed.check() {
            Ok(()) => Ok(changed),
            Err(Error::Unfit { name, what, .. }) => Err((name.to_owned(), ChangeError::Unfit(what))),
            Err(other) => Err((String::new(), ChangeError::Unfit(other.to_string()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ChangeError;
    use crate::config::error::Place;
    use crate::config::settings::Settings;

    #[test]
    fn all_or_nothing_changes() {
        let settings = Settings::new();
        let changed = settings.changed(&[("max-clients", "5"), ("timeout", "7")]).expect("both are allowed");
        assert_eq!((changed.number("max-clients"), changed.number("timeout")), (5, 7));
        let refused = |changes: &[(&str, &str)]| settings.changed(changes).expect_err("one is not allowed");
        assert!(
            matches!(refused(&[("timeout", "7"), ("nothing", "1")]), (name, ChangeError::Unknown) if name == "nothing")
        );
        assert!(matches!(refused(&[("data", "x")]), (_, ChangeError::AtStart)));
        assert!(matches!(refused(&[("timeout", "x")]), (_, ChangeError::Value(_))));
    }

    #[test]
    fn the_password_of_an_open_listener_cannot_be_taken_away() {
        let mut settings = Settings::new();
        settings.set("listen", "0.0.0.0:7000", Place::Default).expect("an address");
        settings.set("requirepass", "secret", Place::Default).expect("a password");
        let refused = settings.changed(&[("requirepass", "")]).expect_err("it would be open");
        assert!(matches!(refused, (name, ChangeError::Unfit(_)) if name == "requirepass"));
    }
}
