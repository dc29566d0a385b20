"""A string that must not be printed.

Knows how to hold a secret and how not to show it; knows nothing of where it came from.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Secret:
    """A credential in memory. `str()`, `repr()` and f-strings show a placeholder; only `reveal()` gives the value."""

    _value: str = field(repr=False)

    def reveal(self) -> str:
        """The value itself: call it where it leaves the process, nowhere else."""
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __str__(self) -> str:
        return "[secret]" if self._value else "[no secret]"

    __repr__ = __str__
