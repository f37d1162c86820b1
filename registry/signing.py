"""Signatures of adapters in the OpenSSF model-signing format, made and checked with plain keys.

It refuses to know what a folder holds, and who wants it signed.
"""

from pathlib import Path

from registry.errors import Invalid, UntrustedArtifact

SIGNATURE = "model.sig"
"""Name of the signature beside the files it covers: every one but itself."""
_CURVES = frozenset({"secp256r1", "secp384r1", "secp521r1"})
_HOW = "openssl ecparam -name prime256v1 -genkey -noout -out signing.pem"


def check_keys(signing_key: Path | None, verification_key: Path | None) -> None:
    """Read both keys as far as they are set, so that a wrong file is named when a process starts.

    Raises:
        Invalid: One cannot be read, or is no key of a curve that signs.
    """
    if signing_key is None and verification_key is None:
        return
    # Nobody else needs it in memory.
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415 - see above
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415 - see above
        load_pem_private_key,
        load_pem_public_key,
    )

    if signing_key is not None:
        variable = "GRAFTLINE_SIGNING_KEY"
        try:
            private = load_pem_private_key(_content(signing_key, variable), password=None)
        except (ValueError, TypeError) as exc:  # TypeError: it is encrypted
            raise _unusable(variable, "holds no unencrypted PEM private key") from exc
        if not isinstance(private, ec.EllipticCurvePrivateKey) or private.curve.name not in _CURVES:
            raise _unusable(variable, "is not of the curve P-256, P-384 or P-521")
    if verification_key is not None:
        variable = "GRAFTLINE_VERIFICATION_KEY"
        try:
            public = load_pem_public_key(_content(verification_key, variable))
        except ValueError as exc:
            raise _unusable(variable, "holds no PEM public key") from exc
        if not isinstance(public, ec.EllipticCurvePublicKey) or public.curve.name not in _CURVES:
            raise _unusable(variable, "is not of the curve P-256, P-384 or P-521")


def sign(folder: Path, key: Path) -> None:
    """Write the signature over every file that lies in a folder now.

    Raises:
        OSError: The signature could not be written.
    """
    # It brings Sigstore along, which takes a second: only those who sign pay for it.
    from model_signing import hashing, signing  # noqa: PLC0415 - see above

    hashed = hashing.Config().set_ignored_paths(paths=[SIGNATURE])  # type: ignore[no-untyped-call] # its __init__ has no types
    signer = signing.Config().set_hashing_config(hashed)  # type: ignore[no-untyped-call] # likewise
    signer.use_elliptic_key_signer(private_key=key).sign(folder, folder / SIGNATURE)


def check_signature(folder: Path, key: Path) -> None:
    """Check that a folder's signature was made with the key's other half and covers every file.

    Raises:
        UntrustedArtifact: There is no signature, or it does not verify.
    """
    from model_signing import verifying  # noqa: PLC0415 - as above

    if not (folder / SIGNATURE).is_file():
        raise UntrustedArtifact(folder.name, f"it has no signature ({SIGNATURE})")
    try:
        verifier = verifying.Config()  # type: ignore[no-untyped-call] # its __init__ has no types
        verifier.use_elliptic_key_verifier(public_key=key)
        verifier.verify(folder, folder / SIGNATURE)
    except Exception as exc:  # the signature is a stranger's bytes: whatever they cause, no trust
        why = str(exc) or "the key does not fit"
        raise UntrustedArtifact(folder.name, f"its signature does not verify: {why}") from exc


def _content(path: Path, variable: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise _unusable(variable, f"names a file that cannot be read ({exc.strerror})") from exc


def _unusable(variable: str, what: str) -> Invalid:
    return Invalid(f"{variable} {what}. Make a key with: {_HOW}", variable)
