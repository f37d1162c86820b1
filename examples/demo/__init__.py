"""The whole loop in one command, as a user of the API would drive it.

It refuses to know Graftline's insides: everything goes through HTTP and the `openai` client.
"""
