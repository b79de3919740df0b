"""Who may do what, as a service: decisions for applications, challenges for people, over HTTP.

It reads the store of the workers only, and says as of when; what it learns (a PIN was given) it writes as a record with a place
in the order, as everybody else does.
"""

__all__: list[str] = []
