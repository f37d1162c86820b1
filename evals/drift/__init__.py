"""Are the latest requests like those that a version began with, and are its answers?

It refuses to know whether a change is good or bad: that is a person's to say.
"""
