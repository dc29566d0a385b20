"""What stands in front of a gateway in production: it speaks TLS to the world and plain HTTP to the gateway.

Forwards bytes as they are and adds no header. Knows nothing of HTTP.
"""

import contextlib
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def certificate(folder: Path, host: str = "localhost") -> Path:
    """A certificate for this host and 127.0.0.1 with its key, in one file that clients may also trust."""
    return Authority(folder, host).path


class Authority:
    """Signs certificates. `path` holds its own, which clients may trust, and its key."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.path = self._write(name, self._key, self._certificate(name, self._key, is_authority=True, ended=False))

    def certify(self, host: str, *, ended: bool = False) -> Path:
        """A certificate for this host alone with its key, in one file. `ended` means that it was valid until yesterday."""
        key = ec.generate_private_key(ec.SECP256R1())
        return self._write(f"{host}-{ended}", key, self._certificate(host, key, is_authority=False, ended=ended))

    def _certificate(self, host: str, key: ec.EllipticCurvePrivateKey, *, is_authority: bool, ended: bool) -> x509.Certificate:
        now, day = datetime.now(UTC), timedelta(days=1)
        names: list[x509.GeneralName] = [x509.DNSName(host)]
        if is_authority:
            names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)]))
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 2 * day)
            .not_valid_after(now - day if ended else now + day)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )

    def _write(self, name: str, key: ec.EllipticCurvePrivateKey, made: x509.Certificate) -> Path:
        path = self._folder / f"{name}.pem"
        private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
        return path


@contextlib.contextmanager
def terminator(listening: int, behind: int, pem: Path) -> Iterator[None]:
    """Takes TLS connections on one port and passes what is inside to another, until the block ends."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server = socket.create_server(("127.0.0.1", listening))
    stopping = threading.Event()

    def accept() -> None:
        while not stopping.is_set():
            try:
                taken, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=_serve, args=(context, taken, behind), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(5)


def _serve(context: ssl.SSLContext, taken: socket.socket, behind: int) -> None:
    with (
        contextlib.suppress(OSError),
        context.wrap_socket(taken, server_side=True) as outside,
        socket.create_connection(("127.0.0.1", behind)) as inside,
    ):
        back = threading.Thread(target=_copy, args=(inside, outside), daemon=True)
        back.start()
        _copy(outside, inside)
        back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError, ValueError):
        while data := source.recv(65_536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
