"""The training side: from a job's row in the store to a published adapter version.

It refuses to know HTTP and the engine; it meets the others in the store and on disk.
"""
