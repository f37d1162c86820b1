"""`/v1/files`: what is stored, what is refused, and what is left behind."""

import json
from pathlib import Path

import httpx
import pytest

from registry.records import Scope
from registry.settings import Settings
from service.asgi import create_app
from tests.service_api import Connect, new_job, open_client, rows, upload, uploaded

GOOD = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes"}]}


def line(**changes: object) -> bytes:
    """Return one conversation row, changed."""
    return json.dumps({**GOOD, **changes}).encode()


def stored(settings: Settings) -> list[Path]:
    """Return everything in the folder of files."""
    return list(settings.files_dir.iterdir()) if settings.files_dir.exists() else []


async def test_an_upload_is_answered_with_hash_and_rows(client: httpx.AsyncClient) -> None:
    """The file object is OpenAI's, with two fields more."""
    content = rows()
    answer = await upload(client, content)
    assert answer.status_code == 200
    found = answer.json()
    assert (found["object"], found["status"], found["rows"]) == ("file", "processed", 12)
    assert (found["bytes"], found["filename"]) == (len(content), "train.jsonl")
    assert len(found["sha256"]) == 64


async def test_the_content_comes_back_as_it_was(client: httpx.AsyncClient) -> None:
    """A file is stored byte by byte."""
    content = rows()
    file_id = (await upload(client, content)).json()["id"]
    answer = await client.get(f"/v1/files/{file_id}/content")
    assert answer.content == content


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b'{"messages": [\n', "line 1: The line is not JSON"),
        (line(messages=[{"role": "robot", "content": "x"}]), "'robot'"),
        (line(messages=[{"role": "user", "content": "x"}]), "no assistant message"),
        (line(messages=[{"role": "assistant", "content": " "}]), "empty content"),
        (b'{"prompt": "caf\xe9", "completion": "x"}', "not UTF-8"),
        (b"", "no rows"),
        (b"\n\n", "no rows"),
    ],
)
async def test_a_faulty_file_is_refused_with_the_reason(
    client: httpx.AsyncClient, settings: Settings, content: bytes, word: str
) -> None:
    """The message says what is wrong, and nothing is stored."""
    answer = await upload(client, content)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["code"], error["param"]) == ("invalid_file", "file")
    assert word in error["message"]
    assert stored(settings) == []


async def test_every_fault_of_a_file_is_named(client: httpx.AsyncClient) -> None:
    """The user mends a file once, not once for each line."""
    answer = await upload(client, rows() + b"nonsense\n" + rows(1) + b"[]\n")
    message = answer.json()["error"]["message"]
    assert "line 13" in message
    assert "line 15" in message


async def test_a_byte_order_mark_and_windows_line_ends_are_accepted(
    client: httpx.AsyncClient,
) -> None:
    """What Windows' editors write is no fault."""
    answer = await upload(client, b"\xef\xbb\xbf" + rows().replace(b"\n", b"\r\n"))
    assert answer.json()["rows"] == 12


async def test_nine_rows_are_accepted(client: httpx.AsyncClient) -> None:
    """The least number of rows is a matter of the job, not of the file."""
    assert (await upload(client, rows(9))).status_code == 200


async def test_repeated_rows_are_noticed(client: httpx.AsyncClient) -> None:
    """They are kept, and the answer names their lines."""
    answer = await upload(client, rows(3) + rows(1))
    assert "line 4" in answer.json()["status_details"]


@pytest.mark.parametrize("purpose", ["assistants", "fine-tune-results", ""])
async def test_another_purpose_is_refused(client: httpx.AsyncClient, purpose: str) -> None:
    """Only rows to train and to examine on are taken."""
    answer = await upload(client, rows(), purpose=purpose)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "purpose"


async def test_a_form_without_a_file_is_refused(client: httpx.AsyncClient) -> None:
    """The missing part is named."""
    answer = await client.post("/v1/files", data={"purpose": "evals"}, files={"x": ("a", b"b")})
    assert answer.json()["error"]["param"] == "file"


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data", "nonsense"])
async def test_a_body_that_is_no_form_is_refused(client: httpx.AsyncClient, kind: str) -> None:
    """The message says how to send a file."""
    answer = await client.post("/v1/files", content=b"{}", headers={"content-type": kind})
    assert answer.status_code == 400
    assert "multipart/form-data" in answer.json()["error"]["message"]


async def test_a_form_that_breaks_off_leaves_nothing(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    """A half upload is no file."""
    body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + rows()
    kind = {"content-type": "multipart/form-data; boundary=b"}
    answer = await client.post("/v1/files", content=body, headers=kind)
    assert answer.status_code == 400
    assert stored(settings) == []


@pytest.mark.parametrize(
    "given", ["../../etc/passwd", "/etc/passwd", "C:\\x\\passwd", "a\x00b/passwd"]
)
async def test_a_path_as_filename_is_only_its_last_part(
    client: httpx.AsyncClient, settings: Settings, given: str
) -> None:
    """A filename is shown, never used."""
    answer = await upload(client, rows(), filename=given)
    assert answer.json()["filename"] == "passwd"
    assert [path.name for path in stored(settings)] == [answer.json()["id"]]


async def test_a_file_beyond_the_limit_is_refused(settings: Settings) -> None:
    """The message names the limit, and nothing is stored."""
    small = settings.model_copy(update={"max_upload_bytes": 200})
    app = create_app(small)
    async with (
        app.lifespan(),
        open_client(app, small.admin_key_file.read_text().strip()) as client,
    ):
        answer = await upload(client, rows())
    assert answer.status_code == 413
    assert "200 bytes" in answer.json()["error"]["message"]
    assert stored(settings) == []


async def test_a_line_beyond_the_limit_is_refused(client: httpx.AsyncClient) -> None:
    """A line is read in bounded memory, and the lines after it keep their numbers."""
    answer = await upload(client, b"x" * 9_000_000 + b"\n[]\n")
    message = answer.json()["error"]["message"]
    assert "line 1: The line has" in message
    assert "line 2" in message


async def test_a_list_pages_in_both_directions(client: httpx.AsyncClient) -> None:
    """`after` continues where the page before ended."""
    ids = [await uploaded(client) for _ in range(3)]
    page = (await client.get("/v1/files", params={"order": "asc", "limit": 2})).json()
    assert [file["id"] for file in page["data"]] == ids[:2]
    assert page["has_more"]
    rest = await client.get("/v1/files", params={"order": "asc", "after": ids[1]})
    assert [file["id"] for file in rest.json()["data"]] == ids[2:]
    newest = (await client.get("/v1/files", params={"limit": 1})).json()
    assert newest["data"][0]["id"] == ids[2]


async def test_a_list_can_be_kept_to_a_purpose(client: httpx.AsyncClient) -> None:
    """Files to examine on are found among those to train on."""
    await uploaded(client)
    wanted = await uploaded(client, purpose="evals")
    answer = await client.get("/v1/files", params={"purpose": "evals"})
    assert [file["id"] for file in answer.json()["data"]] == [wanted]


async def test_a_deleted_file_is_gone(client: httpx.AsyncClient, settings: Settings) -> None:
    """Record and content."""
    file_id = await uploaded(client)
    answer = await client.delete(f"/v1/files/{file_id}")
    assert answer.json() == {"id": file_id, "object": "file", "deleted": True}
    assert (await client.get(f"/v1/files/{file_id}")).status_code == 404
    assert stored(settings) == []


async def test_a_file_in_use_is_not_deleted(client: httpx.AsyncClient) -> None:
    """The answer names the job that needs it."""
    job = await new_job(client)
    answer = await client.delete(f"/v1/files/{job['training_file']}")
    assert answer.status_code == 409
    assert job["id"] in answer.json()["error"]["message"]


@pytest.mark.parametrize("path", ["", "/content"])
async def test_another_projects_file_is_not_found(
    client: httpx.AsyncClient, connect: Connect, path: str
) -> None:
    """Not even its existence is told."""
    file_id = await uploaded(client)
    async with await connect(Scope.TRAINING, project="other") as stranger:
        assert (await stranger.get(f"/v1/files/{file_id}{path}")).status_code == 404
        assert (await stranger.delete(f"/v1/files/{file_id}")).status_code == 404
        assert (await stranger.get("/v1/files", params={"after": file_id})).status_code == 404


async def test_an_end_of_a_file_is_refused(client: httpx.AsyncClient, settings: Settings) -> None:
    """Who asks for one must not believe that the file goes by itself."""
    data = {"purpose": "fine-tune", "expires_after[seconds]": "3600"}
    files = {"file": ("train.jsonl", rows())}
    answer = await client.post("/v1/files", data=data, files=files)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "expires_after")
    assert not list(settings.files_dir.glob("file-*"))
