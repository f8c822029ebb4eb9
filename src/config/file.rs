//! The configuration file: TOML with one line per setting and no groups.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::config::error::{Error, Place};
use crate::config::settings::Settings;
use crate::config::table;
use crate::config::value::Kind;
use crate::env::{Disk, OpenMode};

/// No configuration is longer.
const MAX_BYTES: u64 = 1 << 20;

/// Sets what the file at `path` says.
pub(super) fn read(settings: &mut Settings, disk: &dyn Disk, path: &Path) -> Result<(), Error> {
    let failed = |source| Error::File { path: path.to_owned(), source };
    let file = disk.open(path, OpenMode::Read).map_err(failed)?;
    let bytes = file.len().map_err(failed)?;
    if bytes > MAX_BYTES {
        let what = format!("{bytes} bytes are no configuration");
        return Err(Error::Syntax { place: Place::File { path: path.to_owned(), line: 1 }, what });
    }
    let mut text = vec![0; bytes as usize];
    file.read_at(&mut text, 0).map_err(failed)?;
    apply(settings, &String::from_utf8_lossy(&text), path)
}

/// Sets what `text` says; `path` is where it came from.
pub(super) fn apply(settings: &mut Settings, text: &str, path: &Path) -> Result<(), Error> {
    let place = |offset: usize| {
        let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
        Place::File { path: path.to_owned(), line: 1 + before.iter().filter(|byte| **byte == b'\n').count() }
    };
    let document = DeTable::parse(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        Error::Syntax { place: place(offset), what: error.message().replace('\n', "; ") }
    })?;
    // The order of a document is that of its names; complaints come in the order of the lines.
    let mut lines: Vec<_> = document.get_ref().iter().collect();
    lines.sort_by_key(|(name, _)| name.span().start);
    for (name, value) in lines {
        let (name, place) = (name.get_ref().as_ref(), place(name.span().start));
        match text_of(value) {
            Some(text) => settings.set(name, &text, place)?,
            None => return Err(no_setting(name, value, place)),
        }
    }
    Ok(())
}

/// The text that flags and variables would give for a value.
fn text_of(value: &Spanned<DeValue<'_>>) -> Option<String> {
    match value.get_ref() {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().trim_start_matches('+').to_owned()),
        DeValue::Boolean(on) => Some(on.to_string()),
        _ => None,
    }
}

fn no_setting(name: &str, value: &Spanned<DeValue<'_>>, place: Place) -> Error {
    match table::find(name) {
        Some((_, spec)) => {
            let value = match value.get_ref() {
                DeValue::Table(_) => "a table",
                DeValue::Array(_) => "an array",
                _ => "a value of this type",
            };
            let allowed = if spec.kind == Kind::Text { "a text in quotes".into() } else { spec.kind.to_string() };
            Error::Value { place, name: spec.name, value: value.to_owned(), allowed }
        }
        None => Error::Unknown { place, name: name.to_owned(), suggestion: table::suggestion(name) },
    }
}

#[cfg(test)]
mod tests {
    use super::apply;
    use crate::config::settings::Settings;
    use std::path::Path;

    fn check(text: &str, expected: &str) {
        let mut settings = Settings::new();
        let applied = apply(&mut settings, text, Path::new("a.toml"));
        let shown = applied.map_or_else(|error| error.to_string(), |()| settings.listen().to_string());
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn a_file_sets_and_a_mistake_names_its_line() {
        check("# no\nlisten = \"127.0.0.1:7000\"\nmax-clients = 5\nallow-open = true\n", "127.0.0.1:7000");
        check(
            "max-clients = 5\n\nlisten = \"here\"",
            "a.toml:3: `listen` cannot be \"here\"; allowed: IP:PORT, such as 127.0.0.1:6379",
        );
        check(
            "listne = 5",
            "a.toml:1: there is no setting `listne` (did you mean `listen`?); `annulus config --print` shows all",
        );
        check("[server]\nlisten = 5", "a.toml:1: there is no setting `server`; `annulus config --print` shows all");
        check(
            "\nmax-clients = [1]",
            "a.toml:2: `max-clients` cannot be \"an array\"; allowed: a whole number from 1 to 1000000",
        );
        check("max-clients = 0", "a.toml:1: `max-clients` cannot be \"0\"; allowed: a whole number from 1 to 1000000");
    }

    #[test]
    fn what_is_no_toml_is_told_with_its_line() {
        let told =
            |text| apply(&mut Settings::new(), text, Path::new("a.toml")).expect_err("it is no TOML").to_string();
        assert!(told("a = 1\nlisten 5\n").starts_with("a.toml:2: "), "{}", told("a = 1\nlisten 5\n"));
        assert!(told("listen = \"x\"\nlisten = \"y\"\n").starts_with("a.toml:2: duplicate key"));
    }
}
