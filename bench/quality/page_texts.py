"""The sentences of docs/quality.md; every figure among them is filled in by `page`."""

__all__ = ["ATTACK", "BEHIND", "BESIDE", "CALIBRATION", "CORPORA", "COST", "LABELS", "LIFE", "LIFE_AFTER", "LIMITS", "MICROPHONE",
           "PARTS", "PATTERNS", "README", "RECOGNITION", "TIERS", "TITLE"]  # fmt: skip

README = {
    "steady": "nothing special",
    "ageing": "voices age",
    "micswap": "the microphone changes half way",
    "missing": "voice, face or phones are often missing",
    "false_feedback": "one event in ten draws a false correction",
    "poison": "a guest keeps claiming to be a member",
    "newcomer": "a guest moves in and is never enrolled",
    "cold": "nobody was ever enrolled",
}  # scenario -> how the README tells it

TITLE = """
# Quality

How often the right person comes first, whether the probabilities can be believed, and what it costs, on people whom nobody
has fitted on. This page is made, figures and plots, by:

```console
$ make quality
```

The people of the development data are split in two halves, in another way for each seed ({seeds}). Each half in turn is
judged: worlds of {households} homes are made of it alone, with packs that were fitted on the other half. That makes {homes}
homes of a scenario, and {events} judged events in all. In brackets: the 95 % interval over {draws} draws of homes. `static`
is the profile of the enrolment, never refreshed; `oracle` is told after each event who it was. [All
figures](quality/results.json), for machines.
"""

BEHIND = """
## Where it is behind what is asked

"""

RECOGNITION = """
## Recognition

The first answer to every event is judged; revisions do not count. *Last phase*: at the end of a world, when there was
something to learn from. *Top-1*: the right member comes first among the members. *IEER*, *FNIR at FPIR 5 %*, over the whole
world: telling members from guests, who are strangers to the home.

"""

CORPORA = """
## By corpus, and for strangers to the packs

All above is of AN4. Here the same worlds, and harder ones, are also made of the voices of so762, whose people speak another
language: `noisy` (every channel at random, 30 % guests), `storm` (a telephone from half way, lies, 40 % guests), `kin`
(homes of the nearest voices), `rooms` (a far microphone in a second room), `one` and `eight` (homes of so many people).
*Half*: packs of the other half of the judged corpus and of all others, as above. *Strangers*: packs without the judged
corpora of voices and faces, which is what everybody meets whose people, rooms and microphones nobody fitted on. Fewer and
smaller worlds than above. In round brackets: the static profile.
"""

BESIDE = """
## Beside the static profile

*Least over static*: points of top-1 over `static` on the same events, the least of all phases and of the hard and the easy
half of the homes. *Single world*: the least of all seeds and halves of the people.

"""

CALIBRATION = """
## Can the probabilities be believed?

*Cllr − minCllr* is what is lost by probabilities that are not what really happens, *ECE* how far they are from it; 0 is
perfect.

"""

PATTERNS = """
By what was heard and seen at an event:

"""

TIERS = """
## Tiers

Errors, % of all events of guests and of members, against the budget of the tier; in brackets the worst single world.
*Covers*: % of member events that were answered rightly at the tier or above (tier 1: at all). The worlds have no PINs, so
none reaches tier 5.

"""

LABELS = """
## Automatic labels

The last revision of each label counts.

"""

ATTACK = """
## An attacker

In `poison` a guest keeps speaking, and claims each time to be one member. Who is taken for whom in the last phase, beside the
same worlds without those claims (what remains is likeness):

"""

MICROPHONE = """
## A microphone that no pack knows

`micswap`, again with packs that were fitted without any far-field recording:

"""

LIFE = """
## Long lives

{homes} homes over three years, {events:,} events each. Voices age all the time (through the conditions of `ageing`), and no
recording comes twice: each is turned out of two of the same speaker. Voice and phones only.

"""

LIFE_AFTER = """
Of claims about events that have left the ledger a home remembers eight a person; at the end the oldest of them was
{retracted_days:.0f} days old, and {retracted_percent:.0f} % of their retractions were applied. Of older ones hardly a
trace is left: what is folded of a person is worth sixteen recordings at most, and each that comes pushes out a part.
Erasing one member took a home from {bytes_before:,.0f} to {bytes_after:,.0f} bytes; {still_named_percent:.0f} % of the
homes still knew the name.
"""

COST = """
## Cost

Time of the step alone, learning, feedback and the bytes of outputs included, on decoded records, in µs of CPU time; kernels:
{kernels}. *An event*: all steps of a world in batches of a thousand, as a worker takes them, over its recognitions; quantiles
are of steps one by one. Five million `x += i * i` take {loop_s:.2f} s here; what is asked is
scaled from a machine that takes 0.8 s.

"""

PARTS = """
## What each part is worth

Each part in turn was switched off by values of the policy, in homes of all corpora, by packs that know nothing of the
corpus. A figure is that of the whole less that without the part, on the same homes: a part helps where top-1 and what tier
2 covers are above 0, and where the others are below. **Surely of use**: the 95 % interval over homes is on that side of 0;
_surely harmful_: on the other. The worlds are smaller than above.

"""

LIMITS = """
## What it does not say

* A world puts the voice of one person, the face of another, the phone signals and habits of a third together into homes that
  do not exist.
* Half of 42 voices and half of 20 faces are few to fit on, and few to judge. The packs that are shipped were fitted on all of
  them. At most ten people ever come to a home of a half, of whom at least four are visitors.
* The ageing is a change of speed, the false feedback is drawn at random, and nobody attacks with recordings.
* Phones and habits are not split: the same Bluetooth sessions were looked at when the phone model was made.
* Whoever chose the constants of the policy looked at halves of the same people. People of another corpus are the better test.
* In `steady` a person's recordings come round again once all were used, which flatters whatever learns.
"""
