"""The endpoints: one file for each kind of object, each thin.

It refuses to know SQL, vLLM's protocol and the shape of errors.
"""
