"""The formats that training data comes in, each read into the one row that everybody knows.

It refuses to know what the rows are for. The uploaded bytes stay as they are.
"""
