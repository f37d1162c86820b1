"""An evaluation as people and programs read it: a page, a table, a document.

It refuses to compute figures: all of them come from the stored results.
"""
