"""The base of every record.

It refuses to know which records there are.
"""

import msgspec


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """The base of the records: immutable, keyword-only, comparable by value."""
