"""What people say: claims, enrolments, memberships and phones applied, runs of claims that look poisoned
held out, erasure.

A row of the contract's table of feedback is a function of `feedback`.
"""

__all__: list[str] = []
