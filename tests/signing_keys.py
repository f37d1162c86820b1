"""Pairs of keys for signatures, as openssl writes them.

It refuses to know what is signed.
"""

from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)


@dataclass(frozen=True)
class KeyPair:
    """Two PEM files."""

    private: Path
    """Signs."""
    public: Path
    """Verifies."""


def key_pair(folder: Path, name: str = "first") -> KeyPair:
    """Write a new pair on the curve P-256."""
    return _write(folder, name, ec.generate_private_key(ec.SECP256R1()))


def unfit_pair(folder: Path) -> KeyPair:
    """Write a pair of another kind than may sign."""
    return _write(folder, "unfit", ed25519.Ed25519PrivateKey.generate())


def _write(
    folder: Path, name: str, key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
) -> KeyPair:
    pair = KeyPair(folder / f"{name}.pem", folder / f"{name}.pub")
    pair.private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    pair.public.write_bytes(
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    return pair
