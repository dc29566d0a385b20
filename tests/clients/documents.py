"""Where clients publish client ID metadata documents, and the keys of those that prove themselves by a key (RFC 7523).

Over http on this machine: the gateway is told to trust it (FETCH_TRUSTED_HOSTS).
"""

import contextlib
import json
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.support.processes import PATIENCE

_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass
class DocumentServer:
    """`host` is its host and port. Keeps one key pair, whose public half every document may name by `{document_server}/jwks.json`."""

    host: str
    published: dict[str, dict[str, Any]] = field(default_factory=dict)
    _key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))

    def __post_init__(self) -> None:
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key()))
        self.published["/jwks.json"] = {"keys": [{**public, "kid": "k1", "use": "sig", "alg": "RS256"}]}

    def publish(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Puts a document at an address of its own, which becomes its client_id."""
        path = f"/oauth/{secrets.token_urlsafe(6)}/client.json"
        text = json.dumps(document).replace("{document_server}", f"http://{self.host}")
        self.published[path] = {**json.loads(text), "client_id": f"http://{self.host}{path}"}
        return self.published[path]

    def assertion(self, client_id: str, audience: str) -> dict[str, str]:
        """The parameters by which a client proves itself (RFC 7523 §2.2)."""
        now = int(time.time())
        claims = {"iss": client_id, "sub": client_id, "aud": audience, "jti": secrets.token_urlsafe(), "iat": now, "exp": now + 60}
        signed = jwt.encode(claims, self._key, "RS256", {"kid": "k1"})
        return {"client_assertion_type": _ASSERTION, "client_assertion": signed}


@contextlib.contextmanager
def serving() -> Iterator[DocumentServer]:
    """A server until the block ends."""

    class Shelf(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            document = documents.published.get(self.path)
            body = json.dumps(document or {"error": "not here"}).encode()
            self.send_response(200 if document else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Shelf)
    documents = DocumentServer(f"127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield documents
    finally:
        server.shutdown()
        server.server_close()
        thread.join(PATIENCE)
