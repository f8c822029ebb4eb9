"""The rules by which two replies are alike: the same bytes, unless `differences.toml` says otherwise for the command.

Whatever the rule, an error on one side must be the same error on the other (but for the rule `error`).
"""

import tomllib


class Rules:
    """The rules of `differences.toml`, by command or by command and subcommand."""

    def __init__(self, path, intended=True):
        with open(path, "rb") as file:
            data = tomllib.load(file)
        entries = data["open"] + (data["intended"] if intended else [])
        self.entries = {entry["command"]: entry for entry in entries}

    def find(self, arguments):
        """The entry for a command, or `None`: the replies must be equal bytes."""
        words = [argument.decode("latin-1").upper() for argument in arguments[:2]]
        return self.entries.get(" ".join(words)) or self.entries.get(words[0]) if words else None


def differ(rule, arguments, left, right):
    """What is different between two replies `(raw, parsed)`, or `None`."""
    if left[0] == right[0]:
        return None
    if rule is None:
        return "different bytes"
    if rule["compare"] == "error":
        return None if is_error(left) and is_error(right) else "one is no error"
    if is_error(left) or is_error(right):
        return "different errors"
    return COMPARISONS[rule["compare"]](rule, arguments, left[1], right[1])


def is_error(reply):
    """Whether a reply `(raw, parsed)` is an error."""
    return reply[1][0] == "-"


def same_class(_rule, _arguments, left, right):
    """The same type, and both nil or both not."""
    return None if left[0] == right[0] and (left[1] is None) == (right[1] is None) else "different types"


def answered(_rule, _arguments, _left, _right):
    """Neither is an error."""
    return None


def unordered(_rule, _arguments, left, right):
    """The same items in any order."""
    return None if left[0] == right[0] and sorted(map(repr, left[1])) == sorted(map(repr, right[1])) else "different items"


def near(rule, _arguments, left, right):
    """Two numbers above zero that lie close together."""
    if left[0] != ":" or right[0] != ":" or left[1] <= 0 or right[1] <= 0:
        return "different numbers"
    return None if abs(left[1] - right[1]) <= rule["within"] else f"more than {rule['within']} apart"


def fields(rule, _arguments, left, right):
    """The same map but for some fields."""
    def kept(reply):
        names = reply[1][0::2]
        return [(name, item) for name, item in zip(names, reply[1][1::2], strict=True) if name[1].decode() not in rule["but"]]

    return None if left[0] == right[0] and kept(left) == kept(right) else "different fields"


def described(_rule, _arguments, left, right):
    """Entries of COMMAND INFO: name, arity, flags in any order, key positions."""
    def entry(item):
        if item[1] is None:
            return None
        name, arity, flags, *positions = item[1][:6]
        return name, arity, flags[0], sorted(map(repr, flags[1])), positions

    return None if [entry(item) for item in left[1]] == [entry(item) for item in right[1]] else "different entries"


def sampled(_rule, arguments, left, right):
    """As many items; all of them when fewer than asked for."""
    if len(left[1]) != len(right[1]):
        return "different counts"
    return unordered(_rule, arguments, left, right) if len(left[1]) < int(arguments[-1]) else None


COMPARISONS = {
    "class": same_class, "answered": answered, "unordered": unordered, "near": near, "fields": fields, "described": described, "sampled": sampled,
    # These three are judged by `play`, which asks the servers again.
    "settled": lambda *_: "look", "restored": same_class, "scanned": same_class, "member": same_class,
}
