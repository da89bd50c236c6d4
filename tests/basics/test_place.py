from __future__ import annotations

import pytest

from vision2.basics.errors import UserError
from vision2.basics.place import ALONE, Place, own_place

TORCHRUN = {
    "RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"
}  # fmt: skip


def test_without_torchrun_or_with_one_process_a_run_is_alone():
    assert own_place({}) == own_place({"WORLD_SIZE": "1", "RANK": "0"}) == ALONE


def test_the_place_is_what_torchrun_says():
    assert own_place(TORCHRUN) == Place(rank=3, size=4, local_rank=1, local_size=2)
    assert own_place(TORCHRUN | {"TORCHELASTIC_RESTART_COUNT": "2"}).restarts == 2


def test_incomplete_variables_are_named():
    with pytest.raises(UserError, match="RANK, MASTER_PORT is not set; start them with torchrun"):
        own_place({name: value for name, value in TORCHRUN.items() if name not in ("RANK", "MASTER_PORT")})
    with pytest.raises(UserError, match="must be whole numbers"):
        own_place(TORCHRUN | {"RANK": "first"})


@pytest.mark.parametrize(("count", "size"), [(128, 2), (10, 3), (9, 2), (8, 4)])
def test_a_batch_is_divided_into_parts_of_nearly_equal_length(count, size):
    batch = range(100, 100 + count)
    parts = [Place(rank, size).part_of(batch) for rank in range(size)]
    assert [position for part in parts for position in part] == list(batch)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1 and min(map(len, parts)) >= 2


def test_a_batch_with_fewer_than_two_images_for_each_process_is_not_divided():
    assert Place(1, 2).part_of(range(3)) == range(3)
    assert Place(1, 2).shares(range(3)) and not Place(1, 2).shares(range(4)) and not ALONE.shares(range(1))


def test_a_batch_size_that_cannot_be_divided_is_refused():
    with pytest.raises(UserError, match=r"train\.batch_size=5 is too small for 3 processes.*set train\.batch_size=6"):
        Place(0, 3).check_batch(5)
    Place(0, 3).check_batch(6)
    ALONE.check_batch(1)
