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

/// Before when no record of the bucket has expired, in milliseconds since the Unix epoch: a time up to `at_ms` if it may
/// hold some that expired by then, [`u64::MAX`] for the bucket of records that do not expire.
#[must_use]
pub(super) fn begin_of(bucket: Bucket, at_ms: u64) -> u64 {
    let number = u64::from(bucket.0);
    let (unit, index) = match number {
        0 => return u64::MAX,
        FAR.. => return 0,
        FIRST_DAY.. => (DAY_MS, number - FIRST_DAY),
        _ => (HOUR_MS, number - FIRST_HOUR),
    };
    // Distance from the bucket's number to the present one, modulo the window: small if due, large if still ahead.
    let behind = (at_ms / unit % WINDOW + WINDOW - index) % WINDOW;
    if behind < WINDOW / 2 { 0 } else { (at_ms / unit + WINDOW - behind).saturating_mul(unit) }
}

#[cfg(test)]
mod tests {
    use super::{DAY_MS, HOUR_MS, begin_of, bucket_of};
    use crate::causality::{Expiry, Time};
    use crate::storage::Bucket;

    const NOW: u64 = 1_800_000_000_000;

    #[test]
    fn a_bucket_is_due_once_its_hour_or_day_has_begun() {
        assert_eq!((bucket_of(None), begin_of(Bucket(0), NOW)), (Bucket(0), u64::MAX));
        for (ahead, unit) in [
            (0, HOUR_MS),
            (HOUR_MS, HOUR_MS),
            (47 * HOUR_MS, HOUR_MS),
            (3 * DAY_MS, DAY_MS),
            (59 * DAY_MS, DAY_MS),
            (90 * DAY_MS, 0),
        ] {
            let at_ms = NOW + ahead;
            let bucket = bucket_of(Some(Expiry { at_ms, written: Time::from_ms(NOW) }));
            for later in [0, HOUR_MS, 30 * DAY_MS] {
                assert_eq!(begin_of(bucket, at_ms + later), 0, "{ahead} {later}");
            }
            for before in [unit, 40 * unit].into_iter().filter(|before| *before > 0) {
                assert_eq!(begin_of(bucket, at_ms - before), at_ms / unit * unit, "{ahead} {before}");
            }
        }
    }
}
