"""What an event teaches, and how it is taught otherwise when claims give it another owner.

Whatever was learnt is a function of the ledger as it now stands; `claims` is how far each claim is heeded.
"""

__all__: list[str] = []
