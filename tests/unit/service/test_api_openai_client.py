"""The unmodified `openai` client against the service behind a real server."""

import json
from collections.abc import Iterator
from pathlib import Path

import openai
import psutil
import pytest

from registry.settings import Settings
from tests.openai_client import served_client
from tests.service_api import rows

MEBIBYTE = 1024 * 1024


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the data directory that this file's tests share."""
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="module")
def client(data_dir: Path) -> Iterator[openai.OpenAI]:
    """Serve the application and return a client with the admin key."""
    settings = Settings(
        data_dir=data_dir, engine_url="http://127.0.0.1:9", max_upload_bytes=210 * MEBIBYTE
    )
    with served_client(settings) as opened:
        yield opened


def test_files_go_in_and_out(client: openai.OpenAI) -> None:
    """Create, retrieve, list, content and delete."""
    content = rows()
    made = client.files.create(file=("train.jsonl", content), purpose="fine-tune")
    assert client.files.retrieve(made.id).filename == "train.jsonl"
    assert made.id in [file.id for file in client.files.list(purpose="fine-tune")]
    assert client.files.content(made.id).read() == content
    assert client.files.delete(made.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(made.id)


def test_a_list_pages_by_itself(client: openai.OpenAI) -> None:
    """The client follows `has_more` and `after`."""
    made = [client.files.create(file=("held.jsonl", rows()), purpose="evals").id for _ in range(3)]
    found = [file.id for file in client.files.list(purpose="evals", limit=1)]
    assert found == made[::-1]


def test_a_job_is_created_followed_and_cancelled(client: openai.OpenAI) -> None:
    """Create, retrieve, list, events, checkpoints and cancel."""
    file = client.files.create(file=("train.jsonl", rows()), purpose="fine-tune")
    job = client.fine_tuning.jobs.create(
        model="tiny-base",
        training_file=file.id,
        suffix="triage",
        method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2}}},
        metadata={"team": "support"},
    )
    assert job.hyperparameters.n_epochs == 2
    assert client.fine_tuning.jobs.retrieve(job.id).status == "validating_files"
    listed = client.fine_tuning.jobs.list(metadata={"team": "support"})
    assert [each.id for each in listed] == [job.id]
    assert [event.type for event in client.fine_tuning.jobs.list_events(job.id)] == ["message"]
    assert list(client.fine_tuning.jobs.checkpoints.list(job.id)) == []
    assert client.fine_tuning.jobs.cancel(job.id).status == "cancelled"
    with pytest.raises(openai.ConflictError):
        client.fine_tuning.jobs.cancel(job.id)


def test_models_are_listed_and_found(client: openai.OpenAI) -> None:
    """And an unknown one is the client's own error."""
    assert "tiny-base" in [model.id for model in client.models.list()]
    assert client.models.retrieve("tiny-base").object == "model"
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("ft:tiny-base:default:none:00000000")
    assert caught.value.code == "model_not_found"


def test_errors_are_the_clients_own(client: openai.OpenAI) -> None:
    """Wrong keys, bad files, a missing engine."""
    with pytest.raises(openai.AuthenticationError):
        client.with_options(api_key="wrong").models.list()
    with pytest.raises(openai.BadRequestError) as caught:
        client.files.create(file=("bad.jsonl", b"{"), purpose="fine-tune")
    assert caught.value.code == "invalid_file"
    with pytest.raises(openai.InternalServerError) as missing:
        client.chat.completions.create(
            model="tiny-base", messages=[{"role": "user", "content": "Hi"}]
        )
    assert missing.value.status_code == 503


@pytest.mark.slow
def test_a_file_of_200_megabytes_passes_in_bounded_memory(
    client: openai.OpenAI, data_dir: Path, tmp_path: Path
) -> None:
    """It is streamed to disk and validated line by line."""
    path = tmp_path / "large.jsonl"
    with path.open("wb") as stream:
        for number in range(20_000):
            row = {"prompt": f"{number}", "completion": "x" * 10_400}
            stream.write(json.dumps(row).encode() + b"\n")
    before = psutil.Process().memory_info().rss
    made = client.with_options(timeout=300).files.create(file=path, purpose="fine-tune")
    assert made.bytes == path.stat().st_size > 200 * MEBIBYTE - 10 * MEBIBYTE
    assert (data_dir / "files" / made.id).stat().st_size == made.bytes
    grown = psutil.Process().memory_info().rss - before
    assert grown < 100 * MEBIBYTE


@pytest.mark.slow
def test_a_file_beyond_the_limit_is_refused_while_it_is_sent(
    client: openai.OpenAI, tmp_path: Path
) -> None:
    """The client reads the answer although it was still sending."""
    path = tmp_path / "huge.jsonl"
    with path.open("wb") as stream:
        stream.truncate(230 * MEBIBYTE)
    with pytest.raises(openai.APIStatusError) as caught:
        client.with_options(timeout=300).files.create(file=path, purpose="fine-tune")
    assert caught.value.status_code == 413
    assert str(210 * MEBIBYTE) in caught.value.message
