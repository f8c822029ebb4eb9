//! Which bucket of the expiry counters a record belongs to, and which buckets are due.
//!
//! The bucket follows from the version alone (its expiry and when it was written), so the same change of a record moves the
//! same counters on every node and in every recovery: expiries within 48 hours of the write are counted per hour, within
//! 60 days per day, later ones together. Hours and days are numbered modulo [`WINDOW`], far more than a bucket can wait.

use crate::causality::Expiry;
use crate::storage::Bucket;

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;
/// Hours, and days, that have numbers of their own: 341 days, 22 years.
const WINDOW: u64 = 8192;
const FIRST_HOUR: u64 = 1;
const FIRST_DAY: u64 = FIRST_HOUR + WINDOW;
const FAR: u64 = FIRST_DAY + WINDOW;

const _: () = assert!(FAR <= u16::MAX as u64, "buckets are numbered in 16 bits");

/// The bucket of a record whose earliest expiry is `expiry`; none for a record that does not expire.
#[inline]
#[must_use]
pub fn bucket_of(expiry: Option<Expiry>) -> Bucket {
    let Some(expiry) = expiry else { return Bucket(0) };
    let ahead = expiry.at_ms.saturating_sub(expiry.written.wall_ms());
    let number = if ahead < 48 * HOUR_MS {
        FIRST_HOUR + expiry.at_ms / HOUR_MS % WINDOW
    } else if ahead < 60 * DAY_MS {
        FIRST_DAY + expiry.at_ms / DAY_MS % WINDOW
    } else {
        FAR
    };
    Bucket(number as u16)
}

/// Whether a bucket may hold records that expired by `at_ms` (milliseconds since the Unix epoch).
#[must_use]
pub(super) fn is_due(bucket: Bucket, at_ms: u64) -> bool {
    let number = u64::from(bucket.0);
    let (unit, index) = match number {
        0 => return false,
        FAR.. => return true,
        FIRST_DAY.. => (DAY_MS, number - FIRST_DAY),
        _ => (HOUR_MS, number - FIRST_HOUR),
    };
    // Distance from the bucket's number to the present one, modulo the window: small if due, large if still ahead.
    let distance = (at_ms / unit % WINDOW + WINDOW - index) % WINDOW;
    distance < WINDOW / 2
}

#[cfg(test)]
mod tests {
    use super::{DAY_MS, HOUR_MS, bucket_of, is_due};
    use crate::causality::{Expiry, Time};
    use crate::storage::Bucket;

    const NOW: u64 = 1_800_000_000_000;

    #[test]
    fn a_bucket_is_due_once_its_hour_or_day_has_begun() {
        assert_eq!(bucket_of(None), Bucket(0));
        for (ahead, early) in
            [(HOUR_MS, true), (47 * HOUR_MS, true), (3 * DAY_MS, true), (59 * DAY_MS, true), (90 * DAY_MS, false)]
        {
            let at_ms = NOW + ahead;
            let bucket = bucket_of(Some(Expiry { at_ms, written: Time::from_ms(NOW) }));
            assert!(is_due(bucket, at_ms), "{ahead}");
            assert!(is_due(bucket, at_ms + 30 * DAY_MS), "{ahead}");
            if early {
                let unit = if ahead < 48 * HOUR_MS { HOUR_MS } else { DAY_MS };
                assert!(!is_due(bucket, at_ms - unit), "{ahead}");
            }
        }
    }
}
