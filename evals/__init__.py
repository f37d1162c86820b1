"""The exams: is an adapter better than the base model, and better than a good prompt?

It refuses to know how adapters are trained or served: rows come from files, answers over HTTP.
"""
