"""How a refusal of the OAuth endpoints may be worded.

Each rule's room holds its own sentence; here is only what the standard allows a sentence to be made of.
"""

import re

_NOT_ALLOWED = re.compile(r"[^\x20\x21\x23-\x5b\x5d-\x7e]")


def plain(description: str) -> str:
    """An `error_description` in the characters that RFC 6749 §5.2 allows: quotes become apostrophes, anything else foreign a `?`."""
    return _NOT_ALLOWED.sub("?", description.replace('"', "'").replace("…", "..."))
