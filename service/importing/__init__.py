"""Adapters trained elsewhere: read, checked against the base model, published.

It refuses to know HTTP and the engine: what passes here is loaded and probed like any version.
"""
