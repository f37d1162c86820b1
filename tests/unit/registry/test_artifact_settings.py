"""Where adapters are kept and who signs them, by the settings."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from registry.settings import Settings, training_environment


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("artifacts_url", "https://bucket.example", "s3://BUCKET"),
        ("artifacts_url", "s3://", "s3://BUCKET"),
        ("artifacts_url", "s3://bucket?key=1", "s3://BUCKET"),
        ("artifacts_url", "s3://key:secret@bucket", "AWS_SECRET_ACCESS_KEY"),
        ("artifacts_endpoint", "minio:9000", "https://HOST:PORT"),
        ("artifacts_endpoint", "http://minio:9000/bucket", "https://HOST:PORT"),
        ("artifacts_endpoint", "http://key:secret@minio:9000", "AWS_SECRET_ACCESS_KEY"),
    ],
)
def test_an_odd_artifact_store_is_named_and_no_secret_repeated(
    name: str, value: str, word: str
) -> None:
    """The message says which variable, and what to write."""
    with pytest.raises(ValidationError, match=f"GRAFTLINE_{name.upper()}") as caught:
        Settings(**{name: value})  # type: ignore[arg-type] # pydantic checks it
    told = str(caught.value.errors(include_input=False)[0]["msg"])
    assert word in told
    assert "key:secret" not in told


def test_a_training_child_gets_no_key_to_sign_with_and_no_bucket_to_write(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only the trainer publishes."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "secret")
    given = training_environment(Settings(signing_key=Path("signing.pem")))
    assert "GRAFTLINE_SIGNING_KEY" not in given
    assert not any(name.startswith("AWS_S") for name in given)
