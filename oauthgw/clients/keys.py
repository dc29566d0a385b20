"""A client's public keys: what its key set may hold, and which of its keys may verify a signature (RFC 7517, RFC 7518 §3 and §6).

Pure: no request, no database, no network; `key_sets` knows where a set comes from.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK
from jwt.exceptions import PyJWTError

ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")  # asymmetric ones: a symmetric "signature" could be made by whoever may check it
MAX_KEYS = 20
MAX_LENGTH = 2000  # of a member; 8,192 bits are 1,366 characters
MIN_RSA_BITS = 2048  # NIST SP 800-131A rev. 2 §3: below this RSA signatures are disallowed
MAX_RSA_BITS = 8192  # what a signature costs to check grows with the square, and strangers choose their keys
_KEPT = ("kty", "use", "alg", "kid", "crv", "n", "e", "x", "y")
_VERIFY = ["verify"]  # the one operation (RFC 7517 §4.3) that matters here
_SECRET = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})  # RFC 7518 §6.2.2, §6.3.2, §6.4; RFC 8037 §2

PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey | Ed448PublicKey
KeySet = Sequence[Mapping[str, Any]]


class UnfitKeys(Exception):
    """A key set that must not be used; the text says why, and what would be accepted."""


def read(document: Any) -> list[dict[str, Any]]:
    """The keys of a JWK Set, each reduced to what a public key for signatures says of itself. Raises UnfitKeys.

    A set that shows a secret is refused whole: its owner must learn of it. Keys of kinds that we cannot use are kept (RFC 7517 §5).
    """
    published = document.get("keys") if isinstance(document, Mapping) else None
    if not isinstance(published, list) or not published or not all(isinstance(key, dict) for key in published):
        raise UnfitKeys("A key set must be a JSON object with a list of at least one key under 'keys' (RFC 7517 §5).")
    if len(published) > MAX_KEYS:
        raise UnfitKeys(f"The key set has {len(published)} keys; at most {MAX_KEYS} are accepted.")
    if any(key.get("kty") == "oct" or not _SECRET.isdisjoint(key) for key in published):
        raise UnfitKeys(
            "The key set holds a private or symmetric key. Replace it, as it is no secret any more, and publish only public keys."
        )
    return [_public(key) for key in published]


def refuse_without_use(keys: KeySet) -> None:
    """Refuses a set of which no key may verify a signature. Raises UnfitKeys."""
    if not any(_loaded(key, algorithm) for key in keys for algorithm in ALGORITHMS):
        raise UnfitKeys(
            f"The key set has no public key for signatures with {', '.join(ALGORITHMS)}; an RSA key needs {MIN_RSA_BITS} to "
            f"{MAX_RSA_BITS} bits, an elliptic curve key the curve P-256."
        )


def fitting(keys: KeySet, key_id: str | None, algorithm: str) -> list[PublicKey]:
    """The keys that may verify a signature made with this algorithm under this key id (RFC 7515 §4.1.4).

    A key without an id answers to any: clients name ids that their published key does not carry.
    """
    named = (key for key in keys if key_id is None or key.get("kid", key_id) == key_id)
    return [loaded for key in named if (loaded := _loaded(key, algorithm)) is not None]


def _public(key: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: key[name] for name in _KEPT if name in key}
    for name, value in kept.items():
        if not isinstance(value, str) or len(value) > MAX_LENGTH or not value.isprintable():
            raise UnfitKeys(f"A key of the set has a member {name!r} that is not a printable string of at most {MAX_LENGTH} characters.")
    operations = key.get("key_ops", _VERIFY)
    if operations != _VERIFY:
        kept["key_ops"] = _VERIFY if isinstance(operations, list) and "verify" in operations else []
    return kept


def _loaded(key: Mapping[str, Any], algorithm: str) -> PublicKey | None:
    if algorithm not in ALGORITHMS or key.get("alg", algorithm) != algorithm:
        return None
    if key.get("use", "sig") != "sig" or key.get("key_ops", _VERIFY) != _VERIFY:
        return None
    try:
        loaded = PyJWK(dict(key), algorithm=algorithm).key
    except (PyJWTError, ValueError, TypeError):
        return None
    return loaded if _is_strong(loaded, algorithm) else None


def _is_strong(key: Any, algorithm: str) -> bool:
    match key:
        case RSAPublicKey():
            return algorithm in ("RS256", "PS256") and MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS
        case EllipticCurvePublicKey():
            return algorithm == "ES256" and isinstance(key.curve, SECP256R1)
        case Ed25519PublicKey() | Ed448PublicKey():
            return algorithm == "EdDSA"
    return False
