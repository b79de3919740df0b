"""Projections: what comes out is whole steps that a byte can keep, and goes back to where it was."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learners.precision import VECTOR_STEP, VECTOR_STEPS_MAX
from learners.recognition.projection import Metric, Projection
from stream.contract.packs import load_pack

seeds = st.integers(0, 2**32 - 1)


@given(seed=seeds, pack=st.sampled_from(["resemblyzer-0.1.4", "dlib-resnet-v1", ""]))
def test_a_projected_vector_is_whole_steps_that_a_byte_can_keep(seed: int, pack: str) -> None:
    metric: Metric = "euclidean" if pack.startswith("dlib") else "cosine"
    projection = load_pack(pack, metric) if pack else Projection.generic(metric, 80, 0.05)
    vector = np.random.default_rng(seed).normal(size=projection.length).astype(np.float32)
    steps = projection.project(vector).vector / VECTOR_STEP
    assert steps.astype(np.int8).astype(np.float32).tolist() == steps.tolist()
    assert np.abs(steps).max() <= VECTOR_STEPS_MAX
    if projection.metric == "cosine":  # only its direction counts
        assert np.abs(projection.project(4 * vector).vector / VECTOR_STEP - steps).max() <= 1
        back = projection.restore(projection.project(vector).vector)
        assert back @ back == pytest.approx(1, abs=1e-4)
