"""Every learner as an estimator: one class each, on a record of its own, by the very kernels that run in a home.

Law: nothing is learnt here that a home would not learn from the same numbers. What is a classifier or a detector of
drift is one of River's. Only this package of `learners` needs River.

Examples
--------
>>> from learners.estimators import Gallery
>>> gallery = Gallery()
>>> gallery.learn_one({"pitch": 1.5, "timbre": -0.5}, "anna")
>>> gallery.learn_one({"pitch": -1.0, "timbre": 0.5}, "bert")
>>> gallery.predict_one({"pitch": 1.4, "timbre": -0.4})
'anna'
"""

from learners.estimators.calibration import Calibration
from learners.estimators.claims import ClaimRun, SourceReliability
from learners.estimators.drift import MeanRise, MeanShift, PersonShift, RateChange
from learners.estimators.gallery import Gallery
from learners.estimators.habits import Habits
from learners.estimators.phones import PhoneReliability, StrangerPhones
from learners.estimators.presence import Presence
from learners.estimators.record_estimator import RecordEstimator
from learners.estimators.thresholds import ErrorThreshold

__all__ = [
    "Calibration", "ClaimRun", "ErrorThreshold", "Gallery", "Habits", "MeanRise", "MeanShift", "PersonShift",
    "PhoneReliability", "Presence", "RateChange", "RecordEstimator", "SourceReliability", "StrangerPhones",
]  # fmt: skip
