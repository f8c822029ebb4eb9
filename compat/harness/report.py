"""How a check is counted: one line `pass NAME` or `fail NAME: why` each, whatever language the checks are written in."""

import re
import subprocess
import sys
import traceback

SUM = re.compile(r"\d+ passed, \d+ failed")


class Report:
    """Counts the checks of one program and prints each as it is done."""

    def __init__(self):
        self.passed = 0
        self.failed = 0

    def record(self, name, problem=None):
        """Counts one check; `problem` says what is wrong, `None` that nothing is."""
        if problem is None:
            self.passed += 1
            print(f"pass {name}", flush=True)
        else:
            self.failed += 1
            print(f"fail {name}: {one_line(problem)}", flush=True)

    def run(self, name, check, *arguments):
        """Counts the check `check(*arguments)`, which raises when something is wrong."""
        try:
            check(*arguments)
        except Exception as problem:  # every kind of failure is a failed check, none ends the run
            place = traceback.extract_tb(problem.__traceback__)[-1]
            self.record(name, f"{type(problem).__name__} at line {place.lineno}: {problem}")
        else:
            self.record(name)

    def run_program(self, name, command, seconds, **options):
        """Runs a program that prints its own check lines, and counts those; an end without any is one failure."""
        before = self.passed + self.failed
        failed = self.failed
        try:
            process = subprocess.run(
                [str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                text=True, errors="replace", timeout=seconds, check=False, **options,
            )
            output, code = process.stdout, process.returncode
        except subprocess.TimeoutExpired as late:
            output, code = (late.stdout or b"").decode(errors="replace"), f"no end within {seconds} s"
        self.count(name, output)
        unexplained = code != 0 and self.failed == failed
        if unexplained or self.passed + self.failed == before:
            self.record(name, f"ended with {code}: {output[-1500:]}")

    def count(self, name, output):
        """Counts and repeats the check lines of a program's output; other lines but its own sum are repeated as they are."""
        for line in output.splitlines():
            if SUM.fullmatch(line):
                continue
            kind, _, rest = line.partition(" ")
            self.passed += kind == "pass"
            self.failed += kind == "fail"
            print(f"{kind} {name}: {rest}" if kind in ("pass", "fail") else line, flush=True)

    def close(self):
        """Prints the closing line; returns the exit code."""
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        return 1 if self.failed or not self.passed else 0


def expect(actual, wanted, what="reply"):
    """Raises when a result is not the one wanted; the type counts too, since clients map types."""
    if type(actual) is not type(wanted) or actual != wanted:
        raise AssertionError(f"{what} is {short(actual)}, wanted {short(wanted)}")


def expect_raises(kind, text, call, *arguments):
    """Raises unless the call fails with an error of this kind whose message contains `text`."""
    try:
        result = call(*arguments)
    except kind as error:
        if text not in str(error):
            raise AssertionError(f"error is {error!s}, wanted one with {text!r}") from None
        return
    raise AssertionError(f"no error, but {short(result)}, wanted one with {text!r}")


def short(value):
    """A value for a message, cut where it would fill the screen."""
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}... ({len(text)} characters)"


def one_line(problem):
    """A problem on one line, so that the count of lines stays the count of checks."""
    return str(problem).replace("\r", "\\r").replace("\n", "\\n")


def exit_with(report):
    """Ends a program of checks: no closing line, since `compat/run` sums up."""
    sys.exit(1 if report.failed else 0)
