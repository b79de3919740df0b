"""`python -m bench.attack`: what somebody gets who should not.

    python -m bench.attack [--homes 150] [--seed 0] [--voices an4 so762] [--unlocks 500] [--ids 10000] [--json FILE]

In homes of the worlds guests, poison and kin (siblings: nearest voices) of ../shared/tools/world.py (KITHKIN_SHARED), with packs
that were fitted on other people: at every recognition whoever spoke has the PIN of the member who is likeliest beside them;
where the owner is at tier 4 proofs are forged, replayed, foreign and stale, and at a share of all events feedback is written by
any source. 150 homes of each world, corpus and half of its people are 100,000 tries with the PIN, and take some 20 minutes.

Beside them PINs are guessed at the verifier, and two clients match the people of 10,000 homes by all their ids.

Exit code 1: something is above what docs/decisions-api.md promises.
"""

import argparse
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path

from bench.quality.people import VOICES, Side

from .guesses import guess
from .homes import Tried, attack_homes
from .ids import match_clients

PIN_MAX, AUC_MAX, GUESSES_MAX = 0.001, 0.505, 3
GENUINE_MIN = 0.99  # an answer is made again with what was learnt since, and a few are no longer of tier 4
TO_COMPARE = ("genuine (to compare)", "taken for the owner")


def main() -> None:
    """Try all, and print it."""
    parser = argparse.ArgumentParser(prog="python -m bench.attack", description="What somebody gets who should not.")
    parser.add_argument("--homes", type=int, default=150, help="of each world, corpus of voices and half of its people; 0: none")
    parser.add_argument("--voices", nargs="+", choices=VOICES, default=VOICES, help="corpora of voices")
    parser.add_argument("--unlocks", type=int, default=500, help="over how many a PIN is guessed")
    parser.add_argument("--ids", type=int, default=10_000, help="homes whose people two clients match")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="FILE", help="all figures, for machines")
    args = parser.parse_args()
    found: dict[str, Tried] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for side in [Side(args.seed, half, voices) for voices in args.voices for half in (0, 1) if args.homes]:
            for world, tried in attack_homes(side, args.homes, args.seed, Path(scratch)):
                before = found.setdefault(world, Tried(Counter(), Counter()))
                before.tries.update(tried.tries)
                before.won.update(tried.won)
            print(f"# {side.voices} {side.name}", file=sys.stderr)
    over = _print_tries(found)
    guessed, matched = guess(args.unlocks, args.seed), match_clients(args.ids, args.seed)
    for one in guessed:
        print(f"guesses {one.who}: at most {one.guesses_max} an unlock, {one.chance:.2%}; {one.right} right in {one.unlocks:,}")
    for way, auc in matched.items():
        print(f"two clients by {way}: AUC {auc:.4f}")
    if args.json:
        worlds = {name: {kind: [one.won[kind], count] for kind, count in one.tries.items()} for name, one in found.items()}
        told = {"tries": worlds, "guesses": [one._asdict() for one in guessed], "auc": matched}
        args.json.write_text(json.dumps(told, indent=1) + "\n")
    over += [one.who for one in guessed[:1] if one.guesses_max > GUESSES_MAX]
    over += [way for way, auc in matched.items() if auc > AUC_MAX]
    if over:
        sys.exit(f"Above what is promised: {'; '.join(over)}")


def _print_tries(found: dict[str, Tried]) -> list[str]:
    """By world and kind; those that came to too much."""
    over = []
    for world, tried in found.items():
        for kind, count in tried.tries.items():
            won = tried.won[kind]
            print(f"{world:8} {kind:48} {won:7,} of {count:9,}  {won / count:.4%}")
            most = PIN_MAX * count if kind.endswith("with the PIN") else 0
            if not any(word in kind for word in TO_COMPARE) and won > most:
                over.append(f"{world}: {kind}")
            if kind == TO_COMPARE[0] and won < GENUINE_MIN * count:
                over.append(f"{world}: {count - won} genuine proofs did not count")
    return over


if __name__ == "__main__":
    main()
