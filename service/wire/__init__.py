"""What goes over the wire, in OpenAI's shapes: one file for each kind of object.

It refuses to know how the objects come to be.
"""
