"""What Graftline's HTML pages share: the frame, the look, the pictures.

It refuses to know what a page is about.
"""
