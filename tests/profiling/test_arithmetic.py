"""The lecture's numbers, exact to the digit; expected values were computed by hand."""

from __future__ import annotations

import pytest

from vision2.basics.errors import UserError
from vision2.profiling.arithmetic import Conv, Setting, bottleneck_block, lessons, naive_block

LECTURE = Setting()


def test_the_naive_block_of_the_lecture_costs_333_670_400():
    block = naive_block(LECTURE)
    assert {name: conv.multiplications(28) for name, conv in block.layers.items()} == {
        "1x1": 10_035_200,
        "3x3": 135_475_200,
        "5x5": 188_160_000,
    }
    assert block.multiplications(28) == 333_670_400


def test_the_5x5_branch_with_a_bottleneck_costs_two_thirds_of_the_plain_one():
    lesson = lessons(LECTURE)[1]
    assert [conv.multiplications(28) for conv in lesson.cheaper.layers.values()] == [5_017_600, 120_422_400]
    assert lesson.cheaper.multiplications(28) == 125_440_000
    assert lesson.ratio(28) == pytest.approx(2 / 3, abs=1e-12)  # 64 / 2400 + 64 / 100 = 0.02667 + 0.64


def test_the_whole_block_with_bottlenecks_is_the_sum_of_its_branches():
    # 10,035,200 + (5,017,600 + 28·28·9·64·192) + (5,017,600 + 120,422,400) + 28·28·100·64
    assert bottleneck_block(LECTURE).multiplications(28) == 10_035_200 + 91_721_728 + 125_440_000 + 5_017_600


def test_googlenets_block_3a_costs_128_million():
    # Table 1 of arXiv 1409.4842: 28x28x192 -> 64, 96 -> 128, 16 -> 32, pool 32; "ops" 128 M.
    widths = ((1, 192, 64), (1, 192, 96), (3, 96, 128), (1, 192, 16), (5, 16, 32), (1, 192, 32))
    total = sum(Conv((k, k), inputs, filters).multiplications(28) for k, inputs, filters in widths)
    assert total == pytest.approx(128e6, rel=0.005)


@pytest.mark.parametrize(("channels", "filters", "n"), [(100, 192, 7), (32, 64, 3), (512, 1, 5)])
def test_the_ratios_of_the_papers_hold_for_every_width(channels, filters, n):
    _, branch, separable, factorised, two = lessons(Setting(channels=channels, filters_3x3=filters, n=n, size=9))
    assert branch.ratio(9) == pytest.approx(64 / (25 * 96) + 64 / channels)
    assert separable.ratio(9) == pytest.approx(1 / filters + 1 / 9)  # section 3.1 of arXiv 1704.04861
    assert factorised.ratio(9) == pytest.approx(2 / n)
    assert two.ratio(9) == pytest.approx(0.72)  # "28 % cheaper", section 3.1 of arXiv 1512.00567


def test_a_formula_spells_out_the_product():
    conv = Conv((5, 5), 100, 96)
    assert conv.formula(28) == "28·28 · 5·5·100 · 96"
    assert eval(conv.formula(28).replace("·", "*")) == conv.multiplications(28)
    depthwise = Conv((3, 3), 100, 100, groups=100)
    assert depthwise.formula(28) == "28·28 · 3·3·1 · 100"


def test_every_number_below_one_is_reported():
    with pytest.raises(UserError) as error:
        Setting(size=0, n=-1).checked()
    assert [problem.split()[0] for problem in error.value.problems] == ["size", "n"]
