"""What an exam shows beside its verdict: pure functions over stored scores and answers.

It refuses to know how rows were asked, and what the verdict is.
"""
