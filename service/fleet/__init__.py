"""The vLLM servers: which there are, how each is, what each holds, and which one answers.

It refuses to know what the requests ask, and who asks.
"""
