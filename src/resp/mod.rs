//! RESP2 and RESP3 as a server speaks them: the request scanner, the reply writer, and Redis's number texts.
//!
//! Nothing here does IO. A connection owns its read buffer, its spans and its out buffer and hands them in:
//!
//! ```
//! use annulus::resp::{Limits, Protocol, Reply, Scanned, Scanner};
//! use annulus::types::Args;
//!
//! let mut scanner = Scanner::new(Limits { argument_bytes: 1 << 20, request_bytes: 64 << 20 });
//! let (mut buffer, mut spans, mut out) = (b"*2\r\n$4\r\nECHO\r\n$2\r\nhi\r\nPI".to_vec(), Vec::new(), Vec::new());
//! while let Scanned::Request(range) = scanner.next(&mut buffer, &mut spans)? {
//!     let args = Args::new(&buffer, &spans[range]);
//!     Reply::new(&mut out, Protocol::Resp2).bulk(args.get(1));
//! }
//! buffer.drain(..scanner.rebase(&mut spans));
//! assert_eq!((&out[..], &buffer[..]), (&b"$2\r\nhi\r\n"[..], &b"PI"[..]));
//! # Ok::<(), annulus::resp::ProtocolError>(())
//! ```
//!
//! Leaves out: reading replies (clients and tests use `redis-protocol`) and nested requests, which Redis refuses too.

mod error;
mod inline;
mod long_double;
mod natural;
mod number;
mod reply;
mod scanner;

pub use error::{ProtocolError, TooLarge};
pub use long_double::LongDouble;
pub use number::{format_double, format_i64, parse_i64};
pub use reply::{Protocol, Reply};
pub use scanner::{Limits, Scanned, Scanner, Trust};
