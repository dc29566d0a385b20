"""How client secrets are stored: as a digest that is encrypted.

Secrets are made here and have 128 random characters; nothing can guess them, so a password hash would only make every token request of
a confidential client slow (0.3 s with Django's default). The digest is sealed and not keyed, so that it can be moved to another key without
the secret.
"""

import hmac
from typing import Any

from django.contrib.auth.hashers import BasePasswordHasher

from oauthgw.guard import sealed
from oauthgw.guard.secret import Secret

ALGORITHM = "sealed_digest"
_PURPOSE = "client secrets"


class SealedDigestHasher(BasePasswordHasher):
    """SHA-256, encrypted: `sealed_digest$<sealed value>`. Never for secrets that people choose."""

    algorithm = ALGORITHM

    def salt(self) -> str:
        return ""  # what is random already needs none

    def encode(self, password: str, salt: str) -> str:
        return f"{ALGORITHM}${sealed.seal(_PURPOSE, Secret(sealed.digest(password)))}"

    def verify(self, password: str, encoded: str) -> bool:
        try:
            stored = sealed.unseal(_PURPOSE, self.decode(encoded)["hash"])
        except sealed.Unsealable:
            return False
        return hmac.compare_digest(stored.reveal(), sealed.digest(password))

    def decode(self, encoded: str) -> dict[str, str]:
        algorithm, value = encoded.split("$", 1)
        return {"algorithm": algorithm, "salt": "", "hash": value}

    def safe_summary(self, encoded: str) -> dict[Any, Any]:
        return {"algorithm": self.algorithm, "key": sealed.key_of(self.decode(encoded)["hash"])}

    def must_update(self, encoded: str) -> bool:
        return sealed.key_of(self.decode(encoded)["hash"]) != sealed.current_key()

    def harden_runtime(self, password: str, encoded: str) -> None:
        """Nothing to even out: there is one speed."""


def reseal(encoded: str) -> str:
    """The same digest under the current key. Raises sealed.Unsealable."""
    algorithm, value = encoded.split("$", 1)
    return f"{algorithm}${sealed.reseal(_PURPOSE, value)}"
