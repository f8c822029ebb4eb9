//! Natural numbers of any size, as far as reading and writing decimal texts exactly needs them.
//!
//! Invariant: the highest limb is not zero; zero has no limbs.
//! Leaves out: everything that no text needs. The texts are at most 5 KB, so schoolbook arithmetic does.

/// A natural number: limbs of 64 bits, lowest first.
#[derive(Debug, Default)]
pub(in crate::resp) struct Natural {
    limbs: Vec<u64>,
}

impl Natural {
    /// The number `value`.
    pub(in crate::resp) fn new(value: u64) -> Self {
        Natural { limbs: if value == 0 { Vec::new() } else { vec![value] } }
    }

    /// Whether the number is zero.
    pub(in crate::resp) fn is_zero(&self) -> bool {
        self.limbs.is_empty()
    }

    /// Number of binary digits.
    pub(in crate::resp) fn bits(&self) -> u32 {
        self.limbs.last().map_or(0, |limb| self.limbs.len() as u32 * 64 - limb.leading_zeros())
    }

    /// Multiplies by `factor`, which is not zero, and adds `addend`.
    pub(in crate::resp) fn multiply_add(&mut self, factor: u64, addend: u64) {
        let mut carry = u128::from(addend);
        for limb in &mut self.limbs {
            carry += u128::from(*limb) * u128::from(factor);
            *limb = carry as u64;
            carry >>= 64;
        }
        if carry > 0 {
            self.limbs.push(carry as u64);
        }
    }

    /// Multiplies by 2 to the power of `bits`.
    pub(in crate::resp) fn shift_left(&mut self, bits: u32) {
        if self.is_zero() {
            return;
        }
        self.multiply_add(1 << (bits % 64), 0);
        self.limbs.splice(..0, std::iter::repeat_n(0, bits as usize / 64));
    }

    /// Divides by `divisor`, rounding down, and returns the remainder.
    pub(in crate::resp) fn divide(&mut self, divisor: u64) -> u64 {
        let mut remainder: u64 = 0;
        for limb in self.limbs.iter_mut().rev() {
            let dividend = u128::from(remainder) << 64 | u128::from(*limb);
            *limb = (dividend / u128::from(divisor)) as u64;
            remainder = (dividend % u128::from(divisor)) as u64;
        }
        while self.limbs.last() == Some(&0) {
            self.limbs.pop();
        }
        remainder
    }

    /// The highest 128 bits, how many lower bits there are, and whether any of those is set.
    pub(in crate::resp) fn leading(&self) -> (u128, u32, bool) {
        let lower_bits = self.bits().saturating_sub(128);
        let (limbs, bits) = (lower_bits as usize / 64, lower_bits % 64);
        let limb = |index: usize| u128::from(self.limbs.get(index).copied().unwrap_or(0));
        let mut leading = limb(limbs) >> bits | limb(limbs + 1) << (64 - bits);
        if bits > 0 {
            leading |= limb(limbs + 2) << (128 - bits);
        }
        let lost_limbs = self.limbs.iter().take(limbs).any(|&limb| limb != 0);
        (leading, lower_bits, lost_limbs || limb(limbs) & ((1 << bits) - 1) != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::Natural;

    #[test]
    fn arithmetic_undoes_itself() {
        for (start, shift, factor) in [(1, 0, 10), (u64::MAX, 63, u64::MAX), (12345, 64, 1), (7, 1000, 1 << 63)] {
            let mut number = Natural::new(start);
            number.shift_left(shift);
            number.multiply_add(factor, 0);
            assert_eq!(number.divide(factor), 0);
            (0..shift).for_each(|_| assert_eq!(number.divide(2), 0));
            assert_eq!((number.leading(), number.bits()), ((u128::from(start), 0, false), 64 - start.leading_zeros()));
        }
        assert!(Natural::new(0).is_zero());
    }

    #[test]
    fn leading_bits_say_what_they_leave_out() {
        let mut number = Natural::new(0b101);
        number.shift_left(200);
        assert_eq!(number.leading(), (0b101 << 125, 75, false));
        number.multiply_add(1, 1);
        assert_eq!(number.leading(), (0b101 << 125, 75, true));
    }
}
