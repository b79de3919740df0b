"""Policies stepped side by side over one reading of a log: what they answer, and what they agree on stepped once.

`homes` are those of one policy, `steps` brings records to the homes of all, `processes` spreads homes over several.
"""

__all__: list[str] = []
