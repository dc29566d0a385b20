"""The clients, one row each: what they send, and where that is known from.

Sources are repositories and paths where the code is public, and issues with a capture where it is not. Ports are examples.
"""

from tests.clients.catalogue.assistants import ASSISTANTS
from tests.clients.catalogue.command_lines import COMMAND_LINES
from tests.clients.catalogue.editors import EDITORS
from tests.clients.catalogue.sdks import SDKS

CLIENTS = (*EDITORS, *ASSISTANTS, *COMMAND_LINES, *SDKS)

__all__ = ["CLIENTS"]
