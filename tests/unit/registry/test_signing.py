"""Signatures: what was signed verifies, and nothing else does."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from model_signing import verifying

from registry.errors import Invalid, UntrustedArtifact
from registry.signing import SIGNATURE, check_keys, check_signature, sign
from tests.signing_keys import KeyPair, key_pair, unfit_pair

Harm = Callable[[Path], object]


@pytest.fixture
def keys(tmp_path: Path) -> KeyPair:
    """Return a pair of keys."""
    return key_pair(tmp_path)


@pytest.fixture
def signed(tmp_path: Path, keys: KeyPair) -> Path:
    """Return a signed folder under another name than it was signed with."""
    folder = tmp_path / "staged"
    folder.mkdir()
    (folder / "manifest.json").write_text("{}")
    (folder / "adapter_model.safetensors").write_bytes(b"weights")
    sign(folder, keys.private)
    return folder.rename(tmp_path / "adapter")


def test_what_was_signed_verifies(signed: Path, keys: KeyPair) -> None:
    """Wherever the folder was moved to."""
    check_signature(signed, keys.public)


def test_the_signature_is_the_standards(signed: Path, keys: KeyPair) -> None:
    """The OpenSSF library's own defaults verify it, and it is a Sigstore bundle."""
    verifier = verifying.Config()  # type: ignore[no-untyped-call] # its __init__ has no types
    verifier.use_elliptic_key_verifier(public_key=keys.public).verify(signed, signed / SIGNATURE)
    bundle = json.loads((signed / SIGNATURE).read_bytes())
    assert bundle["mediaType"].startswith("application/vnd.dev.sigstore.bundle")


@pytest.mark.parametrize(
    "harm",
    [
        lambda folder: (folder / "adapter_model.safetensors").write_bytes(b"wEights"),
        lambda folder: (folder / "manifest.json").write_text("{ }"),
        lambda folder: (folder / "manifest.json").unlink(),
        lambda folder: (folder / "more.json").write_text("{}"),
        lambda folder: (folder / SIGNATURE).write_text("{}"),
        lambda folder: (folder / SIGNATURE).write_bytes(b"\xff\x00"),
        lambda folder: (folder / SIGNATURE).write_text("[" * 100_000),
        lambda folder: (folder / SIGNATURE).unlink(),
    ],
)
def test_harm_is_refused(signed: Path, keys: KeyPair, harm: Harm) -> None:
    """Altered, missing and further files, and a signature that is none."""
    harm(signed)
    with pytest.raises(UntrustedArtifact, match="GRAFTLINE_VERIFICATION_KEY"):
        check_signature(signed, keys.public)


def test_another_key_is_refused(signed: Path, tmp_path: Path) -> None:
    """Whoever signed it was somebody else."""
    with pytest.raises(UntrustedArtifact, match="does not verify"):
        check_signature(signed, key_pair(tmp_path, "second").public)


def test_sound_keys_are_taken(keys: KeyPair) -> None:
    """Both halves, one, or none."""
    check_keys(keys.private, keys.public)
    check_keys(None, keys.public)
    check_keys(None, None)


def test_a_file_that_is_no_key_is_named(keys: KeyPair, tmp_path: Path) -> None:
    """The message names the setting and how to make a key."""
    unfit = unfit_pair(tmp_path)
    for private in (tmp_path / "nowhere", keys.public, unfit.private):
        with pytest.raises(Invalid, match=r"GRAFTLINE_SIGNING_KEY .*openssl"):
            check_keys(private, None)
    for public in (tmp_path / "nowhere", keys.private, unfit.public):
        with pytest.raises(Invalid, match=r"GRAFTLINE_VERIFICATION_KEY .*openssl"):
            check_keys(None, public)
