"""The exams, one in each file.

It refuses to know who sits them.
"""
