"""What a client's key set may hold, and which of its keys may verify a signature."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from oauthgw.clients import keys
from tests.support.signing import Signer, jwk, key_for, rsa_key

RSA = rsa_key()


def read(*published: Any) -> list[dict[str, Any]]:
    kept = keys.read({"keys": list(published)})
    keys.refuse_without_use(kept)
    return kept


@pytest.mark.parametrize("algorithm", keys.ALGORITHMS)
def test_a_public_key_of_each_algorithm_is_kept_as_it_was_published(algorithm: str) -> None:
    signer = Signer(algorithm)
    assert read(signer.public) == [signer.public]
    assert len(keys.fitting([signer.public], "key-1", algorithm)) == 1


def test_an_rsa_key_serves_both_of_its_algorithms_unless_it_names_one() -> None:
    free, bound = jwk(RSA.public_key()), jwk(RSA.public_key(), alg="PS256")
    assert [len(keys.fitting([key], None, algorithm)) for key in (free, bound) for algorithm in ("RS256", "PS256")] == [1, 1, 0, 1]


def test_members_that_no_public_key_needs_are_dropped() -> None:
    assert read(jwk(RSA.public_key(), x5c=["MII"], unheard_of={"a": 1}))[0].keys() == {"kty", "n", "e"}


@pytest.mark.parametrize(
    "key",
    [
        jwk(RSA),
        jwk(key_for("ES256")),
        jwk(key_for("EdDSA")),
        {"kty": "oct", "k": "c2VjcmV0"},
        {"kty": "oct"},
        {**jwk(RSA.public_key()), "d": ""},
        {**jwk(RSA.public_key()), "p": "x"},
    ],
    ids=["RSA", "EC", "OKP", "oct", "oct without a value", "an empty exponent", "a prime"],
)
def test_a_set_with_a_private_or_symmetric_key_is_refused_whole(key: dict[str, Any]) -> None:
    with pytest.raises(keys.UnfitKeys, match="private or symmetric"):
        read(jwk(RSA.public_key()), key)


@pytest.mark.parametrize(
    ("key", "why"),
    [
        (jwk(rsa_key(1024).public_key()), "2048"),
        (jwk(ec.generate_private_key(ec.SECP384R1()).public_key()), "P-256"),
        (jwk(ec.generate_private_key(ec.SECP256K1()).public_key()), "P-256"),
        ({"kty": "OKP", "crv": "X25519", "x": "hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo"}, "no public key"),
        (jwk(RSA.public_key(), use="enc"), "no public key"),
        (jwk(RSA.public_key(), alg="RS512"), "no public key"),
        (jwk(RSA.public_key(), key_ops=["encrypt"]), "no public key"),
        ({"kty": "RSA", "n": "!", "e": "AQAB"}, "no public key"),
        ({"kty": "RSA"}, "no public key"),
        ({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}, "no public key"),
        ({"kty": "unheard of"}, "no public key"),
        ({}, "no public key"),
    ],
)
def test_a_set_without_a_key_that_can_sign_for_us_is_of_no_use(key: dict[str, Any], why: str) -> None:
    with pytest.raises(keys.UnfitKeys, match=why):
        read(key)


def test_such_a_key_does_no_harm_beside_one_that_can() -> None:
    weak = jwk(rsa_key(1024).public_key(), "weak")
    kept = read(weak, jwk(RSA.public_key(), "strong"))
    assert [key["kid"] for key in kept] == ["weak", "strong"]
    assert keys.fitting(kept, "weak", "RS256") == [] and len(keys.fitting(kept, None, "RS256")) == 1


@pytest.mark.parametrize(
    "document",
    [None, [], "x", {}, {"keys": []}, {"keys": {}}, {"keys": ["x"]}, {"keys": [jwk(RSA.public_key())] * 21}],
)
def test_what_is_no_key_set_is_refused(document: Any) -> None:
    with pytest.raises(keys.UnfitKeys):
        keys.read(document)


@pytest.mark.parametrize("kid", [7, "x" * 2001, "a\x00b", "\ud800", "line\nbreak", None, {}])
def test_a_member_that_no_database_or_page_could_hold_is_refused(kid: Any) -> None:
    with pytest.raises(keys.UnfitKeys, match="kid"):
        keys.read({"keys": [{**jwk(RSA.public_key()), "kid": kid}]})


def test_a_key_id_selects_and_a_key_without_one_answers_to_any() -> None:
    first, second, nameless = Signer(key_id="1"), Signer(key_id="2"), Signer(key_id="")
    kept = read(first.public, second.public, nameless.public)
    assert len(keys.fitting(kept, "1", "RS256")) == 2
    assert len(keys.fitting(kept, "unknown", "RS256")) == 1
    assert len(keys.fitting(kept, None, "RS256")) == 3


@pytest.mark.parametrize("algorithm", ["none", "HS256", "RS512", "", "ES256K"])
def test_no_key_fits_another_algorithm(algorithm: str) -> None:
    assert keys.fitting([jwk(RSA.public_key())], None, algorithm) == []
