//! Values as rows of bits, the highest bit of a byte first: SETBIT, GETBIT, BITCOUNT, BITPOS.
//!
//! Errors in the ranges of BITCOUNT and BITPOS are told only where the key exists, as Redis 7.0 does.
//!
//! Source: Redis 7.0.15 `bitops.c`.

use std::ops::Range;

use crate::command::arguments::{integer, is_word};
use crate::command::context::{Finishing, Next, Planning};
use crate::command::error::{CommandError, Result};
use crate::command::ranges::{clamped, covered};
use crate::command::table::{Command, Flags, Group, Keys};
use crate::replica::{Action, Answer, Current, Draft, Effect, Inputs, Operand, Outcome, Params};
use crate::resp::parse_i64;
use crate::types::Args;

/// Bits of the longest value that Redis takes.
const BITS_MAX: i64 = 8 * (512 << 20);

/// The family's part of the table.
pub(super) static COMMANDS: &[Command] =
    &[
        Command::new("setbit", 4, Flags::WRITE.with(Flags::DENYOOM), (plan_setbit, finish_answer))
            .keys(Keys::ONE)
            .docs(Group::Bitmap, "2.2.0", "Sets or clears one bit of a value; answers what it was."),
        Command::new("getbit", 3, Flags::READONLY.with(Flags::FAST), (plan_getbit, finish_answer))
            .keys(Keys::ONE)
            .docs(Group::Bitmap, "2.2.0", "Answers one bit of a value."),
        Command::new("bitcount", -2, Flags::READONLY, (plan_bitcount, finish_bitcount)).keys(Keys::ONE).docs(
            Group::Bitmap,
            "2.6.0",
            "Counts the bits that are set in a value or a part of it.",
        ),
        Command::new("bitpos", -3, Flags::READONLY, (plan_bitpos, finish_bitpos)).keys(Keys::ONE).docs(
            Group::Bitmap,
            "2.8.7",
            "Finds the first bit that is set, or clear, in a value or a part of it.",
        ),
    ];

fn finish_answer(finishing: &mut Finishing<'_>) -> Next {
    finishing.reply_answer(0)
}

fn bit_offset(argument: &[u8]) -> Result<i64> {
    let offset = parse_i64(argument).filter(|offset| (0..BITS_MAX).contains(offset));
    offset.ok_or(CommandError::text("ERR bit offset is not an integer or out of range"))
}

fn plan_setbit(planning: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    let offset = bit_offset(args.get(2))?;
    let bit = parse_i64(args.get(3)).filter(|bit| matches!(bit, 0 | 1));
    let bit = bit.ok_or(CommandError::text("ERR bit is not an integer or out of range"))?;
    planning.check_pair(args.get(1), (offset / 8) as usize + 1)?;
    planning.on(args, 1, Action::Change(set_bit, Params { numbers: [offset, bit, 0], operand: Operand::default() }));
    Ok(())
}

/// The byte that holds bit `offset`, and the bit's mask in it.
fn place(offset: i64) -> (usize, u8) {
    ((offset / 8) as usize, 0x80 >> (offset % 8))
}

fn set_bit(current: Option<Current<'_>>, inputs: &Inputs<'_>, draft: &mut Draft<'_>) -> Effect {
    let [offset, bit, _] = inputs.numbers;
    let (index, mask) = place(offset);
    let old = current.map_or(&[][..], |current| current.value);
    let was = old.get(index).is_some_and(|byte| byte & mask != 0);
    draft.answer = Answer::Integer(i64::from(was));
    if index < old.len() && was == (bit == 1) {
        return Effect::Keep;
    }
    draft.value.extend_from_slice(old);
    draft.value.resize(old.len().max(index + 1), 0);
    if let Some(byte) = draft.value.get_mut(index) {
        *byte = if bit == 1 { *byte | mask } else { *byte & !mask };
    }
    Effect::Write
}

fn plan_getbit(planning: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    let offset = bit_offset(args.get(2))?;
    planning.on(args, 1, Action::Examine(get_bit, Params { numbers: [offset, 0, 0], operand: Operand::default() }));
    Ok(())
}

fn get_bit(current: Option<Current<'_>>, inputs: &Inputs<'_>, _: &mut Vec<u8>) -> Answer {
    let [offset, ..] = inputs.numbers;
    let (index, mask) = place(offset);
    let byte = current.and_then(|current| current.value.get(index)).copied().unwrap_or(0);
    Answer::Integer(i64::from(byte & mask != 0))
}

/// What the places of a range count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Byte,
    Bit,
}

impl Unit {
    fn parse(argument: &[u8]) -> Result<Unit> {
        if is_word(argument, "BIT") {
            Ok(Unit::Bit)
        } else if is_word(argument, "BYTE") {
            Ok(Unit::Byte)
        } else {
            Err(CommandError::SYNTAX)
        }
    }

    /// The unit that has so many bits, as a parameter of an operation says it.
    fn of_bits(bits: i64) -> Unit {
        if bits == 1 { Unit::Bit } else { Unit::Byte }
    }

    /// The bits of one place.
    fn bits(self) -> i64 {
        match self {
            Unit::Byte => 8,
            Unit::Bit => 1,
        }
    }

    /// The places of a value of so many bytes.
    fn places(self, value_bytes: usize) -> usize {
        value_bytes * 8 / self.bits() as usize
    }

    /// The bits of a range of places.
    fn bits_of(self, places: Range<usize>) -> Range<usize> {
        let bits = self.bits() as usize;
        places.start * bits..places.end * bits
    }
}

/// The range that BITCOUNT asks for.
fn count_range(args: Args<'_>) -> Result<(i64, i64, Unit)> {
    match args.count() {
        2 => Ok((0, -1, Unit::Byte)),
        4 | 5 => {
            let (start, end) = (integer(args.get(2))?, integer(args.get(3))?);
            // Redis has its answer to such a range before it looks at the unit.
            let backwards = start < 0 && end < 0 && start > end;
            let unit = if args.count() == 4 || backwards { Unit::Byte } else { Unit::parse(args.get(4))? };
            Ok((start, end, unit))
        }
        _ => Err(CommandError::SYNTAX),
    }
}

fn plan_bitcount(planning: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    let action = match count_range(args) {
        Ok((start, end, unit)) => {
            let numbers = [start, end, unit.bits()];
            Action::Examine(count_bits, Params { numbers, operand: Operand::default() })
        }
        // An error, but only of a key that exists: see `finish_bitcount`.
        Err(_) => Action::Look,
    };
    planning.on(args, 1, action);
    Ok(())
}

fn finish_bitcount(finishing: &mut Finishing<'_>) -> Next {
    match (finishing.batch.outcome(finishing.first), count_range(finishing.args)) {
        (Outcome::Found(_), Err(error)) => return finishing.fail(&error),
        (Outcome::Examined(..), _) => return finishing.reply_answer(0),
        _ => finishing.reply.integer(0),
    }
    Next::Done
}

fn count_bits(current: Option<Current<'_>>, inputs: &Inputs<'_>, _: &mut Vec<u8>) -> Answer {
    let [start, end, unit_bits] = inputs.numbers;
    let value = current.map_or(&[][..], |current| current.value);
    let unit = Unit::of_bits(unit_bits);
    let bits = unit.bits_of(covered(unit.places(value.len()), start, end).unwrap_or_default());
    let mut count = 0;
    for_each_word(value, bits, |word, mask| {
        count += i64::from((word & mask).count_ones());
        None::<()>
    });
    Answer::Integer(count)
}

/// Shows `bits` of `value` as big-endian words with a mask of the bits that belong, until `see` finds something.
fn for_each_word<T>(
    value: &[u8],
    bits: Range<usize>,
    mut see: impl FnMut(u64, u64) -> Option<T>,
) -> Option<(usize, T)> {
    let (first, last) = (bits.start / 64, bits.end.div_ceil(64));
    let words = value.get(first * 8..value.len().min(last * 8)).unwrap_or_default();
    for (index, bytes) in (first..).zip(words.chunks(8)) {
        let mut padded = [0; 8];
        padded[..bytes.len()].copy_from_slice(bytes);
        let start = index * 64;
        let before = bits.start.saturating_sub(start).min(64) as u32;
        let after = (start + 64).saturating_sub(bits.end).min(64) as u32;
        let mask = u64::MAX.checked_shr(before).unwrap_or(0) & u64::MAX.checked_shl(after).unwrap_or(0);
        if let Some(found) = see(u64::from_be_bytes(padded), mask) {
            return Some((start, found));
        }
    }
    None
}

/// What BITPOS looks for, and where.
#[derive(Clone, Copy, Debug)]
struct Search {
    bit: i64,
    range: (i64, i64),
    unit: Unit,
    end_given: i64,
}

impl Search {
    fn parse(args: Args<'_>) -> Result<Search> {
        if args.count() > 6 {
            return Err(CommandError::SYNTAX);
        }
        let bit = integer(args.get(2))?;
        let start = if args.count() > 3 { integer(args.get(3))? } else { 0 };
        let unit = if args.count() > 5 { Unit::parse(args.get(5))? } else { Unit::Byte };
        let end = if args.count() > 4 { integer(args.get(4))? } else { -1 };
        Ok(Search { bit, range: (start, end), unit, end_given: i64::from(args.count() > 4) })
    }

    fn params(self) -> Params {
        let (start, end) = self.range;
        let rest = self.bit | self.end_given << 1 | self.unit.bits() << 2;
        Params { numbers: [start, end, rest], operand: Operand::default() }
    }

    fn of(numbers: [i64; 3]) -> Search {
        let [start, end, rest] = numbers;
        Search { bit: rest & 1, range: (start, end), unit: Unit::of_bits(rest >> 2), end_given: rest >> 1 & 1 }
    }

    /// The answer for no value: zeros without end.
    fn without_value(bit: i64) -> i64 {
        if bit == 1 { -1 } else { 0 }
    }
}

fn plan_bitpos(planning: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    if !matches!(integer(args.get(2))?, 0 | 1) {
        return Err(CommandError::text("ERR The bit argument must be 1 or 0."));
    }
    let action = match Search::parse(args) {
        Ok(search) => Action::Examine(find_bit, search.params()),
        // An error, but only of a key that exists: see `finish_bitpos`.
        Err(_) => Action::Look,
    };
    planning.on(args, 1, action);
    Ok(())
}

fn finish_bitpos(finishing: &mut Finishing<'_>) -> Next {
    match (finishing.batch.outcome(finishing.first), Search::parse(finishing.args)) {
        (Outcome::Found(_), Err(error)) => return finishing.fail(&error),
        (Outcome::Examined(..), _) => return finishing.reply_answer(0),
        _ => {
            let bit = i64::from(finishing.args.get(2) == b"1");
            finishing.reply.integer(Search::without_value(bit));
        }
    }
    Next::Done
}

fn find_bit(current: Option<Current<'_>>, inputs: &Inputs<'_>, _: &mut Vec<u8>) -> Answer {
    let Search { bit, range, unit, end_given } = Search::of(inputs.numbers);
    let Some(Current { value, .. }) = current else { return Answer::Integer(Search::without_value(bit)) };
    let places = clamped(unit.places(value.len()), range.0, range.1);
    let Some(bits) = places.map(|places| unit.bits_of(places)) else { return Answer::Integer(-1) };
    let end = bits.end;
    let turned = if bit == 1 { 0 } else { u64::MAX };
    let found = for_each_word(value, bits, |word, mask| {
        let met = (word ^ turned) & mask;
        (met != 0).then(|| met.leading_zeros())
    });
    Answer::Integer(match found {
        Some((start, offset)) => start as i64 + i64::from(offset),
        // Behind a value lie zeros, unless the range says where to stop.
        None if bit == 0 && end_given == 0 => end as i64,
        None => -1,
    })
}

#[cfg(test)]
mod tests {
    use super::{count_bits, find_bit};
    use crate::replica::{Answer, Current, Inputs};

    fn bit(value: &[u8], place: usize) -> i64 {
        i64::from(value[place / 8] >> (7 - place % 8) & 1)
    }

    /// Every range of every short value, against counting bit by bit.
    #[test]
    fn ranges_are_counted_and_searched_as_bit_by_bit() {
        let values: [&[u8]; 5] = [&[], &[0xff], &[0, 0x10, 0xff], &[0xff; 9], &[0, 0, 0, 0, 0, 0, 0, 0, 1, 0xfe, 0x7f]];
        for value in values {
            let bits = value.len() as i64 * 8;
            for (start, end) in (0..bits).flat_map(|start| (start..bits).map(move |end| (start, end))) {
                let run = |examine: crate::replica::Examine, rest| {
                    let inputs = Inputs { numbers: [start, end, rest], operand: &[], now_ms: 0 };
                    examine(Some(Current { value, expiry: None }), &inputs, &mut Vec::new())
                };
                let places = || (start..=end).map(|place| (place, bit(value, place as usize)));
                assert_eq!(run(count_bits, 1), Answer::Integer(places().map(|(_, bit)| bit).sum()));
                for wanted in [0, 1] {
                    let first = places().find(|(_, bit)| *bit == wanted).map_or(-1, |(place, _)| place);
                    assert_eq!(
                        run(find_bit, wanted | 1 << 1 | 1 << 2),
                        Answer::Integer(first),
                        "{value:?} {start} {end}"
                    );
                }
            }
        }
    }
}
