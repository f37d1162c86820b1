"""Telling a project's webhooks what happened: signed, at least once, never into our own network.

It refuses to know why it happened: the outbox in the store has what is to be told.
"""
