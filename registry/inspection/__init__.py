"""What is right and wrong with a file of training rows, before anything is trained on it.

It refuses to change rows, and to say a secret's own words.
"""
