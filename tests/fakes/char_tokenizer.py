"""A tokenizer of one token for each character, with a chat template of two marks.

It refuses to know a real vocabulary; `registry.rendering` cannot tell it from one.
"""

from typing import Any


class CharTokenizer:
    """Token 0 ends a turn; every other token is a character's code point."""

    eos_token_id: int | None = 0

    def apply_chat_template(self, conversation: list[dict[str, Any]], **options: object) -> Any:
        """Render `role>content` and the end of turn for each message."""
        if any(message["content"] == "unrenderable" for message in conversation):
            raise ValueError("no such template")
        tokens: list[int] = []
        for message in conversation:
            tokens += [*self.encode(f"{message['role']}>{message['content']}"), 0]
        if options.get("add_generation_prompt"):
            tokens += self.encode("assistant>")
        return tokens

    def encode(self, text: str, *, add_special_tokens: bool = True) -> list[int]:
        """Return code points."""
        del add_special_tokens
        return [ord(character) for character in text]

    def decode(self, token_ids: list[int]) -> str:
        """Return the characters."""
        return "".join(chr(token) for token in token_ids if token)


class ManyCharTokenizer(CharTokenizer):
    """The same, with the calls for many texts at once that fast tokenizers have."""

    chat_template = "role>content"

    def __call__(self, text: list[str], **options: object) -> dict[str, Any]:
        """Return code points of each text."""
        del options
        return {"input_ids": [self.encode(one) for one in text]}

    def apply_chat_template(self, conversation: list[Any], **options: object) -> Any:
        """Render one conversation, or many as texts."""
        if not conversation or isinstance(conversation[0], dict):
            return super().apply_chat_template(conversation, **options)
        rendered = (super(ManyCharTokenizer, self).apply_chat_template(one) for one in conversation)
        return ["".join(map(chr, tokens)) for tokens in rendered]
