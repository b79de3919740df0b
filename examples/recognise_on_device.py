"""Recognises on a device, by the profiles that a cluster published: python recognise_on_device.py linden-1 [BROKER]"""

import sys

import numpy as np

from stream import Recogniser, subscribe
from stream.api.streams import Tombstone


def main(household_id: str, broker: str | None = None, prefix: str | None = None) -> dict[str, float]:
    """Who is most likely speaking; after this no network is needed."""
    device = Recogniser()
    for profile in subscribe("profiles", broker, prefix, follow=False):  # as a service of yours would send them to the device
        if profile.household_id != household_id:
            continue
        if isinstance(profile, Tombstone):
            device.forget(profile.person_id)
        else:
            device.update(profile)
    voice = np.random.default_rng(0).standard_normal(256)  # what your encoder gave
    return device.recognise(voice=voice, phones={"phone-ana": -52.0})


if __name__ == "__main__":
    for person_id, probability in main(*sys.argv[1:]).items():
        print(f"{probability:6.1%}  {person_id}")
