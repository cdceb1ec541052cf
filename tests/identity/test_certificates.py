import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from cryptography import x509

from gristmill.domain.clock import Chance
from gristmill.domain.errors import InvalidInputError, UnavailableError
from gristmill.server.certificates import CertificateFiles, ensure_certificates

YEAR = 365 * 86400


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    return ensure_certificates(tmp_path_factory.mktemp("home"), Chance(), domain="mill.example.org")


@pytest.fixture
def files(made: CertificateFiles, tmp_path: Path) -> CertificateFiles:
    """A copy to spoil."""
    return CertificateFiles(*(Path(shutil.copy(path, tmp_path)) for path in made))


class Hello(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def port(made: CertificateFiles) -> Iterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.cert, made.key)
    with HTTPServer(("127.0.0.1", 0), Hello) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "mill.example.org", "::1", "0.0.0.0"])
def test_python_trusts_it_strictly(made: CertificateFiles, port: int, name: str) -> None:
    context = ssl.create_default_context(cafile=str(made.ca))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    with (
        socket.create_connection(("127.0.0.1", port)) as plain,
        context.wrap_socket(plain, server_hostname=name) as secure,
    ):
        secure.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert secure.recv(15).startswith(b"HTTP/1.0 200")


def test_other_names_are_not_covered(made: CertificateFiles, port: int) -> None:
    context = ssl.create_default_context(cafile=str(made.ca))
    with (
        socket.create_connection(("127.0.0.1", port)) as plain,
        pytest.raises(ssl.SSLCertVerificationError, match=r"other\.example\.org"),
    ):
        context.wrap_socket(plain, server_hostname="other.example.org")


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_trusts_it(made: CertificateFiles, port: int) -> None:
    curl = ["curl", "-sS", "--noproxy", "*", "--cacert", str(made.ca)]
    done = subprocess.run(
        [*curl, f"https://localhost:{port}/"], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("hello", "")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_openssl_accepts_it(made: CertificateFiles) -> None:
    openssl = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver"]
    done = subprocess.run(
        [*openssl, "-CAfile", str(made.ca), str(made.cert)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_its_form(made: CertificateFiles) -> None:
    certificate = x509.load_pem_x509_certificate(made.cert.read_bytes())
    lifetime = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert 365 <= lifetime.total_seconds() / 86400 < 365.1
    assert certificate.signature_hash_algorithm is not None
    assert certificate.signature_hash_algorithm.name == "sha256"
    assert "O=Gristmill" in certificate.subject.rfc4514_string()
    assert made.key.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in made.ca.parent.iterdir()) == [
        "ca.pem", "cert.pem", "key.pem",
    ]  # fmt: skip


def test_what_is_there_is_used(files: CertificateFiles) -> None:
    before = [path.read_bytes() for path in files]
    assert ensure_certificates(files.ca.parent, Chance()) == files
    assert [path.read_bytes() for path in files] == before
    files.ca.unlink()
    assert ensure_certificates(files.ca.parent, Chance()).ca == files.cert


def test_an_expired_one_is_refused(files: CertificateFiles) -> None:
    made_at = x509.load_pem_x509_certificate(files.cert.read_bytes()).not_valid_before_utc
    late = Chance(now=lambda: made_at.timestamp() + YEAR + 3600)
    early = Chance(now=lambda: made_at.timestamp() - 3600)
    before = files.cert.read_bytes()
    with pytest.raises(UnavailableError, match=r"expired on .* remove ca\.pem"):
        ensure_certificates(files.ca.parent, late)
    with pytest.raises(UnavailableError, match="clock"):
        ensure_certificates(files.ca.parent, early)
    assert files.cert.read_bytes() == before


def test_halves_and_strangers_are_refused(files: CertificateFiles, tmp_path: Path) -> None:
    other = ensure_certificates(tmp_path / "other", Chance())
    files.key.write_bytes(other.key.read_bytes())
    with pytest.raises(UnavailableError, match="is not the key"):
        ensure_certificates(tmp_path, Chance())
    files.key.write_text("no key")
    with pytest.raises(UnavailableError, match="cannot use"):
        ensure_certificates(tmp_path, Chance())
    files.key.unlink()
    with pytest.raises(UnavailableError, match="without its partner"):
        ensure_certificates(tmp_path, Chance())
    assert not files.key.exists()


@pytest.mark.parametrize("domain", ["", "é.example", "x" * 65])
def test_a_bad_domain_is_named(tmp_path: Path, domain: str) -> None:
    with pytest.raises(InvalidInputError) as raised:
        ensure_certificates(tmp_path, Chance(), domain=domain)
    assert raised.value.field == "domain"
    assert list(tmp_path.iterdir()) == []


def test_an_address_can_be_the_domain(tmp_path: Path) -> None:
    made = ensure_certificates(tmp_path, Chance(), domain="192.0.2.7")
    certificate = x509.load_pem_x509_certificate(made.cert.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "192.0.2.7" in map(str, names.get_values_for_type(x509.IPAddress))
