"""What the learning curve is made of."""

import pytest

from analysis.training import data
from analysis.training.learning_curve import chosen_volumes


@pytest.mark.parametrize("fold", data.folds())
def test_fewer_volumes_are_among_more_and_none_is_held_out(shared_data, fold: str) -> None:
    two, four, every = (chosen_volumes(count, fold) for count in (2, 4, 9))
    assert (len(two), len(four)) == (2, 4)
    assert two == four[:2]
    assert four == every[:4]
    assert sorted(every) == data.trained_volumes(fold)
