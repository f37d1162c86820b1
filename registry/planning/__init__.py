"""What a run will take, worked out before it begins: rules that service and trainer share.

It refuses to know rows' words, processes and clocks; every module here is pure.
"""
