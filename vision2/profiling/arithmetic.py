"""The lecture's cost arithmetic: how many multiplications a convolution takes, and what each cheaper design saves.

Every value here can be checked with pencil and paper (`python -m vision2.cost` shows it next to the count on real
modules). Convolutions keep height and width (stride 1, padded) and biases are not counted.
Inception: arXiv 1409.4842; 1 x n with n x 1 and two 3x3 for a 5x5: arXiv 1512.00567; depthwise separable: arXiv
1704.04861.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from vision2.basics.errors import UserError

# What the slides print, by the exact product. The slides truncate some and round others, so the tables show both.
SLIDES = {
    10_035_200: "10 M",
    135_475_200: "135.4 M",
    188_160_000: "188.1 M",
    333_670_400: "333.5 M",
    5_017_600: "5 M",
    120_422_400: "120.4 M",
    125_440_000: "125.4 M",
}


@dataclass(frozen=True)
class Conv:
    """A convolution of `out_channels` filters with a kernel of (height, width)."""

    kernel: tuple[int, int]
    in_channels: int
    out_channels: int
    groups: int = 1

    def multiplications(self, size_px: int) -> int:
        """height x width x kernel x input channels per filter x filters."""
        height, width = self.kernel
        return size_px * size_px * height * width * (self.in_channels // self.groups) * self.out_channels

    def formula(self, size_px: int) -> str:
        height, width = self.kernel
        return f"{size_px}·{size_px} · {height}·{width}·{self.in_channels // self.groups} · {self.out_channels}"


@dataclass(frozen=True)
class Design:
    """One way to build a layer: its convolutions by name, in the order in which data pass them.

    `side_by_side`: they are the branches of an Inception block, whose outputs are concatenated; else each feeds the next.
    """

    name: str
    layers: dict[str, Conv]
    side_by_side: bool = False

    def multiplications(self, size_px: int) -> int:
        return sum(conv.multiplications(size_px) for conv in self.layers.values())


@dataclass(frozen=True)
class Lesson:
    """A costly design and a cheaper replacement; `rule` states the expected ratio of their costs."""

    title: str
    costly: Design
    cheaper: Design
    rule: str

    def ratio(self, size_px: int) -> float:
        return self.cheaper.multiplications(size_px) / self.costly.multiplications(size_px)


def _option(default: int, text: str) -> int:
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class Setting:
    """The input and the widths; the defaults are the lecture's."""

    size: int = _option(28, "height and width of the input, in pixels")
    channels: int = _option(100, "channels of the input")
    filters_1x1: int = _option(128, "filters of the 1x1 branch")
    filters_3x3: int = _option(192, "filters of the 3x3 branch, and of the separable convolution")
    filters_5x5: int = _option(96, "filters of the 5x5 branch")
    reduce: int = _option(64, "output channels of the 1x1 bottlenecks before the 3x3 and the 5x5")
    pool_filters: int = _option(64, "filters of the 1x1 convolution after the pooling")
    n: int = _option(7, "kernel size of the n x n that becomes 1 x n and n x 1")

    def checked(self) -> Setting:
        """Return itself, or raise UserError with one line for each number below 1."""
        wrong = [field.name for field in fields(self) if getattr(self, field.name) < 1]
        if wrong:
            raise UserError(*(f"{name} is {getattr(self, name)}; it must be 1 or more" for name in wrong))
        return self


def naive_block(given: Setting) -> Design:
    """Every branch reads all channels; the pooling branch has no multiplications and passes all channels on."""
    branches = {1: given.filters_1x1, 3: given.filters_3x3, 5: given.filters_5x5}
    layers = {f"{k}x{k}": Conv((k, k), given.channels, filters) for k, filters in branches.items()}
    return Design("naive Inception block", layers, side_by_side=True)


def bottleneck_block(given: Setting) -> Design:
    """A 1x1 convolution narrows the input of the 3x3 and the 5x5, and the output of the pooling."""
    narrow = Conv((1, 1), given.channels, given.reduce)
    return Design(
        "Inception block with bottlenecks",
        {
            "1x1": Conv((1, 1), given.channels, given.filters_1x1),
            "1x1 before 3x3": narrow,
            "3x3": Conv((3, 3), given.reduce, given.filters_3x3),
            "1x1 before 5x5": narrow,
            "5x5": Conv((5, 5), given.reduce, given.filters_5x5),
            "1x1 after pooling": Conv((1, 1), given.channels, given.pool_filters),
        },
        side_by_side=True,
    )


def lessons(given: Setting) -> list[Lesson]:
    """The five comparisons of the lecture, in its order."""
    naive, bottleneck = naive_block(given), bottleneck_block(given)
    channels, filters, n = given.channels, given.filters_3x3, given.n

    def square(size: int) -> Conv:
        return Conv((size, size), channels, channels)

    return [
        Lesson("Inception block", naive, bottleneck, "each large kernel reads `reduce` channels instead of all of them"),
        Lesson(
            "5x5 branch",
            Design("5x5 alone", {"5x5": naive.layers["5x5"]}),
            Design("1x1 bottleneck, then 5x5", {name: bottleneck.layers[name] for name in ("1x1 before 5x5", "5x5")}),
            "reduce / (25·filters) + reduce / channels",
        ),
        Lesson(
            "Depthwise separable convolution (MobileNet, Xception)",
            Design("full 3x3", {"3x3": Conv((3, 3), channels, filters)}),
            Design(
                "separable 3x3",
                {
                    "3x3 depthwise": Conv((3, 3), channels, channels, groups=channels),
                    "1x1 pointwise": Conv((1, 1), channels, filters),
                },
            ),
            "1 / filters + 1 / 9",
        ),
        Lesson(
            f"{n}x{n} as 1x{n} and {n}x1 (Inception v3)",
            Design(f"{n}x{n}", {f"{n}x{n}": square(n)}),
            Design(
                f"1x{n} + {n}x1",
                {f"1x{n}": Conv((1, n), channels, channels), f"{n}x1": Conv((n, 1), channels, channels)},
            ),
            "2 / n",
        ),
        Lesson(
            "Two 3x3 for one 5x5 (VGG, Inception v3)",
            Design("5x5", {"5x5": square(5)}),
            Design("3x3 + 3x3", {"first 3x3": square(3), "second 3x3": square(3)}),
            "18 / 25",
        ),
    ]
