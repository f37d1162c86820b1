"""`/v1/uploads`: parts that are durable, bounded, and become one checked file."""

import asyncio
import time
from hashlib import md5
from pathlib import Path
from typing import Any

import httpx

from registry.records import Purpose, Scope, Upload, UploadStatus
from registry.settings import Settings
from registry.store import Store
from service.assembly import PartStore
from service.part_sweep import GRACE_SECONDS, PartSweep
from tests.full_disk import limited_file_size
from tests.service_api import Connect, rows

PATH = "/v1/uploads"


async def announce(client: httpx.AsyncClient, size: int, **changes: Any) -> httpx.Response:
    """Ask for an upload."""
    body = {
        "bytes": size,
        "filename": "../train.jsonl",
        "mime_type": "text/jsonl",
        "purpose": "fine-tune",
    }
    return await client.post(PATH, json=body | changes)


async def send(client: httpx.AsyncClient, upload: str, piece: bytes) -> httpx.Response:
    """Send a part."""
    return await client.post(f"{PATH}/{upload}/parts", files={"data": ("upload", piece)})


async def finish(
    client: httpx.AsyncClient, upload: str, parts: list[str], **more: Any
) -> httpx.Response:
    """Complete an upload."""
    return await client.post(f"{PATH}/{upload}/complete", json={"part_ids": parts, **more})


async def pending(
    client: httpx.AsyncClient, content: bytes, cut: int = 50
) -> tuple[str, list[str]]:
    """Announce content and send it in two parts; return the upload's and the parts' ids."""
    upload = (await announce(client, len(content))).json()["id"]
    answers = [await send(client, upload, piece) for piece in (content[:cut], content[cut:])]
    return upload, [answer.json()["id"] for answer in answers]


async def test_parts_become_a_file_in_the_order_that_is_named(client: httpx.AsyncClient) -> None:
    """Not in the order in which they came; the parts are gone then."""
    content = rows()
    upload = (await announce(client, len(content))).json()["id"]
    second = (await send(client, upload, content[50:])).json()["id"]
    first = (await send(client, upload, content[:50])).json()["id"]
    answer = await finish(client, upload, [first, second])
    done = answer.json()
    assert (answer.status_code, done["status"]) == (200, "completed"), done
    assert done["file"]["filename"] == "train.jsonl"
    found = await client.get(f"/v1/files/{done['file']['id']}/content")
    assert found.content == content


async def test_completing_twice_has_the_same_answer(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    """A client that lost the answer asks again; there is one file."""
    upload, parts = await pending(client, rows())
    first, second = await finish(client, upload, parts), await finish(client, upload, parts)
    assert first.json()["file"]["id"] == second.json()["file"]["id"]
    assert len((await client.get("/v1/files")).json()["data"]) == 1
    assert not (settings.uploads_dir / upload).exists()


async def test_two_that_complete_at_once_make_one_file(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    """One of them is told so or has the same answer, and no content is left behind."""
    upload, parts = await pending(client, rows())
    answers = await asyncio.gather(*(finish(client, upload, parts) for _ in range(4)))  # noqa: TID251 - a test's own tasks
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert len((await client.get("/v1/files")).json()["data"]) == 1
    assert len(list(settings.files_dir.iterdir())) == 1


async def test_faulty_rows_are_refused_by_line(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    """The upload stays pending, and no content is left behind."""
    content = rows() + b"{\n"
    upload, parts = await pending(client, content)
    answer = await finish(client, upload, parts)
    assert answer.json()["error"]["code"] == "invalid_file"
    assert "line 13" in answer.json()["error"]["message"]
    assert list(settings.files_dir.glob("*")) + list(settings.files_dir.glob(".*")) == []
    assert (await client.post(f"{PATH}/{upload}/cancel")).json()["status"] == "cancelled"


async def test_an_announcement_at_fault_is_refused(client: httpx.AsyncClient) -> None:
    """The error names the field."""
    faults: list[tuple[dict[str, Any], int, str | None]] = [
        ({"bytes": 0}, 400, "bytes"),
        ({"bytes": 10**12}, 413, None),
        ({"purpose": "assistants"}, 400, "purpose"),
        ({"mime_type": ""}, 400, "mime_type"),
        ({"expires_after": {"anchor": "created_at", "seconds": 3600}}, 400, "expires_after"),
    ]
    for changes, status, param in faults:
        answer = await announce(client, 10, **changes)
        assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)


async def test_parts_beyond_what_was_announced_are_refused(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    """Each may come twice and no more, and a refused part leaves nothing on the disk."""
    upload = (await announce(client, 10)).json()["id"]
    for _ in range(2):
        assert (await send(client, upload, b"x" * 10)).status_code == 200
    answer = await send(client, upload, b"x")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "data")
    assert len(list((settings.uploads_dir / upload).iterdir())) == 2


async def test_an_empty_part_is_refused(client: httpx.AsyncClient) -> None:
    """It would be no piece of anything."""
    upload = (await announce(client, 10)).json()["id"]
    assert (await send(client, upload, b"")).json()["error"]["param"] == "data"


async def test_parts_at_fault_are_named(client: httpx.AsyncClient) -> None:
    """Unknown, twice, none, too few, and another content than the MD5 says."""
    upload, parts = await pending(client, rows())
    for wrong in (["part-none"], parts + parts[:1], [], parts[:1]):
        answer = await finish(client, upload, wrong)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "part_ids")
    answer = await finish(client, upload, parts, md5="0" * 32)
    assert answer.json()["error"]["param"] == "md5"
    right = md5(rows(), usedforsecurity=False).hexdigest()
    assert (await finish(client, upload, parts, md5=right)).status_code == 200


async def test_an_ended_upload_takes_nothing_more(client: httpx.AsyncClient) -> None:
    """Cancelled twice is cancelled; a completed one is not cancelled."""
    upload, parts = await pending(client, rows())
    for _ in range(2):
        assert (await client.post(f"{PATH}/{upload}/cancel")).json()["status"] == "cancelled"
    assert (await send(client, upload, b"x")).status_code == 409
    assert (await finish(client, upload, parts)).status_code == 409
    upload, parts = await pending(client, rows())
    await finish(client, upload, parts)
    assert (await client.post(f"{PATH}/{upload}/cancel")).status_code == 409


def old(identifier: str, expired_seconds: float) -> Upload:
    """Return a pending upload that expired a while ago."""
    ended = int(time.time() - expired_seconds)
    return Upload(
        id=identifier,
        project="default",
        filename="train.jsonl",
        purpose=Purpose.FINE_TUNE,
        bytes=10,
        mime_type="text/jsonl",
        status=UploadStatus.PENDING,
        created_at=ended - 3600,
        expires_at=ended,
    )


async def test_an_upload_expires(client: httpx.AsyncClient, store: Store) -> None:
    """It takes no part, is not completed, and does not count as pending."""
    await store.uploads.add(old("upload-old", 1), most_pending=1)
    assert (await send(client, "upload-old", b"x")).status_code == 409
    answer = await finish(client, "upload-old", ["part-1"])
    assert "expired" in answer.json()["error"]["message"]
    await store.uploads.add(old("upload-other", -3600), most_pending=1)


async def test_a_project_has_so_many_pending_uploads(client: httpx.AsyncClient) -> None:
    """One more is refused."""
    answers = [await announce(client, 10) for _ in range(33)]
    assert [answer.status_code for answer in answers] == [200] * 32 + [409]


async def test_the_sweep_takes_what_nobody_can_complete(store: Store, tmp_path: Path) -> None:
    """Parts of uploads that ended a while ago or that nobody knows; those of others stay."""
    await store.uploads.add(old("upload-open", -60), most_pending=9)
    await store.uploads.add(old("upload-late", 1), most_pending=9)
    await store.uploads.add(old("upload-old", GRACE_SECONDS + 60), most_pending=9)
    for name in ("upload-open", "upload-late", "upload-old", "upload-unknown"):
        (tmp_path / "uploads" / name).mkdir(parents=True)
    parts = PartStore(tmp_path / "uploads")
    await PartSweep(store, parts).once()
    assert sorted(parts.known()) == ["upload-late", "upload-open"]


async def test_a_full_disk_is_told_as_such(client: httpx.AsyncClient, settings: Settings) -> None:
    """No part is there then."""
    upload = (await announce(client, 3_000_000)).json()["id"]
    with limited_file_size(1_000_000):
        answer = await send(client, upload, b"x" * 2_000_000)
    assert answer.status_code == 507
    assert list((settings.uploads_dir / upload).iterdir()) == []


async def test_another_projects_upload_is_not_found(
    client: httpx.AsyncClient, connect: Connect
) -> None:
    """It takes nothing from strangers."""
    upload, parts = await pending(client, rows())
    async with await connect(Scope.TRAINING, project="other") as stranger:
        assert (await send(stranger, upload, b"x")).status_code == 404
        assert (await finish(stranger, upload, parts)).status_code == 404
        assert (await stranger.post(f"{PATH}/{upload}/cancel")).status_code == 404
