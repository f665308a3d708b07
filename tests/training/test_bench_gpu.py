"""What a GPU would be timed for, here on the processor: the numbers must be of what they say."""

from pathlib import Path

import pytest
import torch

from analysis.pipeline.series import check_series, find_series
from analysis.training import bench_gpu, timing


def test_a_study_takes_longer_than_its_forward_passes_and_with_its_files_longer_still(
    exams: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timing, "RUNS", 1)
    monkeypatch.setattr(bench_gpu, "AT_ONCE", 1)
    monkeypatch.setattr(bench_gpu, "STUDIES", 2)
    measured = bench_gpu.on_gpu(check_series(find_series(exams[0])), torch.device("cpu"))
    assert 0 < measured["forward_seconds"] < measured["study_seconds"] < 60
    assert 1 / measured["studies_per_second"] > 0.8 * measured["study_seconds"]
