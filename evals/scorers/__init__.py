"""The metrics, one in each file, as importable `evaluate.Metric` classes.

They refuse to know a network: none is loaded by name. An instance is not thread-safe: make one for
each call.
"""
