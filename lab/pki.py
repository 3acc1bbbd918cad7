"""The cluster's certificates: one CA, a certificate for each component, a key pair for service-account
tokens.

ECDSA P-256 throughout: a key takes a millisecond.
"""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFETIME = datetime.timedelta(days=3650)
# A machine whose clock is a little behind must accept what was made a second ago.
_BACKDATED = datetime.timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A certificate and its private key, both PEM text."""

    certificate: str
    key: str

    def save(self, directory: Path, name: str) -> None:
        """Write NAME.crt and NAME.key (mode 600)."""
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"{name}.crt").write_text(self.certificate)
        private = directory / f"{name}.key"
        private.touch(mode=0o600)
        private.write_text(self.key)

    @classmethod
    def load(cls, directory: Path, name: str) -> Pair:
        """Read what `save` wrote."""
        return cls(certificate=(directory / f"{name}.crt").read_text(), key=(directory / f"{name}.key").read_text())


def new_key() -> tuple[str, str]:
    """A private key and its public key, both PEM text."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return _pem(key), public.decode()


def new_authority(common_name: str) -> Pair:
    """A self-signed CA that may sign end certificates only."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(common_name, ())
    builder = (
        _builder(name, name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(authority=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return Pair(certificate=_sign(builder, key), key=_pem(key))


def issue(authority: Pair, *, common_name: str, groups: Sequence[str] = (), names: Sequence[str] = ()) -> Pair:
    """A certificate for clients and servers. Kubernetes reads the user from the common name and the groups
    from the organisations; `names` are DNS names and IP addresses a server answers to."""
    issuer = x509.load_pem_x509_certificate(authority.certificate.encode())
    signer = serialization.load_pem_private_key(authority.key.encode(), password=None)
    if not isinstance(signer, ec.EllipticCurvePrivateKey):
        raise TypeError("the authority's key is not an elliptic-curve key")
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        _builder(_name(common_name, groups), issuer.subject, key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(authority=False), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]),
            critical=False,
        )
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([_alternative(n) for n in names]), critical=False)
    return Pair(certificate=_sign(builder, signer), key=_pem(key))


def _builder(subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + _LIFETIME)
    )


def _name(common_name: str, groups: Sequence[str]) -> x509.Name:
    organisations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*organisations, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _sign(builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey) -> str:
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def _pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
