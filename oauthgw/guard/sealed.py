"""Encryption at rest and the keys derived for it: the one place that encrypts.

From each of `TOKEN_ENCRYPTION_KEYS` one key per purpose is derived (HKDF, RFC 5869, with the purpose as `info`), and every value names
the key that made it, so that a key can be added in front, values re-sealed, and the old key dropped.
"""

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from oauthgw.guard.conf import gateway
from oauthgw.guard.secret import Secret

_VERSION = "v1"
_NONCE_BYTES = 12  # 96 bits, the length AES-GCM is defined for (NIST SP 800-38D §5.2.1.1)


class Unsealable(Exception):
    """A stored value that no configured key opens: it was altered, or its key was removed too early."""


def b64(data: bytes) -> str:
    """base64url without padding (RFC 7515 §2)."""
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def unb64(text: str) -> bytes:
    """The inverse of `b64`. Raises ValueError for anything that is not base64url."""
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def digest(value: str) -> str:
    """The SHA-256 under which a high-entropy value is stored and looked up, in hexadecimal."""
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()


def current_key() -> str:
    """The id of the key that encrypts and signs from now on."""
    return _key_id(gateway().encryption_keys[0].reveal())


def mac(purpose: str, message: bytes, key_id: str) -> bytes | None:
    """HMAC-SHA-256 of a message under the key derived for this purpose; None when that key is no longer configured."""
    root = _root(key_id)
    return None if root is None else hmac.digest(_derive(root, purpose), message, "sha256")


def seal(purpose: str, secret: Secret) -> str:
    """Encrypts a value for storage: `v1.{key id}.{nonce and ciphertext}` (AES-256-GCM, purpose and key id authenticated)."""
    key_id = current_key()
    nonce = secrets.token_bytes(_NONCE_BYTES)
    header = f"{_VERSION}.{key_id}"
    sealed = _cipher(key_id, purpose).encrypt(nonce, secret.reveal().encode(), header.encode())
    return f"{header}.{b64(nonce + sealed)}"


def unseal(purpose: str, sealed: str) -> Secret:
    """Decrypts a stored value. Raises Unsealable when it was altered or its key is no longer configured."""
    try:
        version, key_id, body = sealed.split(".")
        data = unb64(body)
        if version != _VERSION:
            raise Unsealable(f"unknown version {version!r}")
        plain = _cipher(key_id, purpose).decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], f"{version}.{key_id}".encode())
    except (ValueError, InvalidTag) as error:
        raise Unsealable("the value was altered or was sealed for something else") from error
    return Secret(plain.decode())


def key_of(sealed: str) -> str:
    """The id of the key that a sealed value names; empty when it names none."""
    parts = sealed.split(".")
    return parts[1] if len(parts) == 3 else ""


def reseal(purpose: str, sealed: str) -> str:
    """The same value, sealed under the current key; as it is, if it is that already. Raises Unsealable."""
    return sealed if key_of(sealed) == current_key() else seal(purpose, unseal(purpose, sealed))


def _cipher(key_id: str, purpose: str) -> AESGCM:
    root = _root(key_id)
    if root is None:
        raise Unsealable(f"its key {key_id!r} is not among TOKEN_ENCRYPTION_KEYS")
    return AESGCM(_derive(root, purpose))


def _root(key_id: str) -> str | None:
    return next((key.reveal() for key in gateway().encryption_keys if _key_id(key.reveal()) == key_id), None)


@lru_cache(maxsize=32)
def _key_id(root: str) -> str:
    return hashlib.sha256(b"key id:" + root.encode()).hexdigest()[:8]


@lru_cache(maxsize=128)
def _derive(root: str, purpose: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose.encode()).derive(unb64(root))
