"""Rows for tests.

It refuses to know what is tested with them.
"""

from registry.chatdata import Row


def chat(line: int, question: str, answer: str = "yes") -> Row:
    """Return a conversation of one question and one answer."""
    return Row(
        line=line,
        messages=[
            {"role": "user", "content": question},
            {"role": "assistant", "content": answer},
        ],
    )


def chats(count: int) -> list[Row]:
    """Return different conversations, on the lines from 1."""
    return [chat(number, f"question {number}") for number in range(1, count + 1)]
