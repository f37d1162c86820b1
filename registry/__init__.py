"""What everyone agrees on: records, lifecycle, data formats, artifacts and the store.

It refuses to know torch, litestar and HTTP.
"""
