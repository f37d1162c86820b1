"""The local stack: vLLM, service, trainer and evals on one machine, kept alive by supervisor.

It refuses to know what the processes do; `programs` names them, `run` follows them to the end.
"""
