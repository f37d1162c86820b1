"""The languages in which answers are asked for: one small file for each family, and one table.

It refuses to know who is asking, which version answers, and how bytes travel.
"""
