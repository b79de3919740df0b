"""Who it may be: vectors projected and compared with what is kept of people, phones, habits, presence, and
how all of it is fused.

Each module is one idea with its law; numbers in, numbers out.
"""

__all__: list[str] = []
