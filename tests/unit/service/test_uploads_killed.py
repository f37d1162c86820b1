"""kill -9 of a service that takes an upload in parts, at every moment that changes what is kept."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from registry.blobs import Blobs
from registry.settings import Settings
from service import uploads
from tests.database_template import prepare
from tests.service_api import rows

ROOT = Path(__file__).parents[3]
HOURS_AGO = 7200
CONTENT = rows()
CUT = 50
TAKE = """
import asyncio, json, os, signal, sys
from pathlib import Path
from registry.settings import Settings
from registry.store.uploads import Uploads
from service.asgi import create_app
from tests.service_api import open_client, rows

settings = Settings(data_dir=Path(sys.argv[1]), engine_url="http://127.0.0.1:9")
content, cut, told = rows(), int(sys.argv[2]), Path(sys.argv[3])
calls = [(os, "fsync"), (os, "rename"), (Uploads, "add_part"), (Uploads, "complete")]


def die_at(moment):
    # Before each call that makes something durable or visible, and after each record.
    left = [moment]

    def tick():
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def watched(call):
        def plain(*args, **named):
            tick()
            return call(*args, **named)

        async def coroutine(*args, **named):
            found = await call(*args, **named)
            tick()
            return found

        return coroutine if asyncio.iscoroutinefunction(call) else plain

    for owner, name in calls:
        setattr(owner, name, watched(getattr(owner, name)))


async def take(moment):
    app = create_app(settings)
    async with app.lifespan():
        key = settings.admin_key_file.read_text().strip()
        async with open_client(app, key) as client:
            die_at(moment)

            async def ask(path, what, **fields):
                answer = (await client.post("/v1/uploads" + path, **fields)).json()
                with told.open("a") as stream:
                    stream.write(json.dumps({what: answer["id"], "moment": moment}) + "\\n")
                return answer["id"]

            wanted = {"bytes": len(content), "filename": "a.jsonl", "mime_type": "text/jsonl"}
            upload = await ask("", "upload", json=wanted | {"purpose": "fine-tune"})
            parts = []
            for piece in (content[:cut], content[cut:]):
                files = {"data": ("upload", piece)}
                parts.append(await ask(f"/{upload}/parts", "part", files=files))
            await ask(f"/{upload}/complete", "done", json={"part_ids": parts})


def dies_at(moment):
    # One child for each moment; each dies at its own, if it comes to that one.
    child = os.fork()
    if child:
        status = os.waitpid(child, 0)[1]
        assert os.WIFSIGNALED(status) or status == 0, status
        return os.WIFSIGNALED(status)
    status = 1
    try:
        asyncio.run(take(moment))
        status = 0
    finally:
        os._exit(status)


moment = 0
while dies_at(moment):
    moment += 1
told.with_name("moments").write_text(str(moment))
"""


@dataclass
class Told:
    """What a killed service had acknowledged of an upload."""

    upload: str
    """Its id."""
    parts: list[str]
    """The ids of its parts."""
    is_done: bool
    """Whether it was completed."""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Return the settings of a data directory in which services were killed, and one was not."""
    place = tmp_path_factory.mktemp("killed")
    prepare(place / "data")
    ended = subprocess.run(
        [sys.executable, "-c", TAKE, str(place / "data"), str(CUT), str(place / "told")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    moments = int((place / "moments").read_text())
    assert moments >= 12, "two parts, their folders, the file, and a record of each"
    return Settings(data_dir=place / "data", engine_url="http://127.0.0.1:9")


@pytest.fixture
def told(settings: Settings) -> list[Told]:
    """Return what was acknowledged of each upload."""
    found: dict[int, Told] = {}
    for line in (settings.data_dir.parent / "told").read_text().splitlines():
        word = json.loads(line)
        moment = word["moment"]
        if "upload" in word:
            found[moment] = Told(word["upload"], [], is_done=False)
        elif "part" in word:
            found[moment].parts.append(word["part"])
        else:
            found[moment].is_done = True
    return list(found.values())


async def contents(client: httpx.AsyncClient) -> AsyncIterator[bytes]:
    """Yield the content of every file."""
    page = (await client.get("/v1/files", params={"limit": 100})).json()
    assert not page["has_more"]
    for file in page["data"]:
        yield (await client.get(f"/v1/files/{file['id']}/content")).content


async def finish(client: httpx.AsyncClient, told: Told) -> Any:
    """Do what a client does that lost an answer: send again what was not acknowledged."""
    path = f"/v1/uploads/{told.upload}"
    for piece in (CONTENT[:CUT], CONTENT[CUT:])[len(told.parts) :]:
        sent = await client.post(f"{path}/parts", files={"data": ("upload", piece)})
        assert sent.status_code == 200, sent.text
        told.parts.append(sent.json()["id"])
    return (await client.post(f"{path}/complete", json={"part_ids": told.parts})).json()


async def test_every_upload_is_ended_by_trying_again(
    client: httpx.AsyncClient, told: list[Told]
) -> None:
    """What was acknowledged is there, no file is half there, and none is there twice."""
    before = [content async for content in contents(client)]
    assert sum(each.is_done for each in told) <= len(before) < len(told)
    assert set(before) == {CONTENT}
    for each in told:
        done = await finish(client, each)
        assert done["status"] == "completed", done
    after = [content async for content in contents(client)]
    assert set(after) == {CONTENT}
    assert len(after) == len(told)


async def test_what_was_cut_off_goes_at_a_later_start(
    client: httpx.AsyncClient, settings: Settings, told: list[Told]
) -> None:
    """An hour later: until then it may be an upload that still goes on."""
    assert client
    assert told
    left = list(settings.files_dir.glob(".file-*.part"))
    assert left
    assert uploads.sweep(Blobs(settings.files_dir)) == 0
    for path in left:
        then = path.stat().st_mtime - HOURS_AGO
        os.utime(path, (then, then))
    assert uploads.sweep(Blobs(settings.files_dir)) == len(left)
