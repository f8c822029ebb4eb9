//! How a failed call on a file is told: what was tried, on which path, and the machine's own error as the source.
//!
//! Invariant: the kind of the machine's error is kept, so that callers tell a full disk (`StorageFull`) from a broken one.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

#[derive(Debug)]
struct Failure {
    tried: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} {}: {}", self.tried, self.path.display(), self.source)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

/// The error `source` of trying to do `tried` to `path`.
pub(crate) fn failed(tried: &'static str, path: &Path, source: impl Into<io::Error>) -> io::Error {
    let source = source.into();
    io::Error::new(source.kind(), Failure { tried, path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::failed;
    use std::io::{Error, ErrorKind};
    use std::path::Path;

    #[test]
    fn the_text_names_the_path_and_the_kind_stays() {
        let full = failed("write to", Path::new("/data/log"), Error::from_raw_os_error(28));
        assert_eq!(full.kind(), ErrorKind::StorageFull);
        assert!(full.to_string().starts_with("cannot write to /data/log: No space left on device"), "{full}");
        assert!(std::error::Error::source(full.get_ref().expect("wraps an error")).is_some());
    }
}
