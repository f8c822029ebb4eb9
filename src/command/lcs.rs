//! LCS: the longest common subsequence of two values.
//!
//! Redis fills a table of numbers, one for each pair of places. Here a row is a bit vector: bit `j` of row `i` says whether
//! the length grows from place `j` to `j + 1` of the second value, for the first `i` bytes of the first. A row follows
//! from the one before by an addition over whole words, and the way back needs those bits only. So the work is 64 pairs
//! a step and the memory one bit a pair: for the largest values that Redis takes 16 MB instead of 512.
//! Invariant: the way back takes the turns that Redis's takes, so among equally long subsequences the same is found.
//!
//! Source: Redis 7.0.15 `t_string.c` (`lcsCommand`); Crochemore, Iliopoulos, Pinzon, Reid, "A fast and practical
//! bit-vector algorithm for the longest common subsequence problem", 2001.

use crate::command::arguments::{integer, is_word};
use crate::command::context::{Finishing, Next, Planning};
use crate::command::error::{CommandError, Result};
use crate::command::table::{Command, Flags, Group, Keys};
use crate::replica::Action;
use crate::resp::Reply;
use crate::types::Args;

/// Bytes that Redis's table may have; ours is smaller, the limit is the same.
const TABLE_BYTES_MAX: u64 = 512 << 20;
/// Bytes of one place of Redis's table.
const PLACE_BYTES: u64 = 4;

/// The family's part of the table.
pub(super) static COMMANDS: &[Command] =
    &[Command::new("lcs", -3, Flags::READONLY.with(Flags::ALONE).with(Flags::ATOMIC), (plan, finish))
        .keys(Keys { first: 1, last: 2, step: 1 })
        .docs(Group::String, "7.0.0", "Finds the longest common subsequence of two values.")];

/// What is asked for.
#[derive(Clone, Copy, Debug, Default)]
struct Options {
    indexes: bool,
    length: bool,
    match_lengths: bool,
    shortest_match: i64,
}

impl Options {
    fn parse(args: Args<'_>) -> Result<Options> {
        let mut options = Options::default();
        let mut index = 3;
        while index < args.count() {
            let argument = args.get(index);
            if is_word(argument, "IDX") {
                options.indexes = true;
            } else if is_word(argument, "LEN") {
                options.length = true;
            } else if is_word(argument, "WITHMATCHLEN") {
                options.match_lengths = true;
            } else if is_word(argument, "MINMATCHLEN") && index + 1 < args.count() {
                index += 1;
                options.shortest_match = integer(args.get(index))?;
            } else {
                return Err(CommandError::SYNTAX);
            }
            index += 1;
        }
        if options.indexes && options.length {
            let line = "ERR If you want both the length and indexes, please just use IDX.";
            return Err(CommandError::text(line));
        }
        Ok(options)
    }
}

fn plan(planning: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    Options::parse(args)?;
    planning.on(args, 1, Action::Read);
    planning.on(args, 2, Action::Read);
    Ok(())
}

fn finish(finishing: &mut Finishing<'_>) -> Next {
    // Parsed once before, when the command was planned: it cannot fail now.
    let options = Options::parse(finishing.args).unwrap_or_default();
    let value = |index| finishing.batch.value(finishing.first + index).unwrap_or_default();
    let (one, other) = (value(0), value(1));
    if (one.len() as u64 + 1) * (other.len() as u64 + 1) * PLACE_BYTES > TABLE_BYTES_MAX {
        let line = "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len";
        return finishing.fail(&CommandError::text(line));
    }
    if options.length {
        let length = Growth::new(other.len()).last_row(one, &Masks::new(one, other));
        finishing.reply.integer(length as i64);
        return Next::Done;
    }
    let matches = Table::new(one, other).matches();
    if options.indexes {
        reply_matches(&mut finishing.reply, options, &matches);
    } else {
        let parts = matches.iter().rev().filter_map(|found| one.get(found.one..found.one + found.len));
        finishing.reply.bulk(&parts.collect::<Vec<_>>().concat());
    }
    Next::Done
}

fn reply_matches(reply: &mut Reply<'_>, options: Options, matches: &[Match]) {
    let shown = || matches.iter().filter(|found| found.len as i64 >= options.shortest_match);
    reply.map(2);
    reply.bulk(b"matches");
    reply.array(shown().count());
    for found in shown() {
        reply.array(if options.match_lengths { 3 } else { 2 });
        for start in [found.one, found.other] {
            reply.array(2);
            reply.integer(start as i64);
            reply.integer((start + found.len - 1) as i64);
        }
        if options.match_lengths {
            reply.integer(found.len as i64);
        }
    }
    reply.bulk(b"len");
    reply.integer(matches.iter().map(|found| found.len as i64).sum());
}

/// A piece that both values have: where it begins in each, and its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Match {
    one: usize,
    other: usize,
    len: usize,
}

/// For each byte of the first value: the places of the second that hold it, as bits.
struct Masks {
    words: usize,
    // Place of each byte's mask in `bits`.
    starts: [usize; 256],
    bits: Vec<u64>,
}

impl Masks {
    fn new(one: &[u8], other: &[u8]) -> Masks {
        let words = other.len().div_ceil(64);
        let mut masks = Masks { words, starts: [usize::MAX; 256], bits: Vec::new() };
        for &byte in one {
            let start = &mut masks.starts[usize::from(byte)];
            if *start == usize::MAX {
                *start = masks.bits.len();
                masks.bits.resize(masks.bits.len() + words, 0);
            }
        }
        for (place, &byte) in other.iter().enumerate() {
            let start = masks.starts[usize::from(byte)];
            if start != usize::MAX {
                masks.bits[start + place / 64] |= 1 << (place % 64);
            }
        }
        masks
    }

    fn of(&self, byte: u8) -> &[u64] {
        let start = self.starts[usize::from(byte)];
        &self.bits[start..start + self.words]
    }
}

/// A row, with each bit turned: zero where the length grows.
struct Growth {
    places: usize,
    flat: Vec<u64>,
}

impl Growth {
    /// The row before the first byte: nothing grows.
    fn new(places: usize) -> Growth {
        Growth { places, flat: vec![u64::MAX; places.div_ceil(64)] }
    }

    /// The row after one more byte of the first value, whose places in the second are `mask`.
    fn advance(&mut self, mask: &[u64]) {
        let mut carry = false;
        for (word, &mask) in self.flat.iter_mut().zip(mask) {
            let met = *word & mask;
            let (sum, first) = word.overflowing_add(met);
            let (sum, second) = sum.overflowing_add(u64::from(carry));
            carry = first || second;
            *word = sum | (*word & !mask);
        }
    }

    /// The length after all of `one`.
    fn last_row(mut self, one: &[u8], masks: &Masks) -> usize {
        for &byte in one {
            self.advance(masks.of(byte));
        }
        (0..self.places).filter(|place| self.flat[place / 64] >> (place % 64) & 1 == 0).count()
    }
}

/// All rows, for the way back.
struct Table<'a> {
    one: &'a [u8],
    other: &'a [u8],
    words: usize,
    rows: Vec<u64>,
}

impl<'a> Table<'a> {
    fn new(one: &'a [u8], other: &'a [u8]) -> Table<'a> {
        let masks = Masks::new(one, other);
        let mut growth = Growth::new(other.len());
        let mut rows = Vec::with_capacity(one.len() * masks.words);
        for &byte in one {
            growth.advance(masks.of(byte));
            rows.extend_from_slice(&growth.flat);
        }
        Table { one, other, words: masks.words, rows }
    }

    /// Whether the length grows with byte `j` (from 1) of the other value, given `i` bytes of the one.
    fn grows(&self, i: usize, j: usize) -> bool {
        self.rows[(i - 1) * self.words + (j - 1) / 64] >> ((j - 1) % 64) & 1 == 0
    }

    /// The pieces of the subsequence, the last first.
    fn matches(&self) -> Vec<Match> {
        let (mut i, mut j) = (self.one.len(), self.other.len());
        let mut matches = Vec::new();
        let mut open: Option<Match> = None;
        while i > 0 && j > 0 {
            if self.one[i - 1] == self.other[j - 1] {
                let len = open.map_or(1, |open| open.len + 1);
                (i, j) = (i - 1, j - 1);
                open = Some(Match { one: i, other: j, len });
                continue;
            }
            matches.extend(open.take());
            // Where the length grows here, it is reached without this byte of the one; otherwise without the other's.
            if self.grows(i, j) { i -= 1 } else { j -= 1 }
        }
        matches.extend(open);
        matches
    }
}

#[cfg(test)]
mod tests {
    use super::{Growth, Masks, Match, Table};

    /// Redis's way: a table of numbers, and the walk back through it.
    fn by_table(one: &[u8], other: &[u8]) -> (usize, Vec<(usize, usize)>) {
        let mut table = vec![vec![0; other.len() + 1]; one.len() + 1];
        for i in 1..=one.len() {
            for j in 1..=other.len() {
                table[i][j] = match one[i - 1] == other[j - 1] {
                    true => table[i - 1][j - 1] + 1,
                    false => table[i - 1][j].max(table[i][j - 1]),
                };
            }
        }
        let (mut i, mut j, mut pairs) = (one.len(), other.len(), Vec::new());
        while i > 0 && j > 0 {
            if one[i - 1] == other[j - 1] {
                (i, j) = (i - 1, j - 1);
                pairs.push((i, j));
            } else if table[i - 1][j] > table[i][j - 1] {
                i -= 1;
            } else {
                j -= 1;
            }
        }
        (table[one.len()][other.len()], pairs)
    }

    fn check(one: &[u8], other: &[u8]) {
        let (length, pairs) = by_table(one, other);
        assert_eq!(Growth::new(other.len()).last_row(one, &Masks::new(one, other)), length, "{one:?} {other:?}");
        let matches = Table::new(one, other).matches();
        let places = |found: &Match| {
            let (one, other) = (found.one, found.other);
            (0..found.len).rev().map(move |place| (one + place, other + place)).collect::<Vec<_>>()
        };
        assert_eq!(matches.iter().flat_map(places).collect::<Vec<_>>(), pairs, "{one:?} {other:?}");
    }

    #[test]
    fn rows_of_bits_find_what_the_table_finds() {
        check(b"ohmytext", b"mynewtext");
        check(b"", b"abc");
        check(b"abc", b"");
        check(b"abc", b"abc");
        // All pairs of short words of two letters, and long words of few letters from a fixed sequence.
        let words: Vec<Vec<u8>> = (0..5u32)
            .flat_map(|len| (0..1u32 << len).map(move |bits| (0..len).map(|place| (bits >> place & 1) as u8).collect()))
            .collect();
        for one in &words {
            words.iter().for_each(|other| check(one, other));
        }
        let mut state = 1u64;
        let mut next = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        for _ in 0..50 {
            let letters = 2 + next(6);
            let mut word = || -> Vec<u8> { (0..next(200)).map(|_| next(letters) as u8).collect() };
            let (one, other) = (word(), word());
            check(&one, &other);
        }
    }
}
