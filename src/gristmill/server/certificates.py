"""The server's own certificate authority and certificate, made at the first start."""

import ipaddress
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gristmill.domain.clock import Chance
from gristmill.domain.errors import InvalidInputError, UnavailableError

ORGANISATION = "Gristmill"
LIFETIME = timedelta(days=365)
CLOCK_DIFFERENCE = timedelta(minutes=5)
"""Certificates begin this much early, for clients whose clock is behind."""

KEY_BITS = 2048
LONGEST_DOMAIN = 64
"""Characters; a certificate's common name takes no more."""

ADDRESSES = ("127.0.0.1", "0.0.0.0", "::1")  # noqa: S104 - written down, not bound


class CertificateFiles(NamedTuple):
    """PEM files. ca: what clients trust; the certificate itself when its maker left no other."""

    ca: Path
    cert: Path
    key: Path


def ensure_certificates(
    home: Path, chance: Chance, *, domain: str = "localhost"
) -> CertificateFiles:
    """Return the certificate of home, made for domain when there is none.

    A certificate and key that are there are used and never overwritten. Raises
    UnavailableError when they cannot be used, InvalidInputError when domain is none.
    """
    files = CertificateFiles(home / "ca.pem", home / "cert.pem", home / "key.pem")
    present = [path for path in (files.cert, files.key) if path.exists()]
    now = datetime.fromtimestamp(chance.now(), UTC)
    if not present:
        _make(files, domain, now)
        return files
    if len(present) == 1:
        raise UnavailableError(
            f"{present[0]} is there without its partner: bring that back, or remove ca.pem, "
            "cert.pem and key.pem to have new ones made"
        )
    _check(files, now)
    return files if files.ca.exists() else files._replace(ca=files.cert)


def _check(files: CertificateFiles, now: datetime) -> None:
    """Raise UnavailableError when what is there would not work."""
    try:
        certificate = x509.load_pem_x509_certificate(files.cert.read_bytes())
        key = serialization.load_pem_private_key(files.key.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise UnavailableError(f"cannot use {files.cert} and {files.key}: {error}") from error
    if key.public_key() != certificate.public_key():
        raise UnavailableError(f"{files.key} is not the key of {files.cert}")
    if certificate.not_valid_after_utc <= now:
        raise UnavailableError(
            f"{files.cert} expired on {certificate.not_valid_after_utc:%Y-%m-%d}: replace it, or "
            "remove ca.pem, cert.pem and key.pem to have new ones made"
        )
    if certificate.not_valid_before_utc > now:
        raise UnavailableError(
            f"{files.cert} is not valid before {certificate.not_valid_before_utc:%Y-%m-%d}: "
            "check the clock of this machine"
        )


def _make(files: CertificateFiles, domain: str, now: datetime) -> None:
    names = _names(domain)
    # The authority's key is forgotten at once, so nobody can ever sign a second certificate.
    authority_key, key = _new_key(), _new_key()
    authority = _authority(authority_key, now)
    certificate = _certificate(authority, authority_key, key, names, domain, now)
    text = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    try:
        files.ca.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        drafts = [
            _draft(files.ca, _pem(authority), 0o644),
            _draft(files.key, text, 0o600),
            _draft(files.cert, _pem(certificate), 0o644),
        ]
        for draft, path in zip(drafts, (files.ca, files.key, files.cert), strict=True):
            draft.replace(path)
    except OSError as error:
        raise UnavailableError(f"cannot write certificates: {error}") from error


def _authority(key: rsa.RSAPrivateKey, now: datetime) -> x509.Certificate:
    name = _subject(f"{ORGANISATION} certificate authority")
    builder = _builder(name, name, key.public_key(), now)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = builder.add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False
    )
    return builder.sign(key, hashes.SHA256())


def _certificate(
    authority: x509.Certificate,
    authority_key: rsa.RSAPrivateKey,
    key: rsa.RSAPrivateKey,
    names: list[x509.GeneralName],
    domain: str,
    now: datetime,
) -> x509.Certificate:
    builder = _builder(_subject(domain), authority.subject, key.public_key(), now)
    builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
    builder = builder.add_extension(_usage(signs_certificates=False), critical=True)
    builder = builder.add_extension(
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
    )
    identifier = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    builder = builder.add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False
    )
    return builder.sign(authority_key, hashes.SHA256())


def _builder(
    subject: x509.Name, issuer: x509.Name, key: rsa.RSAPublicKey, now: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_DIFFERENCE)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_encipherment=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _names(domain: str) -> list[x509.GeneralName]:
    """Every name the server answers to: localhost and this machine's own, and the domain."""
    if not 0 < len(domain) <= LONGEST_DOMAIN:
        raise InvalidInputError(f"must have 1 to {LONGEST_DOMAIN} characters", "domain")
    addresses = [ipaddress.ip_address(address) for address in ADDRESSES]
    domains = ["localhost"]
    try:
        addresses.append(ipaddress.ip_address(domain))
    except ValueError:
        domains.append(domain)
    try:
        return [
            *(x509.DNSName(name) for name in dict.fromkeys(domains)),
            *(x509.IPAddress(address) for address in dict.fromkeys(addresses)),
        ]
    except ValueError as error:
        raise InvalidInputError(f"{domain!r} is no domain name: {error}", "domain") from error


def _subject(name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANISATION),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )


def _new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _draft(path: Path, content: bytes, mode: int) -> Path:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return draft
