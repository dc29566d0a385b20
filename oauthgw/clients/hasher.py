"""How client secrets are stored: as a keyed digest.

Secrets are made here and have 128 random characters; nothing can guess them, so a password hash would only make every token request of
a confidential client slow (0.3 s with Django's default).
"""

import hmac
from typing import Any

from django.contrib.auth.hashers import BasePasswordHasher

from oauthgw.guard import sealed

_PURPOSE = "client secrets"


class KeyedDigestHasher(BasePasswordHasher):
    """HMAC-SHA-256 under a server key: `keyed_digest$<key id>$<digest>`. Never for secrets that people choose."""

    algorithm = "keyed_digest"

    def salt(self) -> str:
        return sealed.current_key()

    def encode(self, password: str, salt: str) -> str:
        computed = sealed.mac(_PURPOSE, password.encode(), salt)
        if computed is None:
            raise ValueError(f"key {salt!r} is not among TOKEN_ENCRYPTION_KEYS")
        return f"{self.algorithm}${salt}${sealed.b64(computed)}"

    def verify(self, password: str, encoded: str) -> bool:
        key_id = self.decode(encoded)["salt"]
        computed = sealed.mac(_PURPOSE, password.encode(), key_id)
        return computed is not None and hmac.compare_digest(sealed.b64(computed), self.decode(encoded)["hash"])

    def decode(self, encoded: str) -> dict[str, str]:
        algorithm, key_id, value = encoded.split("$", 2)
        return {"algorithm": algorithm, "salt": key_id, "hash": value}

    def safe_summary(self, encoded: str) -> dict[Any, Any]:
        return {"algorithm": self.algorithm, "key": self.decode(encoded)["salt"]}

    def must_update(self, encoded: str) -> bool:
        return self.decode(encoded)["salt"] != sealed.current_key()

    def harden_runtime(self, password: str, encoded: str) -> None:
        """Nothing to even out: there is one speed."""
