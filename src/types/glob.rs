//! Patterns of `KEYS`, `SCAN` and `PSUBSCRIBE`, exactly as Redis reads them.
//!
//! `*` any bytes, `?` one byte, `[abc]` `[a-z]` `[^a]` one of a class, `\` the next byte as it is. What looks like a mistake
//! has a meaning too: a class that is not closed ends with the pattern, a range may be turned round or end in `]`, a single
//! `\` at the end is itself. Bytes of a range compare as signed, as C's `char` does on x86.
//!
//! Invariant: time is at most the product of the two lengths: a mismatch goes back to the last `*` only, since what an
//! earlier one might take instead, the last one can take as well.
//!
//! The empty text matches the empty pattern and a lone `*`, which `KEYS` and `SCAN` take for "all", but not `**`.
//!
//! Source: Redis 7.0.15 `util.c` (`stringmatchlen`).

/// Whether all of `text` matches `pattern`.
#[must_use]
pub fn glob_match(pattern: &[u8], text: &[u8]) -> bool {
    if text.is_empty() {
        return matches!(pattern, [] | [b'*']);
    }
    let (mut pattern, mut text) = (pattern, text);
    // What follows the last star, and the text that it has not been tried on.
    let mut retry: Option<(&[u8], &[u8])> = None;
    while let [byte, following @ ..] = text {
        if let [b'*', rest @ ..] = pattern {
            if rest.is_empty() {
                return true;
            }
            pattern = rest;
            retry = Some((rest, following));
        } else if let Some(rest) = after_match(pattern, *byte) {
            (pattern, text) = (rest, following);
        } else {
            let Some((after_star, untried)) = retry else { return false };
            (pattern, text) = (after_star, untried);
            retry = untried.split_first().map(|(_, untried)| (after_star, untried));
        }
    }
    pattern.iter().all(|&byte| byte == b'*')
}

/// The pattern behind its first element, if that is no star and matches `byte`.
fn after_match(pattern: &[u8], byte: u8) -> Option<&[u8]> {
    match pattern {
        [] => None,
        [b'?', rest @ ..] => Some(rest),
        [b'[', b'^', class @ ..] => {
            let (found, rest) = after_class(class, byte);
            (!found).then_some(rest)
        }
        [b'[', class @ ..] => {
            let (found, rest) = after_class(class, byte);
            found.then_some(rest)
        }
        [b'\\', literal, rest @ ..] | [literal, rest @ ..] => (*literal == byte).then_some(rest),
    }
}

/// Whether `byte` is in the class whose members begin `class`, and the pattern behind the class.
fn after_class(mut class: &[u8], byte: u8) -> (bool, &[u8]) {
    let mut found = false;
    loop {
        let rest = match class {
            [] => return (found, class),
            [b'\\', literal, rest @ ..] => {
                found |= *literal == byte;
                rest
            }
            [b']', rest @ ..] => return (found, rest),
            [first, b'-', last, rest @ ..] => {
                let (first, last, byte) = (*first as i8, *last as i8, byte as i8);
                found |= (first.min(last)..=first.max(last)).contains(&byte);
                rest
            }
            [literal, rest @ ..] => {
                found |= *literal == byte;
                rest
            }
        };
        class = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::glob_match;

    /// The answers of Redis 7.0.15 to `KEYS pattern`, with these keys.
    #[test]
    fn patterns_match_as_in_redis() {
        let all: &[&[u8]] = &[
            b"",
            b"a",
            b"b",
            b"c",
            b"aa",
            b"ab",
            b"abc",
            b"a-c",
            b"a]",
            b"]",
            b"[",
            b"^",
            b"-",
            b"\\",
            b"*",
            b"a*",
            b"?",
            b"A",
            b"\xff",
            b"key:{1}:2",
        ];
        let table: &[(&[u8], &[&[u8]])] = &[
            (b"*", all),
            (b"", &[b""]),
            (b"**", &all[1..]),
            (b"a", &[b"a"]),
            (b"a*", &[b"a", b"aa", b"ab", b"abc", b"a-c", b"a]", b"a*"]),
            (b"*c", &[b"c", b"abc", b"a-c"]),
            (b"a*c", &[b"abc", b"a-c"]),
            (b"a**c*", &[b"abc", b"a-c"]),
            (b"??", &[b"aa", b"ab", b"a]", b"a*"]),
            (b"a?c", &[b"abc", b"a-c"]),
            (b"[ab]", &[b"a", b"b"]),
            (b"[a-c]", &[b"a", b"b", b"c"]),
            (b"[c-a]", &[b"a", b"b", b"c"]),
            (b"[^a-c][bc]", &[]),
            (b"[^a-c]", &[b"]", b"[", b"^", b"-", b"\\", b"*", b"?", b"A", b"\xff"]),
            (b"[]", &[]),
            (b"[]a]", &[]),
            (b"[^]]", &[b"a]"]),
            (b"[a-", &[b"a", b"-"]),
            (b"[a-]", &[b"a", b"]", b"^"]),
            (b"[ab", &[b"a", b"b"]),
            (b"[", &[]),
            (b"[^", &[b"a", b"b", b"c", b"]", b"[", b"^", b"-", b"\\", b"*", b"?", b"A", b"\xff"]),
            (b"\\", &[b"\\"]),
            (b"\\*", &[b"*"]),
            (b"a\\*", &[b"a*"]),
            (b"[\\]]", &[b"]"]),
            (b"[\\", &[b"\\"]),
            (b"[a^]", &[b"a", b"^"]),
            (b"[\xff-a]", &[b"a", b"]", b"[", b"^", b"-", b"\\", b"*", b"?", b"A", b"\xff"]),
            (b"key:{*}:?", &[b"key:{1}:2"]),
        ];
        for (pattern, expected) in table {
            let found: Vec<_> = all.iter().filter(|text| glob_match(pattern, text)).collect();
            assert_eq!(found, expected.iter().collect::<Vec<_>>(), "{}", pattern.escape_ascii());
        }
    }

    /// Trying every way to share the text out between the stars would take longer than the universe has.
    #[test]
    fn many_stars_take_no_longer_than_one() {
        let pattern = b"a*".repeat(1000);
        let text = b"a".repeat(2000);
        assert!(glob_match(&pattern, &text));
        assert!(!glob_match(&[&pattern[..], b"b"].concat(), &text));
    }
}
