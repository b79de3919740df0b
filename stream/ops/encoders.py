"""Encoders that the policy does not list: what everybody with a model of their own meets first, and what to do about it.

Law: a hint is a function of what was counted and of the policy; what it gives to paste is a policy that can be read.
"""

import difflib
import json
import textwrap
from collections import Counter
from collections.abc import Mapping
from typing import Final

from stream.contract.policy import Policy
from stream.contract.records import Unlisted

__all__ = ["explain_unlisted"]

_COLUMNS: Final = 79
_NAMED_MAX: Final = 4  # encoders in one hint, those that were named most


def explain_unlisted(unlisted: Mapping[Unlisted, int], recognitions: int, policy: Policy) -> str:
    """A hint, with tables to paste into a policy; empty: no such encoder was named.

    Parameters
    ----------
    unlisted
        How many vectors there were of each.
    recognitions
        How many recognitions there were, those with such vectors included.
    """
    counts: dict[tuple[str, str], Counter[int]] = {}
    for (modality, encoder, length), count in unlisted.items():
        counts.setdefault((modality, encoder), Counter())[length] += count
    most = sorted(counts.items(), key=lambda item: -item[1].total())[:_NAMED_MAX]
    told, tables = list[str](), list[str]()
    for (modality, encoder), lengths in most:
        numbers = " or ".join(map(str, sorted(lengths)))
        told += textwrap.wrap(
            f"{lengths.total():,} of {recognitions:,} recognitions named encoder {encoder!r} ({modality}, {numbers} numbers), "
            f"which the policy does not list{_nearest(modality, encoder, policy)}.",
            _COLUMNS,
        )
        if encoder not in policy.encoders:
            tables.append(_table(modality, encoder, lengths.most_common(1)[0][0]))
    if tables:
        told += ["If it is yours, write the policy to a file (kithkin policy > policy.toml), add", "", *tables]
        told.append('at its end, and give it to the command: --policy policy.toml. With a pack of')
        told.append('recordings ("kithkin fit", docs/packs.md) people are told apart better.')
    return "\n".join(told)


def _nearest(modality: str, encoder: str, policy: Policy) -> str:
    listed = policy.encoders.get(encoder)
    if listed is not None:
        return f" for {modality} but for {listed.modality}"
    alike = [name for name, known in policy.encoders.items() if known.modality == modality]
    near = difflib.get_close_matches(encoder, alike, n=1)
    return f" (it lists {near[0]!r})" if near else ""


def _table(modality: str, encoder: str, length: int) -> str:
    return (
        f"[encoders.{json.dumps(encoder)}]\n"
        f"modality = {json.dumps(modality)}\n"
        f"length = {length}\n"
        'metric = "cosine"  # or "euclidean", where the length of a vector says something too\n'
    )
