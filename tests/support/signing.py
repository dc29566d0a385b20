"""Clients that prove themselves by their own key: keys, key sets and assertions, right unless told otherwise.

Knows RFC 7517 and RFC 7523 as a client's author does; imports nothing of the gateway.
"""

import json
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from jwt.api_jws import PyJWS

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def key_for(algorithm: str) -> PrivateKey:
    """A new private key that signs with this algorithm."""
    if algorithm == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    return ed25519.Ed25519PrivateKey.generate() if algorithm == "EdDSA" else rsa_key()


def jwk(key: Any, key_id: str = "", **members: Any) -> dict[str, Any]:
    """A key, public or private, as a client publishes it or would never."""
    kinds = ((rsa.RSAPrivateKey, rsa.RSAPublicKey, RSAAlgorithm), (ec.EllipticCurvePrivateKey, ec.EllipticCurvePublicKey, ECAlgorithm))
    writer: Any = next((writer for private, public, writer in kinds if isinstance(key, private | public)), OKPAlgorithm)
    written = json.loads(writer.to_jwk(key))
    written.pop("key_ops", None)
    return {**written, **({"kid": key_id} if key_id else {}), **members}


def encode(claims: Any, key: PrivateKey, algorithm: str, header: dict[str, Any]) -> str:
    """A signed JWT of any claims, also of those that a library would refuse to sign."""
    return PyJWS().encode(json.dumps(claims).encode(), key, algorithm, header)


@dataclass
class Signer:
    """One key of a client."""

    algorithm: str = "RS256"
    key_id: str = "key-1"
    key: PrivateKey = field(default=None)  # type: ignore[assignment]  # made below

    def __post_init__(self) -> None:
        self.key = self.key or key_for(self.algorithm)

    @property
    def public(self) -> dict[str, Any]:
        return jwk(self.key.public_key(), self.key_id)

    @property
    def key_set(self) -> dict[str, Any]:
        return {"keys": [self.public]}

    def claims(self, client_id: str, audience: Any, **changed: Any) -> dict[str, Any]:
        """What an assertion says; None leaves a claim out."""
        now = int(time.time())
        right = {"iss": client_id, "sub": client_id, "aud": audience, "exp": now + 300, "iat": now, "jti": uuid.uuid4().hex}
        return {name: value for name, value in {**right, **changed}.items() if value is not None}

    def sign(self, client_id: str, audience: Any, header: dict[str, Any] | None = None, **changed: Any) -> str:
        """A new assertion."""
        headers = {"kid": self.key_id} if header is None else header
        return encode(self.claims(client_id, audience, **changed), self.key, self.algorithm, headers)

    def form(self, client_id: str, audience: Any, **changed: Any) -> dict[str, str]:
        """The parameters that authenticate one request."""
        return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": self.sign(client_id, audience, **changed)}
