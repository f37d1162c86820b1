"""kill -9 of a process that writes a file, at every call by which it becomes durable."""

import subprocess
import sys
from pathlib import Path

from registry.durable import write_file

WRITE = """
import os, signal, sys
from pathlib import Path
from registry.durable import write_file

path, new = Path(sys.argv[1]), b"new" * 100_000


def dies_at(moment):
    child = os.fork()
    if child:
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])
    left = [moment]
    for name in ("open", "fsync", "replace", "unlink"):
        def watched(*args, call=getattr(os, name), **named):
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **named)
        setattr(os, name, watched)
    write_file(path, new)
    os._exit(0)


seen = []
while True:
    path.write_bytes(b"old")
    killed = dies_at(len(seen))
    content = path.read_bytes()
    assert content in (b"old", new), content[:9]
    seen.append(content == new)
    if not killed:
        break
print(seen)
"""


def test_a_file_is_the_old_one_or_the_new_one(tmp_path: Path) -> None:
    """Whenever the writer dies, never a part; and whoever writes next is not hindered."""
    path = tmp_path / "folder" / "file"
    path.parent.mkdir()
    ended = subprocess.run(
        [sys.executable, "-c", WRITE, str(path)],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    seen = ended.stdout.strip("[]\n").split(", ")
    assert seen == sorted(seen)
    assert set(seen) == {"False", "True"}
    write_file(path, b"next")
    assert path.read_bytes() == b"next"
