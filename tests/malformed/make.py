"""Writes the malformed files: `python -m tests.malformed.make`.

It refuses to know what is said about them: `tests/malformed/expected.py` does.
"""

import gzip
import io
import json
import pickle
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

FOLDER = Path(__file__).parent / "files"
GOOD = {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]}
ALPACA = {"instruction": "Say ho.", "input": "", "output": "ho"}
SHAREGPT = {"conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "ho"}]}


def line(value: Any) -> bytes:
    """Return a line of JSON."""
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"


def chat(*turns: tuple[str, Any], **more: Any) -> bytes:
    """Return a good line, then one with these turns."""
    messages = [{"role": role, "content": content} for role, content in turns]
    return line(GOOD) + line({"messages": messages, **more})


def answer(**fields: Any) -> bytes:
    """Return a good line, then one whose answer has these fields."""
    reply = {"role": "assistant", "content": "ho", **fields}
    return line(GOOD) + line({"messages": [GOOD["messages"][0], reply]})


def packed(content: bytes) -> bytes:
    """Return content as gzip, the same bytes every time."""
    return gzip.compress(content, mtime=0)


def parquet(**columns: Any) -> bytes:
    """Return a table as Parquet."""
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream)
    return stream.getvalue()


def archive() -> bytes:
    """Return a ZIP archive."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as opened:
        opened.writestr(zipfile.ZipInfo("rows.jsonl"), line(GOOD))
    return stream.getvalue()


def tar() -> bytes:
    """Return a tar archive."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as opened:
        entry = tarfile.TarInfo("rows.jsonl")
        entry.size = len(line(GOOD))
        opened.addfile(entry, io.BytesIO(line(GOOD)))
    return stream.getvalue()


def texts() -> dict[str, bytes]:
    """Return files that are no text, or text in another encoding."""
    good = line(GOOD) * 12
    return {
        "empty.jsonl": b"",
        "blank-lines.jsonl": b"\n \n\r\n",
        "only-a-mark.jsonl": b"\xef\xbb\xbf",
        "utf16.jsonl": good.decode().encode("utf-16"),
        "utf16-without-mark.jsonl": good.decode().encode("utf-16-le"),
        "utf32.jsonl": good.decode().encode("utf-32"),
        "latin1.jsonl": line(GOOD)
        + line({"prompt": "café", "completion": "x"}).decode().encode("latin-1"),
        "nul.jsonl": line(GOOD) + line(GOOD).replace(b"hi", b"h\0i"),
        "zeros.jsonl": bytes(2000),
        "cut.jsonl.gz": packed(good + line({"prompt": "x" * 99, "completion": "y"}))[:-20],
        "checksum.jsonl.gz": packed(good)[:-8] + bytes(8),
        "bomb.jsonl.gz": packed(line(GOOD) + b" " * (70 << 20)),
        "twice.jsonl.gz": packed(packed(good)),
        "garbage-behind.jsonl.gz": packed(good) + b"garbage",
        "archive.zip": archive(),
        "archive.tar": tar(),
        "image.png": b"\x89PNG\r\n\x1a\n" + bytes(60),
        "photo.jpg": b"\xff\xd8\xff\xe0" + bytes(60),
        "paper.pdf": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
        "rows.pickle": pickle.dumps([GOOD], protocol=4),
        "rows.sqlite": b"SQLite format 3\0" + bytes(84),
        "rows.jsonl.zst": b"\x28\xb5\x2f\xfd" + bytes(20),
        "rows.jsonl.xz": b"\xfd7zXZ\0" + bytes(20),
        "carriage-returns.jsonl": good.replace(b"\n", b"\r"),
    }


def json_files() -> dict[str, bytes]:
    """Return files whose JSON is at fault."""
    whole = line(GOOD).strip()
    deep = b'{"messages": ' + b"[" * 20_000 + b"]" * 20_000 + b"}\n"
    return {
        "array.jsonl": b"[" + whole + b", " + whole + b"]\n",
        "array-over-lines.json": json.dumps([GOOD, GOOD], indent=1).encode(),
        "pretty.json": json.dumps(GOOD, indent=2).encode(),
        "two-on-a-line.jsonl": line(GOOD) + whole + whole + b"\n",
        "last-line-cut.jsonl": line(GOOD) + whole[:-30],
        "trailing-comma.jsonl": line(GOOD) + whole[:-1] + b",}\n",
        "comma-behind.jsonl": whole + b",\n" + whole + b"\n",
        "single-quotes.jsonl": line(GOOD) + str(GOOD).encode() + b"\n",
        "nan.jsonl": line(GOOD) + b'{"prompt": NaN, "completion": "x"}\n',
        "deep.jsonl": line(GOOD) + deep,
        "lone-surrogate.jsonl": line(GOOD) + b'{"prompt": "\\ud800", "completion": "x"}\n',
        "raw-tab.jsonl": line(GOOD) + b'{"prompt": "a\tb", "completion": "x"}\n',
        "tabs-named-json.jsonl": b"id\tlabel\n1\tyes\n2\tno\n",
        "field-twice.jsonl": line(GOOD) + b'{"prompt":"a","prompt":"b","completion":"c"}\n',
        "role-twice.jsonl": line(GOOD) + whole.replace(b'"role"', b'"role":"user","role"', 1),
        "number.jsonl": line(GOOD) + b"42\n",
        "text.jsonl": line(GOOD) + b'"hello"\n',
        "plain-words.jsonl": b"These are not rows.\nNor is this.\n",
        "unknown-fields.jsonl": line({"query_text": "a", "label": "b"}),
        "no-fields.jsonl": line(GOOD) + b"{}\n",
    }


def rows() -> dict[str, bytes]:
    """Return files whose rows are at fault."""
    huge = line(GOOD) + line(GOOD).replace(b'"ho"', b'"ho", "weight": ' + b"9" * 400)
    return {
        "wrong-role.jsonl": chat(("human", "hi"), ("assistant", "ho")),
        "no-answer.jsonl": chat(("user", "hi")),
        "ends-with-user.jsonl": chat(("user", "a"), ("assistant", "b"), ("user", "c")),
        "empty-answer.jsonl": chat(("user", "hi"), ("assistant", " ")),
        "null-answer.jsonl": chat(("user", "hi"), ("assistant", None)),
        "image-part.jsonl": chat(("user", [{"type": "image_url"}]), ("assistant", "ho")),
        "messages-object.jsonl": line(GOOD) + line({"messages": {"role": "user"}}),
        "message-text.jsonl": line(GOOD) + line({"messages": ["hi"]}),
        "no-messages.jsonl": line(GOOD) + line({"messages": []}),
        "all-muted.jsonl": answer(weight=0),
        "weight-text.jsonl": answer(weight="1"),
        "weight-true.jsonl": answer(weight=True),
        "weight-huge.jsonl": huge,
        "tools-text.jsonl": chat(("user", "hi"), ("assistant", "ho"), tools="search"),
        "calls-object.jsonl": answer(tool_calls={"id": "1"}),
        "prompt-number.jsonl": line({"prompt": 5, "completion": "x"}),
        "empty-completion.jsonl": line({"prompt": "x", "completion": ""}),
        "mixed.jsonl": line(ALPACA) + line(GOOD),
        "alpaca-without-output.jsonl": line(ALPACA) + line({"instruction": "x", "input": ""}),
        "alpaca-number.jsonl": line(ALPACA) + line({**ALPACA, "output": 7}),
        "alpaca-empty.jsonl": line(ALPACA) + line({**ALPACA, "output": ""}),
        "sharegpt-speaker.jsonl": line(SHAREGPT)
        + line({"conversations": [{"from": "narrator", "value": "hi"}]}),
        "sharegpt-empty.jsonl": line(SHAREGPT) + line({"conversations": []}),
        "sharegpt-number.jsonl": line(SHAREGPT)
        + line({"conversations": [{"from": "human", "value": 1}, {"from": "gpt", "value": "x"}]}),
        "chatml-open.jsonl": line(
            {"text": "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant"}
        ),
    }


def tables() -> dict[str, bytes]:
    """Return tables at fault."""
    good = parquet(prompt=["a", "b"] * 40, completion=["c", "d"] * 40)
    head = b"prompt,completion\n"
    return {
        "ragged.csv": head + b"a,b\nc,d,e\n",
        "short.csv": head + b"a,b\nc\n",
        "open-quote.csv": head + b'a,"b\nc,d\n',
        "stray-quote.csv": head + b'a,"b"c\n',
        "columns.csv": b"id,label\n1,yes\n",
        "column-twice.csv": b"prompt,completion,prompt\na,b,c\n",
        "no-header.csv": b"What is it?,It is that.\n",
        "only-header.csv": head,
        "empty-answer.csv": head + b"a,b\nc,\n",
        "nul.csv": head + b"a,b\nc,d\0\n",
        "latin1.csv": head + "a,b\ncafé,d\n".encode("latin-1"),
        "messages.csv": b'messages\n"[{""role"": "\n',
        "semicolons.csv": b"prompt;label\na;b\n",
        "text.parquet": b"prompt and completion\n",
        "cut.parquet": good[: len(good) // 2],
        "footer.parquet": good[:-8] + b"\xff\xff\xff\x7fPAR1",
        "page.parquet": good[:40] + b"\xff" * 60 + good[100:],
        "columns.parquet": parquet(id=[1, 2], label=["a", "b"]),
        "null.parquet": parquet(prompt=["a", None], completion=["b", "c"]),
        "number.parquet": parquet(prompt=[1, 2], completion=["b", "c"]),
        "no-rows.parquet": parquet(
            prompt=pa.array([], pa.string()), completion=pa.array([], pa.string())
        ),
        "packed-cut.parquet.gz": packed(good)[:-30],
    }


def main() -> None:
    """Write every file."""
    FOLDER.mkdir(exist_ok=True)
    for name, content in (texts() | json_files() | rows() | tables()).items():
        (FOLDER / name).write_bytes(content)


if __name__ == "__main__":
    main()
