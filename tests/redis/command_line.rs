//! What the program says to a user who tries it, and who makes mistakes.

use std::process::Command;

/// Runs the program to its end: exit code, and what it said on standard error and output.
pub(crate) fn annulus(arguments: &[&str]) -> (Option<i32>, String) {
    run(arguments, &[])
}

fn run(arguments: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut command = Command::new(env!("CARGO_BIN_EXE_annulus"));
    command.args(arguments).current_dir(directory.path()).envs(variables.iter().copied());
    let output = command.output().expect("the program was built");
    let text = [output.stderr, output.stdout].concat();
    (output.status.code(), String::from_utf8(text).expect("it speaks UTF-8"))
}

#[track_caller]
fn check(arguments: &[&str], variables: &[(&str, &str)], expected: &str) {
    let (code, text) = run(arguments, variables);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains(expected), "{text}");
}

#[test]
fn mistakes_are_told_with_their_place() {
    check(&["serve"], &[], "the data directory annulus-data is empty: pass --found");
    check(
        &["serve", "--durability", "fast"],
        &[],
        "flag --durability: `durability` cannot be \"fast\"; allowed: one of",
    );
    check(&["serve"], &[("ANNULUS_WEIGHT", "heavy")], "variable ANNULUS_WEIGHT: `weight` cannot be \"heavy\"");
    check(
        &["serve"],
        &[("ANNULUS_WIEGHT", "1")],
        "variable ANNULUS_WIEGHT: there is no setting `wieght` (did you mean `weight`?)",
    );
    check(&["serve", "--config", "none.toml"], &[], "none.toml: ");
    check(&["serve", "--found", "3", "--join", "127.0.0.1:1"], &[], "`join`: a node founds a cluster or joins one");
    check(&["serve", "--found", "3", "--peer-listen", "10.0.0.1:1"], &[], "`cluster-secret`: other machines can reach");
    check(&["serve", "--join", "somewhere"], &[], "`join` cannot be \"somewhere\"; allowed: IP:PORT, or several");
    check(&["serve", "--listen", "0.0.0.0:6379"], &[], "no password is set: set requirepass");
    check(&["serve", "--wieght", "1"], &[], "a similar argument exists: '--weight'");
    check(&[], &[], "annulus serve --found");
}

#[test]
fn a_file_with_a_mistake_is_named_with_its_line() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("annulus.toml");
    std::fs::write(&path, "# mine\nmax-clients = 5\nreactors = \"many\"\n").expect("a new file");
    let path = path.to_str().expect("a short path");
    let expected = format!("{path}:3: `reactors` cannot be \"many\"; allowed: a whole number from 0 to 1024");
    check(&["serve", "--config", path], &[], &expected);
    check(&["serve"], &[("ANNULUS_CONFIG", path)], &expected);
}

#[test]
fn every_setting_is_printed_and_explained() {
    let (code, text) = annulus(&["config", "--print"]);
    assert_eq!(code, Some(0));
    assert!(
        text.contains("\nlisten = \"127.0.0.1:6379\"\n") && text.contains("\nmax-pair-bytes = \"1MB\"\n"),
        "{text}"
    );
    let (code, help) = annulus(&["serve", "--help"]);
    assert_eq!(code, Some(0));
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let name = line.split(' ').next().unwrap_or_default();
        assert!(help.contains(&format!("--{name} ")), "{name}: {help}");
    }
    let (code, version) = annulus(&["--version"]);
    assert_eq!((code, version.trim()), (Some(0), concat!("annulus ", env!("CARGO_PKG_VERSION"))));
}
