"""What a client calls itself, made safe to show.

A name is the client's own word. Characters that hide, reorder or break text are taken out, so that the page says what it seems to say.
"""

import re
import unicodedata

MAX_LENGTH = 80
_BREAKING = frozenset({"Cc", "Zl", "Zp"})  # controls and separators, in whose place a space stands
_HIDDEN = frozenset({"Cf", "Cs", "Co", "Cn"})  # bidirectional and zero-width marks, surrogates, what is no character
# Letters, marks and symbols by category, and yet nothing to see.
_BLANK = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\ufffc\U00016fe4\U0001d159\U000e0100-\U000e01ef]"
)
MAX_MARKS = 4  # on one letter; no script in use stacks more, and a tower of them covers other lines


def clean(name: str, limit: int = MAX_LENGTH) -> str:
    """One line of visible text of at most `limit` characters; may be empty."""
    visible = "".join(_shown(character) for character in _BLANK.sub("", name))
    line = " ".join(_without_towers(visible).split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def _shown(character: str) -> str:
    category = unicodedata.category(character)
    return " " if category in _BREAKING else "" if category in _HIDDEN else character


def _without_towers(text: str) -> str:
    """Drops combining marks beyond the first few on a letter."""
    kept: list[str] = []
    marks = 0
    for character in text:
        marks = marks + 1 if unicodedata.category(character) in ("Mn", "Me") else 0
        if marks <= MAX_MARKS:
            kept.append(character)
    return "".join(kept)
