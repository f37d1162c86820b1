"""The HTTP/1.1 client of the hot path: a pool of connections to one engine.

It refuses to know what is sent and who asks.
"""
