"""Requests and tokens a minute: who still has room, and what the headers say about it.

It refuses to know routes and the engine.
"""

from service.limits.counting import Counters, Counting, open_counting
from service.limits.headers import rate_limit_headers
from service.limits.limiter import Admission, Limiter

__all__ = ["Admission", "Counters", "Counting", "Limiter", "open_counting", "rate_limit_headers"]
