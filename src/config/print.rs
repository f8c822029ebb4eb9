//! `annulus config --print`: every setting as a file that can be used.

use std::fmt::Write as _;

use crate::config::table::{Change, SPECS, Spec};
use crate::config::value::{Kind, Value};

/// Columns of a comment.
const WIDTH: usize = 100;

/// A valid configuration file with every setting, its default and what it means.
#[must_use]
pub fn print() -> String {
    let mut text = String::from(
        "# Every setting of Annulus with its default. A file has any of these lines: annulus serve --config FILE.\n\
         # Each is also a flag of `annulus serve` (--max-clients 5) and a variable (ANNULUS_MAX_CLIENTS=5).\n\
         # A flag wins over a variable, a variable over the file. [live]: CONFIG SET changes it while the node runs.\n",
    );
    for spec in SPECS {
        text.push('\n');
        for line in wrap(&meaning(spec)) {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "# {line}");
        }
        let _ = writeln!(text, "{} = {}", spec.name, toml_of(spec));
    }
    text
}

/// What a setting means, what is allowed and whether it changes at run time.
#[must_use]
pub fn meaning(spec: &Spec) -> String {
    let allowed = match spec.kind {
        Kind::Text | Kind::Switch => String::new(),
        kind => format!(" Allowed: {kind}."),
    };
    let live = if spec.change == Change::WhileRunning { " [live]" } else { "" };
    format!("{}{allowed}{live}", spec.meaning)
}

fn toml_of(spec: &Spec) -> String {
    match spec.kind.parse(spec.default) {
        Ok(Value::Number(number)) => number.to_string(),
        Ok(Value::Switch(on)) => on.to_string(),
        _ => format!("{:?}", spec.default),
    }
}

fn wrap(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is a first line");
        if line.is_empty() {
            line.push_str(word);
        } else if line.len() + 1 + word.len() <= WIDTH {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::print;
    use crate::config::file;
    use crate::config::settings::Settings;
    use crate::config::table::SPECS;
    use std::path::Path;

    #[test]
    fn what_is_printed_reads_back_as_the_defaults() {
        let (mut settings, defaults) = (Settings::new(), Settings::new());
        file::apply(&mut settings, &print(), Path::new("printed")).expect("a valid file");
        for spec in SPECS {
            assert_eq!(settings.value(spec.name), defaults.value(spec.name));
            assert_ne!(settings.place(spec.name), defaults.place(spec.name), "{} is printed", spec.name);
        }
    }
}
