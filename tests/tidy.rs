//! The rules of the house as a test: who may use whom, what may not be written, how long things may be.
//!
//! The source is read as tokens, so that comments and strings never trip a rule. Each rule is a function from one parsed
//! file to violations `path:line: what is wrong`; `the_source_is_tidy` prints all of them at once, and the tests at the
//! end hand every rule a snippet that breaks it.
//!
//! Invariant: [`LONG_FUNCTIONS`] only shrinks; a new edge between modules is a change of [`MODULES`], in a commit of its own.
//! Left out: what rustfmt, clippy and rustdoc find by themselves.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// A module of `src/`: its layer, the highest layer it may look at, and the modules of its own layer that it may use.
struct Module {
    layer: u8,
    name: &'static str,
    sees: u8,
    beside: &'static [&'static str],
}

const fn module(layer: u8, name: &'static str) -> Module {
    beside(layer, name, &[])
}

const fn beside(layer: u8, name: &'static str, beside: &'static [&'static str]) -> Module {
    Module { layer, name, sees: layer.saturating_sub(1), beside }
}

/// The layers of the crate. A module may use the layers below it and, in its own, what stands behind it here.
const MODULES: &[Module] = &[
    module(0, "types"),
    module(0, "codec"),
    module(0, "metrics"),
    module(1, "env"),
    beside(1, "worker", &["env"]),
    module(2, "causality"),
    module(2, "ring"),
    beside(2, "quorum", &["causality", "ring"]),
    module(2, "paxos"),
    module(2, "merkle"),
    module(2, "membership"),
    // The engine knows bytes, never versions: it does not see layer 2.
    Module { layer: 3, name: "storage", sees: 1, beside: &[] },
    module(3, "resp"),
    module(3, "wire"),
    module(3, "ledger"),
    module(4, "replica"),
    module(4, "hints"),
    module(4, "peer"),
    module(5, "gossip"),
    beside(5, "repair", &["gossip"]),
    beside(5, "topology", &["gossip", "repair"]),
    module(6, "coordinator"),
    module(7, "session"),
    beside(7, "command", &["session"]),
    module(8, "server"),
    module(9, "config"),
    beside(9, "node", &["config"]),
    module(10, "main"),
];

/// Functions that may pass [`FUNCTION_LINES`], as `path name`.
const LONG_FUNCTIONS: &[&str] = &[];

const FUNCTION_LINES: usize = 70;
const FILE_LINES: usize = 800;
/// Lines without tests from which a file is named in the output, without failing.
const FILE_LINES_TO_THINK: usize = 500;

const MACROS: &[&str] = &["dbg", "todo", "unimplemented"];
const MARKS: &[&str] = &["TODO", "FIXME"];
const DRAWERS: &[&str] = &["util", "utils", "common", "helper", "helpers", "manager", "misc"];
/// Names of `std::net` that are plain values; all others are sockets or name look-ups.
const ADDRESSES: &[&str] =
    &["SocketAddr", "SocketAddrV4", "SocketAddrV6", "IpAddr", "Ipv4Addr", "Ipv6Addr", "AddrParseError"];

// ---- Reading ----

/// One word or sign of code, with its line counted from 1.
struct Token {
    text: String,
    line: usize,
}

/// A path as written, a `use` tree being spread into all the paths it names.
struct Mention {
    segments: Vec<String>,
    line: usize,
    imported: bool,
}

struct Function {
    name: String,
    first: usize,
    last: usize,
}

/// A file, parsed as far as the rules need.
struct Source {
    path: String,
    lines: Vec<String>,
    comments: Vec<(usize, String)>,
    tokens: Vec<Token>,
    mentions: Vec<Mention>,
    functions: Vec<Function>,
    tests: Vec<(usize, usize)>,
}

impl Source {
    fn parse(path: &str, text: &str) -> Source {
        let (tokens, comments) = tokenize(text);
        Source {
            path: path.to_owned(),
            lines: text.lines().map(str::to_owned).collect(),
            comments,
            mentions: mentions(&tokens),
            functions: functions(&tokens),
            tests: test_items(&tokens),
            tokens,
        }
    }

    /// The module of `src/` that the file belongs to; `None` for `lib.rs` and everything outside `src/`.
    fn module(&self) -> Option<&str> {
        let inside = self.path.strip_prefix("src/")?;
        let name = inside.split('/').next()?.trim_end_matches(".rs");
        (name != "lib").then_some(name)
    }

    fn is_test(&self, line: usize) -> bool {
        self.path.starts_with("tests/") || self.tests.iter().any(|(first, last)| (*first..=*last).contains(&line))
    }

    /// Where the modules lie that this file declares for tests only, as the beginnings of their paths.
    fn test_modules(&self) -> Vec<String> {
        let stem = self.path.trim_end_matches(".rs");
        let folder = ["/mod", "/lib", "/main"].iter().find_map(|root| stem.strip_suffix(root)).unwrap_or(stem);
        let declared = self.tokens.windows(3).filter(|three| three[0].text == "mod" && three[2].text == ";");
        let for_tests = declared.filter(|three| self.is_test(three[0].line));
        for_tests.flat_map(|three| ["/", ".rs"].map(|end| format!("{folder}/{}{end}", three[1].text))).collect()
    }

    fn at(&self, line: usize, what: &str) -> String {
        format!("{}:{line}: {what}", self.path)
    }
}

/// Splits text into the tokens of its code and its comments; what strings and characters hold is dropped.
fn tokenize(text: &str) -> (Vec<Token>, Vec<(usize, String)>) {
    let chars: Vec<char> = text.chars().collect();
    let (mut tokens, mut comments) = (Vec::new(), Vec::new());
    let (mut at, mut line) = (0, 1);
    while at < chars.len() {
        let rest = &chars[at..];
        let length = match rest {
            ['/', '/', ..] => rest.iter().position(|c| *c == '\n').unwrap_or(rest.len()),
            ['/', '*', ..] => block_comment(rest),
            ['"', ..] => quoted(rest),
            ['\'', ..] => character(rest),
            [c, ..] if c.is_alphanumeric() || *c == '_' => raw_string(rest)
                .unwrap_or_else(|| rest.iter().take_while(|c| c.is_alphanumeric() || **c == '_').count()),
            [':', ':', ..] => 2,
            _ => 1,
        };
        let piece: String = rest[..length].iter().collect();
        if piece.starts_with("//") || piece.starts_with("/*") {
            comments.push((line, piece.clone()));
        } else if !piece.trim().is_empty() && !piece.contains('"') && !piece.starts_with('\'') {
            tokens.push(Token { text: piece.clone(), line });
        }
        line += piece.matches('\n').count();
        at += length;
    }
    (tokens, comments)
}

fn block_comment(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        match rest[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn quoted(rest: &[char]) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != rest[0] {
        at += if rest[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

/// A character literal, or the mark alone of a lifetime.
fn character(rest: &[char]) -> usize {
    match rest {
        [_, '\\', ..] => quoted(rest),
        [_, _, '\'', ..] => 3,
        _ => 1,
    }
}

/// The length of a raw or prefixed string that begins here.
fn raw_string(rest: &[char]) -> Option<usize> {
    let prefix = rest.iter().take_while(|c| matches!(c, 'r' | 'b' | 'c')).count();
    let hashes = rest[prefix..].iter().take_while(|c| **c == '#').count();
    if prefix == 0 || prefix > 2 || rest.get(prefix + hashes) != Some(&'"') {
        return None;
    }
    if !rest[..prefix].contains(&'r') {
        return (hashes == 0).then(|| prefix + quoted(&rest[prefix..]));
    }
    let body = prefix + hashes + 1;
    let end = (body..rest.len())
        .find(|at| rest[*at] == '"' && rest[at + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes)
        .unwrap_or(rest.len() - 1);
    Some((end + 1 + hashes).min(rest.len()))
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// All paths of the code, those of `use` trees spread out.
fn mentions(tokens: &[Token]) -> Vec<Mention> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let text = tokens[at].text.as_str();
        let next = tokens.get(at + 1).map_or("", |token| token.text.as_str());
        if text == "use" && next != "<" {
            at = use_tree(tokens, at + 1, &[], &mut found);
        } else if is_word(text) {
            let (first, mut segments) = (at, vec![text.to_owned()]);
            while at + 2 < tokens.len() && tokens[at + 1].text == "::" && is_word(&tokens[at + 2].text) {
                at += 2;
                segments.push(tokens[at].text.clone());
            }
            found.push(Mention { segments, line: tokens[first].line, imported: false });
            at += 1;
        } else {
            at += 1;
        }
    }
    found
}

/// Spreads the tree that begins at `at` under `prefix`; answers the index after it.
fn use_tree(tokens: &[Token], mut at: usize, prefix: &[String], found: &mut Vec<Mention>) -> usize {
    let mut segments = prefix.to_vec();
    let line = tokens.get(at).map_or(0, |token| token.line);
    while at < tokens.len() {
        match tokens[at].text.as_str() {
            "{" => {
                at += 1;
                while at < tokens.len() && tokens[at].text != "}" {
                    at = use_tree(tokens, at, &segments, found);
                    at += usize::from(tokens.get(at).is_some_and(|token| token.text == ","));
                }
                return at + 1;
            }
            "," | ";" | "}" => break,
            "as" => at += 1,
            "::" | "self" if !segments.is_empty() => {}
            "::" => {}
            name => segments.push(name.to_owned()),
        }
        at += 1;
    }
    found.push(Mention { segments, line, imported: true });
    at
}

/// The index of the token that closes the item which begins at `at`: its `;`, or the end of its body.
fn item_end(tokens: &[Token], at: usize) -> usize {
    let (mut braces, mut inner) = (0, 0);
    for (index, token) in tokens.iter().enumerate().skip(at) {
        match token.text.as_str() {
            "(" | "[" => inner += 1,
            ")" | "]" => inner -= 1,
            "{" => braces += 1,
            "}" => braces -= 1,
            ";" if braces == 0 && inner == 0 => return index,
            _ => continue,
        }
        if token.text == "}" && braces == 0 && inner == 0 {
            return index;
        }
    }
    tokens.len().saturating_sub(1)
}

fn functions(tokens: &[Token]) -> Vec<Function> {
    let starts = tokens.windows(2).enumerate().filter(|(_, pair)| pair[0].text == "fn" && is_word(&pair[1].text));
    starts
        .map(|(index, pair)| {
            let last = tokens[item_end(tokens, index)].line;
            Function { name: pair[1].text.clone(), first: pair[0].line, last }
        })
        .collect()
}

/// Lines of the items under `#[cfg(test)]`.
fn test_items(tokens: &[Token]) -> Vec<(usize, usize)> {
    const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let marked = tokens.windows(MARK.len()).enumerate().filter(|(_, window)| window.iter().map(|t| &t.text).eq(MARK));
    marked.map(|(index, window)| (window[0].line, tokens[item_end(tokens, index + MARK.len())].line)).collect()
}

// ---- Rules ----

type Rule = fn(&Source) -> Vec<String>;

const RULES: &[Rule] =
    &[layers, relative_paths, globs, opening, file_length, function_length, banned_words, one_door, file_name, order];

fn check(source: &Source) -> Vec<String> {
    RULES.iter().flat_map(|rule| rule(source)).collect()
}

/// An edge is allowed to a lower layer, as far as the module sees, and beside it as starred.
fn allowed(from: &str, to: &str) -> Result<(), String> {
    let find = |name: &str| MODULES.iter().find(|module| module.name == name);
    let Some(user) = find(from) else { return Err(format!("module `{from}` is not in the layer table")) };
    let Some(used) = find(to) else { return Err(format!("`crate::{to}` is not a module of the layer table")) };
    let below = used.layer < user.layer && used.layer <= user.sees;
    if from == to || below || user.beside.contains(&to) {
        return Ok(());
    }
    Err(format!("`{from}` (layer {}) may not use `{to}` (layer {})", user.layer, used.layer))
}

fn layers(source: &Source) -> Vec<String> {
    let Some(module) = source.module() else { return Vec::new() };
    let rooted = source.mentions.iter().filter(|mention| mention.segments[0] == "crate" && mention.segments.len() > 1);
    let mut found: Vec<String> = rooted
        .filter_map(|mention| allowed(module, &mention.segments[1]).err().map(|what| source.at(mention.line, &what)))
        .collect();
    // One line that names three items of a forbidden module is one edge.
    found.dedup();
    found
}

/// Edges must be visible: paths start at `crate`; the tests of a file may reach the file itself.
fn relative_paths(source: &Source) -> Vec<String> {
    let relative =
        source.mentions.iter().filter(|mention| mention.segments[0] == "super" && mention.segments.len() > 1);
    relative
        .filter(|mention| mention.segments[1] == "super" || !source.is_test(mention.line))
        .map(|mention| source.at(mention.line, "write `crate::module::Item` (tests may use one `super::`)"))
        .collect()
}

fn globs(source: &Source) -> Vec<String> {
    let inside = |line| source.functions.iter().any(|function| function.first < line && line < function.last);
    let of_enum = |mention: &Mention| {
        let last = mention.segments.iter().rev().nth(1);
        last.is_some_and(|name| name.starts_with(char::is_uppercase))
    };
    let starred = source.mentions.iter().filter(|mention| mention.segments.last().is_some_and(|name| name == "*"));
    starred
        .filter(|mention| mention.imported && !(inside(mention.line) && of_enum(mention)))
        .map(|mention| {
            source.at(mention.line, "glob import; name the items (an enum's variants inside a function may)")
        })
        .collect()
}

fn opening(source: &Source) -> Vec<String> {
    let opens = source.lines.first().is_some_and(|line| line.starts_with("//!"));
    if opens || source.tokens.is_empty() { Vec::new() } else { vec![source.at(1, "a file opens with `//!`")] }
}

fn file_length(source: &Source) -> Vec<String> {
    let count = source.lines.len();
    if count <= FILE_LINES {
        Vec::new()
    } else {
        vec![source.at(count, &format!("a file stops at {FILE_LINES} lines"))]
    }
}

fn function_length(source: &Source) -> Vec<String> {
    let listed = |function: &Function| LONG_FUNCTIONS.contains(&format!("{} {}", source.path, function.name).as_str());
    let long = source.functions.iter().filter(|function| function.last - function.first >= FUNCTION_LINES);
    long.filter(|function| !listed(function))
        .map(|function| {
            let lines = function.last - function.first + 1;
            source.at(function.first, &format!("`{}` has {lines} lines of {FUNCTION_LINES}", function.name))
        })
        .collect()
}

fn banned_words(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    let at = |index: usize| source.tokens.get(index).map_or("", |token| token.text.as_str());
    for (index, token) in source.tokens.iter().enumerate() {
        let next = (at(index + 1), at(index + 2), at(index + 3));
        match (token.text.as_str(), next) {
            (name, ("!", ..)) if MACROS.contains(&name) => found.push(source.at(token.line, &format!("`{name}!`"))),
            ("#", ("[", "ignore", _)) => found.push(source.at(token.line, "an ignored test guards nothing")),
            (".", ("unwrap", "(", ")")) if !source.is_test(token.line) => {
                found.push(source.at(token.line, "`unwrap()` outside tests; `expect` says why it cannot fail"));
            }
            _ => {}
        }
    }
    for (line, text) in &source.comments {
        let marks = MARKS.iter().filter(|mark| text.contains(**mark));
        found.extend(marks.map(|mark| source.at(*line, &format!("`{mark}` in a comment"))));
    }
    found
}

/// Only `env` touches files, sockets, threads and clocks. Tests may start threads, and `tests/` may do as it needs.
fn one_door(source: &Source) -> Vec<String> {
    if !source.path.starts_with("src/") || source.module() == Some("env") {
        return Vec::new();
    }
    let tokio_instant = source.mentions.iter().any(|mention| mention.segments.join("::") == "tokio::time::Instant");
    let offence = |mention: &Mention| {
        let names: Vec<&str> = mention.segments.iter().map(String::as_str).collect();
        match names.as_slice() {
            ["std", "fs", ..] => Some("files go through env::Disk"),
            ["std" | "tokio", "net", rest @ ..] if rest.first().is_none_or(|name| !ADDRESSES.contains(name)) => {
                Some("sockets come from env::Net")
            }
            ["std", "thread", ..] if !source.is_test(mention.line) => {
                Some("threads come from env::Pool and env::Reactors")
            }
            ["std", "time", "Instant", ..] | [.., "SystemTime"] | [.., "SystemTime", _] => {
                Some("time comes from env::Clock")
            }
            ["Instant", "now"] if !tokio_instant => Some("time comes from env::Clock"),
            _ => None,
        }
    };
    source.mentions.iter().filter_map(|mention| Some(source.at(mention.line, offence(mention)?))).collect()
}

fn file_name(source: &Source) -> Vec<String> {
    let versioned = |name: &str| {
        name.rsplit_once("_v")
            .is_some_and(|(_, number)| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
    };
    let parts = source.path.split('/').map(|part| part.trim_end_matches(".rs"));
    let bad = parts.filter(|part| DRAWERS.contains(part) || versioned(part));
    bad.map(|part| source.at(1, &format!("`{part}` says nothing; name the one thing that the file owns"))).collect()
}

/// `lib.rs` lists known modules, lower layers first.
fn order(source: &Source) -> Vec<String> {
    if source.path != "src/lib.rs" {
        return Vec::new();
    }
    let mut highest = 0;
    let mut found = Vec::new();
    for pair in source.tokens.windows(2).filter(|pair| pair[0].text == "mod") {
        let name = &pair[1].text;
        match MODULES.iter().find(|module| module.name == name) {
            None => found.push(source.at(pair[1].line, &format!("module `{name}` is not in the layer table"))),
            Some(module) if module.layer < highest => {
                found.push(source.at(pair[1].line, &format!("module `{name}` stands after a higher layer")));
            }
            Some(module) => highest = module.layer,
        }
    }
    found
}

// ---- The tree ----

#[expect(clippy::disallowed_methods, reason = "this test reads the source tree, not a node's data")]
fn rust_files(dir: &Path, found: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(dir).expect("the source tree is readable");
    for entry in entries {
        let path = entry.expect("the source tree is readable").path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn tree() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    rust_files(&root.join("src"), &mut paths);
    rust_files(&root.join("tests"), &mut paths);
    paths.sort();
    let read = |path: &PathBuf| {
        let name = path.strip_prefix(root).expect("found below the root").display().to_string();
        Source::parse(&name, &std::fs::read_to_string(path).expect("source files are UTF-8"))
    };
    let mut sources: Vec<Source> = paths.iter().map(read).collect();
    mark_test_files(&mut sources);
    sources
}

/// A file that is declared under `#[cfg(test)]` is test code from end to end.
fn mark_test_files(sources: &mut [Source]) {
    let modules: Vec<String> = sources.iter().flat_map(Source::test_modules).collect();
    for source in sources {
        if modules.iter().any(|module| source.path.starts_with(module)) {
            source.tests = vec![(1, source.lines.len())];
        }
    }
}

#[test]
fn the_source_is_tidy() {
    let sources = tree();
    let mut violations: Vec<String> = sources.iter().flat_map(check).collect();
    let known = |entry: &&str| {
        let mut functions = sources.iter().flat_map(|source| source.functions.iter().map(move |f| (source, f)));
        functions
            .any(|(source, f)| f.last - f.first >= FUNCTION_LINES && format!("{} {}", source.path, f.name) == **entry)
    };
    let stale = LONG_FUNCTIONS.iter().filter(|entry| !known(entry));
    violations.extend(stale.map(|entry| format!("`{entry}` is no long function any more: take it off the list")));
    let mut thoughts = String::new();
    for source in &sources {
        let own = (1..=source.lines.len()).filter(|line| !source.is_test(*line)).count();
        if own > FILE_LINES_TO_THINK {
            let _ = writeln!(thoughts, "{}: {own} lines without tests; think of a split", source.path);
        }
    }
    // Past the capture of the test harness: a thought is worth reading when all is well.
    let _ = std::io::stderr().write_all(thoughts.as_bytes());
    assert!(violations.is_empty(), "{} violations\n{}", violations.len(), violations.join("\n"));
}

// ---- Each rule can fail ----

/// Asserts that `text` as the file `path` breaks exactly the rules whose messages hold `wanted`, in order.
fn expect(path: &str, text: &str, wanted: &[&str]) {
    let found = check(&Source::parse(path, &format!("//! Doc.\n{text}")));
    let same = found.len() == wanted.len() && found.iter().zip(wanted).all(|(got, part)| got.contains(part));
    assert!(same, "{path} {text:?}: wanted {wanted:?}, found {found:#?}");
}

#[test]
fn forbidden_edges_are_found_with_file_and_line() {
    expect(
        "src/types/slot.rs",
        "\nuse crate::env::Clock;",
        &["src/types/slot.rs:3: `types` (layer 0) may not use `env`"],
    );
    expect("src/env/mod.rs", "use crate::types::Slot;", &[]);
    expect("src/env/mod.rs", "use crate::worker::Runner;", &["may not use `worker`"]);
    expect("src/worker/mod.rs", "use crate::env::Pool;", &[]);
    expect("src/storage/log.rs", "use crate::{types::Stamp, causality::{Hlc, Dot}};", &["`storage`"]);
    expect("src/storage/log.rs", "use crate::{\n types::Stamp,\n resp::Reply\n};", &[":4: `storage`"]);
    expect("src/replica/mod.rs", "fn f() -> crate::server::Server { crate::storage::open() }", &["`server`"]);
    expect("src/quorum.rs", "use crate::{causality, ring};", &[]);
    expect("src/node/mod.rs", "use crate::config::Settings; use crate::unknown::X;", &["`crate::unknown` is not"]);
    expect("src/unknown/mod.rs", "use crate::types::Slot;", &["`unknown` is not in"]);
    expect(
        "src/replica/mod.rs",
        "pub(in crate::replica) fn f() {} // crate::server\nconst X: &str = \"crate::server\";",
        &[],
    );
}

#[test]
fn every_starred_edge_is_one_way() {
    let starred = MODULES.iter().flat_map(|module| module.beside.iter().map(move |to| (module.name, *to)));
    for (from, to) in starred {
        assert!(allowed(from, to).is_ok() && allowed(to, from).is_err(), "{from} -> {to}");
    }
}

#[test]
fn relative_paths_and_globs_are_found() {
    expect("src/env/os.rs", "use super::Clock;", &["write `crate::"]);
    expect("src/env/os.rs", "#[cfg(test)]\nmod tests {\n use super::Clock;\n use super::super::Disk;\n}", &["os.rs:5"]);
    expect("src/env/os.rs", "pub(super) fn f() {}", &[]);
    expect("src/env/os.rs", "use std::io::*;", &["glob"]);
    expect("src/env/os.rs", "use std::{fmt, io::{self, *}};\npub use crate::env::Kind::*;", &["glob", "glob"]);
    expect("src/env/os.rs", "fn f() {\n use crate::env::Kind::*;\n use std::fmt::*;\n}", &[":4: glob"]);
    expect("src/env/os.rs", "fn f(a: &u8) -> impl Iterator + use<'_> { 2 * 3; }", &[]);
}

#[test]
fn openings_and_lengths_are_found() {
    let found = check(&Source::parse("src/env/os.rs", "use std::io;\n"));
    assert_eq!(found, ["src/env/os.rs:1: a file opens with `//!`"]);
    assert!(check(&Source::parse("src/env/os.rs", "\n")).is_empty());
    expect("src/env/os.rs", &"\n".repeat(FILE_LINES - 1), &[]);
    expect("src/env/os.rs", &"\n".repeat(FILE_LINES), &["stops at 800"]);
    let function = |lines: usize| format!("fn long(a: [u8; 2]) {{{}}}", "\n".repeat(lines - 1));
    expect("src/env/os.rs", &function(FUNCTION_LINES), &[]);
    expect("src/env/os.rs", &function(FUNCTION_LINES + 1), &[":2: `long` has 71 lines"]);
}

#[test]
fn banned_words_are_found() {
    expect("src/env/os.rs", "fn f() { dbg!(1); todo!(); unimplemented!() }", &["dbg!", "todo!", "unimplemented!"]);
    expect("src/env/os.rs", "// TODO later\n/* FIXME */", &[":2: `TODO`", ":3: `FIXME`"]);
    expect("src/env/os.rs", "const X: &str = r#\"TODO \" dbg!() .unwrap()\"#;", &[]);
    expect("tests/engine/a.rs", "#[ignore = \"slow\"]\nfn f() {}", &["ignored test"]);
    expect("src/env/os.rs", "fn f() { a.unwrap(); b.unwrap_or(1); }", &["`unwrap()`"]);
    expect(
        "src/env/os.rs",
        "#[cfg(test)]\nmod tests { fn f() { a.unwrap() } }\nfn g() { a.unwrap() }",
        &[":4: `unwrap()`"],
    );
}

#[test]
fn a_file_declared_for_tests_is_test_code() {
    for (parent, declaration, wanted) in [
        ("src/env/mod.rs", "#[cfg(test)]\nmod suite;\nmod disk;", [true, true, false]),
        ("src/env.rs", "#[cfg(test)]\nmod suite;", [true, true, false]),
        ("src/env/mod.rs", "mod suite;", [false, false, false]),
    ] {
        let files = ["src/env/suite.rs", "src/env/suite/part.rs", "src/env/suitecase.rs"];
        let mut sources = files.map(|path| Source::parse(path, "fn f() {}")).into_iter().collect::<Vec<_>>();
        sources.push(Source::parse(parent, declaration));
        mark_test_files(&mut sources);
        assert_eq!([0, 1, 2].map(|index: usize| sources[index].is_test(1)), wanted, "{parent} {declaration}");
    }
}

#[test]
fn only_env_is_a_door_to_the_machine() {
    expect("src/env/os.rs", "use std::{fs, net::TcpStream, thread, time::{Instant, SystemTime}};", &[]);
    expect("src/types/a.rs", "use std::fs;\nuse std::{fs::File, io};", &[":2: files", ":3: files"]);
    expect("src/types/a.rs", "use std::net::{SocketAddr, TcpStream};\nuse std::net;", &[":2: sockets", ":3: sockets"]);
    expect("src/types/a.rs", "use tokio::net::TcpListener;", &["sockets"]);
    expect("src/types/a.rs", "fn f() { std::thread::sleep(d) }", &["threads"]);
    expect("src/types/a.rs", "#[cfg(test)]\nmod tests { fn f() { std::thread::scope(g) } }", &[]);
    expect("src/types/a.rs", "fn f() { Instant::now(); std::time::SystemTime::now() }", &["time", "time"]);
    expect("src/types/a.rs", "use std::time::{Duration, Instant};", &["time"]);
    expect("src/types/a.rs", "use tokio::time::Instant;\nfn f() { Instant::now() }", &[]);
}

#[test]
fn names_and_order_are_found() {
    expect("src/storage/util.rs", "", &["`util` says nothing"]);
    expect("src/helpers/mod.rs", "", &["`helpers` says"]);
    expect("src/storage/block_v2.rs", "", &["`block_v2` says"]);
    expect("src/storage/block_v.rs", "", &[]);
    expect("src/lib.rs", "pub mod env;\npub mod types;\npub mod junk;", &[":3: module `types`", ":4: module `junk`"]);
    expect("src/lib.rs", "pub mod types;\npub mod env;\npub mod worker;", &[]);
}

#[test]
fn characters_lifetimes_and_comments_do_not_confuse_the_reader() {
    expect(
        "src/env/os.rs",
        "fn f<'a>(x: &'a u8) { g('\"', '\\'', b'{', \"\\\"\"); } // \"\nuse std::io::*;",
        &["glob"],
    );
    expect("src/env/os.rs", "/* a /* b */ use std::io::*; */\nuse std::io::*;", &[":3: glob"]);
}
