"""What looks like a secret or like a person's data, by pattern: kinds and lines, never the value.

It refuses to keep what it found. It is a net with holes: what it does not find may be there.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from registry.inspection.gathered import Gathered
from registry.inspection.records import Exposed
from registry.inspection.view import View, texts_of


@dataclass(frozen=True, kw_only=True)
class Pattern:
    """One kind of thing that should not be learnt."""

    name: str
    """What it is."""
    hint: str
    """A piece that every one of them holds, or nothing: a quick look before the slow one."""
    expression: re.Pattern[str]
    """What it looks like."""
    is_real: Callable[[re.Match[str]], bool] = bool
    """Whether a match is one, beyond its looks."""


_MADE_UP = re.compile(
    r"example|placeholder|your[_-]|xxxx|\*\*\*|<|\$\{|\{\{|changeme|redacted|test_?key|dummy|\.\.\.|…",
    re.IGNORECASE,
)
_IBAN_DIGITS = str.maketrans({chr(65 + index): str(10 + index) for index in range(26)})


def _is_not_made_up(found: re.Match[str]) -> bool:
    return not _MADE_UP.search(found[0])


def _is_random(found: re.Match[str]) -> bool:
    """Return whether a value is a mix that nobody writes as a word."""
    value = found["value"]
    kinds = (str.isdigit, str.isupper, str.islower, lambda letter: not letter.isalnum())
    mixed = sum(any(kind(letter) for letter in value) for kind in kinds)
    return mixed >= 2 and any(map(str.isdigit, value)) and _is_not_made_up(found)


def _passes_luhn(found: re.Match[str]) -> bool:
    digits = [int(digit) for digit in found[0] if digit.isdigit()]
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    is_varied = len(set(digits)) > 2
    return is_varied and (sum(doubled) + sum(digits[-1::-2])) % 10 == 0


def _is_iban(found: re.Match[str]) -> bool:
    plain = found[0].replace(" ", "")
    return int((plain[4:] + plain[:4]).translate(_IBAN_DIGITS)) % 97 == 1


def _is_mail(found: re.Match[str]) -> bool:
    domain = found["domain"].lower()
    return not domain.endswith((".invalid", ".test", ".example")) and "example." not in domain


def _pattern(
    name: str,
    expression: str,
    hint: str = "",
    is_real: Callable[[re.Match[str]], bool] = _is_not_made_up,
) -> Pattern:
    return Pattern(name=name, hint=hint, expression=re.compile(expression), is_real=is_real)


SECRETS = (
    _pattern("private key", r"-----BEGIN [A-Z ]{0,20}PRIVATE KEY", "PRIVATE KEY"),
    _pattern("AWS access key", r"\b(?:AKIA|ASIA)[A-Z2-7]{16}\b", "IA"),
    _pattern("GitHub token", r"\b(?:gh[pousr]_\w{36,}|github_pat_\w{40,})", "_"),
    _pattern("GitLab token", r"\bglpat-[\w-]{20,}", "glpat-"),
    _pattern("Slack token", r"\bxox[abeoprs]-[\w-]{10,}", "xox"),
    _pattern("API key of a model provider", r"\bsk-(?:ant-|proj-|or-)?[\w-]{20,}", "sk-"),
    _pattern("Hugging Face token", r"\bhf_[A-Za-z]{30,}", "hf_"),
    _pattern("Google API key", r"\bAIza[\w-]{35}", "AIza"),
    _pattern("Stripe key", r"\b[rs]k_live_\w{16,}", "k_live_"),
    _pattern("JSON web token", r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}", "eyJ"),
    _pattern(
        "address with a password", r"\b[a-z][a-z+]{2,20}://[^\s:/@]{1,64}:[^\s:/@]{3,64}@", "://"
    ),
    _pattern(
        "password or key by its name",
        r"(?i)\b(?:api[_-]?key|access[_-]?key|secret|token|passw(?:or)?d|pwd)\b[\"']?\s{0,3}"
        r"(?::|=|\bis\b)\s{0,3}[\"']?(?P<value>[^\s\"',;<>{}]{8,200})",
        is_real=_is_random,
    ),
)
"""What opens doors."""
PERSONAL = (
    _pattern(
        "email address",
        r"(?<![\w.+-])[\w.+-]{1,64}@(?P<domain>[\w-]{1,63}(?:\.[\w-]{1,63}){0,4}\.[A-Za-z]{2,24})\b",
        "@",
        _is_mail,
    ),
    _pattern("payment card", r"(?<![\d.-])(?:\d[ -]?){12,18}\d(?![\d.])", is_real=_passes_luhn),
    _pattern(
        "IBAN", r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b", is_real=_is_iban
    ),
    _pattern(
        "US social security number",
        r"(?<![\d-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\d-])",
        "-",
    ),
    _pattern(
        "telephone number",
        r"(?<![\w+.-])(?:\+\d{1,3}[ .-]?(?:\(\d{1,4}\)[ .-]?)?(?:\d{2,4}[ .-]?){2,4}\d{2,4}"
        r"|\(\d{3}\) ?\d{3}-\d{4}|\d{3}-(?!555-01)\d{3}-\d{4})(?![\w-])",
    ),
)
"""What belongs to a person."""
_NUMBER = re.compile(r"[+(]?\d[\d ().-]{7,44}\d")
_NUMBERS = frozenset({"payment card", "US social security number", "telephone number"})
_NAMES = ("key", "secret", "token", "passw", "pwd")
_MAX_CHARACTERS = 200_000


class ExposureLook:
    """Which rows hold what should not be learnt."""

    def __init__(self) -> None:
        self._found: dict[str, Gathered] = {}

    def see(self, view: View) -> None:
        """Look at a row."""
        text = "\n".join(texts_of(view.row))[:_MAX_CHARACTERS]
        for name in patterns_in(text):
            self._found.setdefault(name, Gathered()).add(view.line)

    def result(self, patterns: tuple[Pattern, ...]) -> list[Exposed]:
        """Return what was found of some patterns, the commonest first."""
        found = [
            self._found[pattern.name].exposed(pattern.name)
            for pattern in patterns
            if pattern.name in self._found
        ]
        return sorted(found, key=lambda entry: -entry.count)


def patterns_in(text: str) -> list[str]:
    """Return the names of the patterns in a text."""
    numbers = [text[max(0, m.start() - 1) : m.end() + 1] for m in _NUMBER.finditer(text)]
    plain = text.lower()
    is_named = any(name in plain for name in _NAMES)
    return [
        pattern.name
        for pattern in (*SECRETS, *PERSONAL)
        if pattern.hint in text
        and (numbers or pattern.name != "IBAN")
        and (is_named or pattern is not SECRETS[-1])
        and any(
            pattern.is_real(found)
            for part in (numbers if pattern.name in _NUMBERS else (text,))
            for found in pattern.expression.finditer(part)
        )
    ]
