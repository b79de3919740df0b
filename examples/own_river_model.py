"""Teaches a River pipeline of your own by the labels of a replay: python own_river_model.py LOG.jsonl OUT"""

import json
import sys
from pathlib import Path

from river import metrics, naive_bayes, preprocessing

from stream import replay


def main(log: str, out: str) -> float:
    """How often it knows from activity, device and hour alone who it is, before it is told."""
    replay(log, out, fresh=True)
    lines = [json.loads(line).get("value") for line in Path(log).read_text("utf-8").splitlines()]
    seen = {(v["household_id"], v["event_id"]): v for v in lines if isinstance(v, dict) and "device_id" in v}
    model, accuracy = preprocessing.OneHotEncoder() | naive_bayes.BernoulliNB(), metrics.Accuracy()
    for line in (Path(out) / "labels.jsonl").read_text("utf-8").splitlines():
        label = json.loads(line)["value"]
        event = seen[label["household_id"], label["event_id"]]
        x = {"activity": event.get("activity"), "device": event["device_id"], "hour": event["observed_at"] // 10_800_000 % 8}
        who = f"{label['household_id']}/{label['person_id']}"
        accuracy.update(who, model.predict_one(x))
        model.learn_one(x, who)
    return float(accuracy.get())


if __name__ == "__main__":
    print(f"{main(*sys.argv[1:]):.1%}")
