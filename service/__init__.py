"""The HTTP side: OpenAI's API over the registry, and the way to vLLM.

It refuses to know torch and training; it imports neither `trainer` nor `evals`.
"""
