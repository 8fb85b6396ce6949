"""Follows the instructions of a pickle without running them, to find tuples that it names again and again.

The hash of a tuple of tuples takes the time of all their parts: a key of 60 levels, each of which names the one below
twice, has 300 bytes, and its hash takes years.
"""

import pickletools
from typing import Any

from schemas.errors import UserError

# Most parts of tuples that a pickle may name again, counted as often as it does: a second for their hashes.
_MOST_PARTS = 10_000_000
_MARK = 0
_PUT, _GET = {"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"}, {"GET", "BINGET", "LONG_BINGET", "DUP"}
_HASHED = {"TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "FROZENSET"}


class RepeatedTuples:
    """How many parts the values on the stack of a pickle have, if they are tuples; 1 for others."""

    def __init__(self) -> None:
        self._stack: list[int] = []
        self._memo: dict[int, int] = {}
        self._repeated = 0

    def follow(self, code: pickletools.OpcodeInfo, argument: Any) -> None:
        """Follow one instruction.

        Raises:
            UserError: It names tuples again and again.
            IndexError: It takes what is not there.
        """
        if code.name in _PUT:
            self._memo[len(self._memo) if argument is None else argument] = self._stack[-1]
        elif code.name in _GET:
            parts = self._stack[-1] if code.name == "DUP" else self._memo.get(argument, 1)
            self._repeated += parts - 1
            if self._repeated > _MOST_PARTS:
                raise UserError("names the same tuples again and again; write each value out")
            self._stack.append(parts)
        else:
            parts = 1 + self._take(code)
            for result in code.stack_after:
                self._stack.append(_MARK if result is pickletools.markobject else parts if code.name in _HASHED else 1)

    def _take(self, code: pickletools.OpcodeInfo) -> int:
        """Take from the stack what an instruction uses; returns how many parts it has together."""
        before, parts = list(code.stack_before), 0
        if pickletools.markobject in before:
            while (taken := self._stack.pop()) != _MARK:
                parts += taken
            before = before[: before.index(pickletools.markobject)]
        return parts + sum(self._stack.pop() for _ in before)
