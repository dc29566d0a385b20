"""What clients publish: metadata documents, and the keys of those that prove themselves by a key (RFC 7523 §2.2).

Over http on this machine; the gateway is told to trust it (FETCH_TRUSTED_HOSTS).
"""

import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.support.documents import Documents

_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_NAMED = {"kid": "k1", "use": "sig", "alg": "RS256"}


@dataclass
class Publisher:
    """A web server, and one key pair whose public half any document may name as `{document_server}/jwks.json`."""

    documents: Documents
    _key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))

    def __post_init__(self) -> None:
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key()))
        self.documents.publish("/jwks.json", {"keys": [public | _NAMED]})

    def publish(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Puts a document at an address of its own, which becomes its client_id."""
        path = f"/oauth/{secrets.token_urlsafe(6)}/client.json"
        filled = json.loads(json.dumps(document).replace("{document_server}", self.documents.url))
        whole = {**filled, "client_id": f"{self.documents.url}{path}"}
        self.documents.publish(path, whole)
        return whole

    def assertion(self, client_id: str, audience: str) -> dict[str, str]:
        """The parameters by which a client proves itself."""
        now = int(time.time())
        claims = {"iss": client_id, "sub": client_id, "aud": audience, "jti": secrets.token_urlsafe(), "iat": now, "exp": now + 60}
        signed = jwt.encode(claims, self._key, "RS256", {"kid": _NAMED["kid"]})
        return {"client_assertion_type": _ASSERTION, "client_assertion": signed}
