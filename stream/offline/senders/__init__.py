"""For who sends records and who reads them: what they look like, and what is wrong with one.

Law: it reads by the models that the worker reads by, so that nothing said here can differ from what a worker does.
"""

__all__: list[str] = []
