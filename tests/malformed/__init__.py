"""Files that must be refused: `python -m tests.malformed.make` wrote them."""
