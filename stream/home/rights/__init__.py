"""Who may do what: what an answer allows, and what is known of a home that was said by others than its people's feedback.

Nothing here is compiled but what asks the core: it is rare, or it is asked by readers.
"""

__all__: list[str] = []
