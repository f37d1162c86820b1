"""Tests: they ship with the source, never with the wheel."""
