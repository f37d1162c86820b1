"""One row as tokens: what the model reads, what it learns, and what is cut.

It refuses to know files.
"""

from itertools import groupby

from registry.chatdata import Row
from registry.inspection.records import RowView, Span, TokenView
from registry.rendering import Tokenizer, render, template_sha256

MAX_TOKENS = 20_000
"""Most tokens that are shown of one row."""


def view_row(tokenizer: Tokenizer, row: Row, *, max_length: int) -> RowView:
    """Return a row as it is trained on.

    Raises:
        TemplateError, ValueError, TypeError: The chat template refuses the row.
    """
    rendered = render(tokenizer, row)
    muted = _muted_messages(row)
    audible = render(tokenizer, _unmuted(row)).loss_mask if muted else rendered.loss_mask
    carries = [index > 0 and carries for index, carries in enumerate(rendered.loss_mask)]
    is_muted = [
        would and not does for would, does in zip(audible, rendered.loss_mask, strict=False)
    ]
    shown = rendered.token_ids[:MAX_TOKENS]
    return RowView(
        line=row.line,
        row={
            name: getattr(row, name)
            for name in ("messages", "tools", "prompt", "completion")
            if getattr(row, name) is not None
        },
        text=tokenizer.decode(shown),
        tokens=[
            TokenView(
                id=token,
                text=tokenizer.decode([token]),
                carries_loss=carries[index],
                is_cut=index >= max_length,
            )
            for index, token in enumerate(shown)
        ],
        spans=_spans(tokenizer, shown, carries, is_muted),
        loss_tokens=sum(carries[:max_length]),
        muted_messages=muted,
        max_length=max_length,
        is_truncated=len(rendered.token_ids) > max_length,
        template_sha256=template_sha256(tokenizer),
    )


def _spans(
    tokenizer: Tokenizer, token_ids: list[int], carries: list[bool], is_muted: list[bool]
) -> list[Span]:
    spans = []
    padded = is_muted + [False] * (len(token_ids) - len(is_muted))
    kinds = zip(carries, padded, token_ids, strict=False)
    for (carries_loss, muted), group in groupby(kinds, key=lambda entry: entry[:2]):
        tokens = [token for _, _, token in group]
        spans.append(
            Span(
                text=tokenizer.decode(tokens),
                tokens=len(tokens),
                carries_loss=carries_loss,
                muted=muted,
            )
        )
    return spans


def _muted_messages(row: Row) -> list[int]:
    return [index for index, message in enumerate(row.messages or ()) if message.get("weight") == 0]


def _unmuted(row: Row) -> Row:
    messages = [
        {key: value for key, value in message.items() if key != "weight"}
        for message in row.messages or ()
    ]
    return Row(line=row.line, messages=messages, tools=row.tools)
