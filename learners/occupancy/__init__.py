"""Who is at home: what hearing, seeing and missing people tells of where they are, and what time does to that.

Each module is one idea with its law; numbers in, numbers out.
"""

__all__: list[str] = []
