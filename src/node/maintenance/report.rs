//! What an inspection found, as text for people and as JSON for programs.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::storage::{Finding, Inspection, Severity};

/// What was found in a data directory, ready to be told.
pub struct Report<'a> {
    /// The data directory.
    pub dir: &'a Path,
    /// What was found.
    pub found: &'a Inspection,
}

impl Report<'_> {
    /// Whether nothing is damaged.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.found.damages().next().is_none()
    }

    /// One line for each finding, and a summary.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        for finding in &self.found.findings {
            let Finding { severity, path, offset, what } = finding;
            let line = writeln!(out, "{}: {} at {offset}: {what}", word(*severity), path.display());
            line.expect("a string takes any text");
        }
        let Inspection { files, bytes, tables, entries, segments, records, .. } = self.found;
        let verdict = match (self.found.damages().count(), damaged_files(self.found)) {
            (0, _) => "sound".to_owned(),
            (count, files) => format!("{count} damages in {files} files"),
        };
        let orphans = self.found.findings.iter().filter(|finding| finding.severity == Severity::Orphan).count();
        let summary = writeln!(
            out,
            "{}: {verdict}; {files} files, {bytes} bytes: {tables} tables with {entries} entries, {segments} segments of \
             the log with {records} records that are in no table yet; {orphans} files left over",
            self.dir.display(),
        );
        summary.expect("a string takes any text");
        out
    }

    /// The same as one JSON object.
    #[must_use]
    pub fn json(&self) -> String {
        let Inspection { findings, files, bytes, tables, entries, segments, records } = self.found;
        let findings: Vec<Value> = findings
            .iter()
            .map(|finding| {
                json!({
                    "severity": word(finding.severity),
                    "path": finding.path.display().to_string(),
                    "offset": finding.offset,
                    "what": finding.what,
                })
            })
            .collect();
        let object = json!({
            "data": self.dir.display().to_string(),
            "sound": self.is_sound(),
            "files": files, "bytes": bytes, "tables": tables, "entries": entries,
            "segments": segments, "records": records,
            "findings": findings,
        });
        format!("{object}\n")
    }
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Damage => "damage",
        Severity::Orphan => "orphan",
        Severity::Note => "note",
    }
}

fn damaged_files(found: &Inspection) -> usize {
    let mut paths: Vec<_> = found.damages().map(|finding| &finding.path).collect();
    paths.sort_unstable();
    paths.dedup();
    paths.len()
}

#[cfg(test)]
mod tests {
    use super::Report;
    use crate::storage::{Finding, Inspection, Severity};
    use std::path::Path;

    #[test]
    fn findings_are_told_with_their_place() {
        let mut found = Inspection { files: 3, ..Inspection::default() };
        let dir = Path::new("/data");
        let report = Report { dir, found: &found };
        assert!(report.is_sound() && report.text().starts_with("/data: sound; 3 files"));
        found.findings.push(Finding::new(Severity::Damage, (Path::new("/data/a \"b\""), 7), "no sense"));
        found.findings.push(Finding::new(Severity::Note, (Path::new("/data/c"), 8), "torn"));
        let report = Report { dir, found: &found };
        assert!(!report.is_sound());
        let text = report.text();
        assert!(text.starts_with("damage: /data/a \"b\" at 7: no sense\nnote: /data/c at 8: torn\n"), "{text}");
        assert!(text.contains("1 damages in 1 files"), "{text}");
        let json: serde_json::Value = serde_json::from_str(&report.json()).expect("it is JSON");
        assert_eq!((&json["sound"], &json["findings"][0]["offset"]), (&false.into(), &7.into()));
        assert_eq!(json["findings"][0]["path"], "/data/a \"b\"");
    }
}
