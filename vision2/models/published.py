"""The catalogue as data: one row a model. Numbers come from the papers, torchvision's and timm's model cards."""

from __future__ import annotations

from dataclasses import replace

from vision2.basics.preprocessing import Preprocessing
from vision2.models.card import ModelFacts

V1, V2 = "IMAGENET1K_V1", "IMAGENET1K_V2"
HALF = (
    0.5,
    0.5,
    0.5,
)  # inputs scaled to [-1, 1]: the Inception nets, MobileNet v1 and Xception, as TensorFlow has them
CARD = "torchvision model card, IMAGENET1K_V1"

PAPERS = {  # family: title, arXiv id, year
    "alexnet": ("ImageNet Classification with Deep Convolutional Neural Networks", "", 2012),
    "vgg": ("Very Deep Convolutional Networks for Large-Scale Image Recognition", "1409.1556", 2014),
    "googlenet": ("Going Deeper with Convolutions", "1409.4842", 2014),
    "smallinception": ("Going Deeper with Convolutions", "1409.4842", 2014),
    "inception_v3": ("Rethinking the Inception Architecture for Computer Vision", "1512.00567", 2015),
    "inception_v4": (
        "Inception-v4, Inception-ResNet and the Impact of Residual Connections on Learning",
        "1602.07261",
        2016,
    ),
    "resnet": ("Deep Residual Learning for Image Recognition", "1512.03385", 2015),
    "plain": ("Deep Residual Learning for Image Recognition", "1512.03385", 2015),
    "resnext": ("Aggregated Residual Transformations for Deep Neural Networks", "1611.05431", 2016),
    "densenet": ("Densely Connected Convolutional Networks", "1608.06993", 2016),
    "xception": ("Xception: Deep Learning with Depthwise Separable Convolutions", "1610.02357", 2016),
    "mobilenet_v1": (
        "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications",
        "1704.04861",
        2017,
    ),
    "mobilenet_v2": ("MobileNetV2: Inverted Residuals and Linear Bottlenecks", "1801.04381", 2018),
    "mobilenet_v3": ("Searching for MobileNetV3", "1905.02244", 2019),
    "efficientnet": ("EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", "1905.11946", 2019),
}


def _entry(name: str, family: str, numbers: tuple, preprocessing: Preprocessing, **more) -> ModelFacts:
    """`numbers` = parameters, multiply-adds in 10^9, ImageNet top-1 accuracy in percent."""
    title, arxiv, year = PAPERS[family]
    parameters, giga, top1 = numbers
    return ModelFacts(
        name=name,
        family=family,
        paper=(title, arxiv),
        year=year,
        preprocessing=preprocessing,
        parameters=parameters,
        multiply_adds=None if giga is None else giga * 1e9,
        top1_percent=top1,
        **({"library": "torchvision", "weights": (V1,), "facts_source": CARD} | more),
    )


def _smallest(px: int, **more) -> dict:
    return {"min_size_eval_px": px, "min_size_train_px": px} | more


OWN_32 = {"library": "own", "weights": (), "num_classes": 10, "stems": ("small",)}
AT_224 = Preprocessing(224, 256)
AT_224_V2 = Preprocessing(224, 232)  # torchvision's second recipe
AT_32 = Preprocessing(32, 32)
BOTH = {"weights": (V1, V2)}
STEMS = {"stems": ("imagenet", "small")}

VGG = [
    _entry(
        name,
        "vgg",
        numbers,
        AT_224,
        **_smallest(32, min_size_small_px=32),
        **STEMS,
        weights=(("IMAGENET1K_FEATURES", V1) if name == "vgg16" else (V1,)),
        note="stem=small: the convolutions and one linear layer of 512, without the two of 4096",
    )
    for name, numbers in {
        "vgg11": (132_863_336, 7.609, 69.020),
        "vgg13": (133_047_848, 11.308, 69.928),
        "vgg16": (138_357_544, 15.470, 71.592),
        "vgg19": (143_667_240, 19.632, 72.376),
        "vgg11_bn": (132_868_840, 7.609, 70.370),
        "vgg13_bn": (133_053_736, 11.308, 71.586),
        "vgg16_bn": (138_365_992, 15.470, 73.360),
        "vgg19_bn": (143_678_248, 19.632, 74.218),
    }.items()
]

RESNET = [
    _entry(
        name,
        "resnet",
        numbers,
        AT_224 if depth < 50 else AT_224_V2,
        library="own",
        **STEMS,
        shortcuts=("B", "A", "none"),
    )
    for name, depth, numbers in (
        ("resnet18", 18, (11_689_512, 1.814, 69.758)),
        ("resnet34", 34, (21_797_672, 3.664, 73.314)),
        ("resnet50", 50, (25_557_032, 4.089, 76.130)),
        ("resnet101", 101, (44_549_160, 7.801, 77.374)),
        ("resnet152", 152, (60_192_808, 11.514, 78.312)),
    )
]
RESNET = [replace(facts, weights=(V1,) if facts.name in ("resnet18", "resnet34") else (V1, V2)) for facts in RESNET]

NO_SHORTCUT = {"library": "own", "weights": (), "shortcuts": ("none",)}
COUNTED = "parameters and multiply-adds: our own count"
TEN_CROP = (
    "top-1 of ten crops (1512.03385, table 2), which one crop does not compare with: {}; the ResNet of that depth {}"
)
PLAIN = [
    _entry(name, "plain", (*counts, None), AT_224, **NO_SHORTCUT, **STEMS, facts_source=COUNTED, note=note)
    for name, counts, note in (
        ("plain18", (11_515_688, 1.795), TEN_CROP.format("72.06 %", "72.12 %")),
        ("plain34", (21_623_848, 3.644), TEN_CROP.format("71.46 %", "74.97 %")),
        ("plain50", (22_780_456, 3.729), ""),
        ("plain101", (41_772_584, 7.441), ""),
        ("plain152", (57_416_232, 11.153), ""),
    )
]

CIFAR = {
    20: (269_722, 40.55),
    32: (464_154, 68.86),
    44: (658_586, 97.17),
    56: (853_018, 125.49),
    110: (1_727_962, 252.89),
}
CIFAR_ERROR = {"resnet": (8.75, 7.51, 7.17, 6.97, 6.61), "plain": (9.5, 10.0, 12.0, 13.5, None)}
CIFAR_SOURCE = {
    "resnet": f"CIFAR-10 accuracy: 1512.03385, table 6; {COUNTED}",
    "plain": f"CIFAR-10 accuracy: about, read off figure 6 of 1512.03385 (110 layers: below 40 %); {COUNTED}",
}
CIFAR_NETS = [
    _entry(
        f"{family}{depth}",
        family,
        (parameters, mega / 1e3, None if error is None else round(100 - error, 2)),
        AT_32,
        **OWN_32,
        shortcuts=("A", "B", "none") if family == "resnet" else ("none",),
        facts_source=CIFAR_SOURCE[family],
        note="CIFAR form of the paper, 6n + 2 layers of 16, 32 and 64 channels",
    )
    for family in ("plain", "resnet")
    for (depth, (parameters, mega)), error in zip(CIFAR.items(), CIFAR_ERROR[family], strict=True)
]

DENSENET = [
    _entry(name, "densenet", numbers, AT_224, **_smallest(29, min_size_small_px=8), **STEMS)
    for name, numbers in {
        "densenet121": (7_978_856, 2.834, 74.434),
        "densenet161": (28_681_000, 7.728, 77.138),
        "densenet169": (14_149_480, 3.360, 75.600),
        "densenet201": (20_013_928, 4.291, 76.896),
    }.items()
]

EFFICIENTNET = [
    _entry(name, "efficientnet", numbers, Preprocessing(size, resize, interpolation="bicubic"))
    for name, size, resize, numbers in (
        ("efficientnet_b0", 224, 256, (5_288_548, 0.386, 77.692)),
        ("efficientnet_b1", 240, 255, (7_794_184, 0.687, 78.642)),
        ("efficientnet_b2", 288, 288, (9_109_994, 1.088, 80.608)),
        ("efficientnet_b3", 300, 320, (12_233_232, 1.827, 82.008)),
        ("efficientnet_b4", 380, 384, (19_341_616, 4.394, 83.384)),
        ("efficientnet_b5", 456, 456, (30_389_784, 10.266, 83.444)),
        ("efficientnet_b6", 528, 528, (43_040_704, 19.068, 84.008)),
        ("efficientnet_b7", 600, 600, (66_347_960, 37.746, 84.122)),
    )
]
EFFICIENTNET[1] = replace(EFFICIENTNET[1], weights=(V1, V2), preprocessing=Preprocessing(240, 255))  # V2 is bilinear

INCEPTION = [
    _entry(
        "googlenet",
        "googlenet",
        (6_624_904, 1.498, 69.778),
        Preprocessing(224, 256, HALF, HALF),
        **_smallest(15, min_size_train_aux_px=15),
        parameters_aux=13_004_888,
        note="torchvision's, with batch norm, and 3x3 where the paper has 5x5",
    ),
    _entry(
        "inception_v3",
        "inception_v3",
        (23_834_568, 5.713, 77.294),
        Preprocessing(299, 342, HALF, HALF),
        **_smallest(75, min_size_train_aux_px=299),
        parameters_aux=27_161_264,
    ),
    _entry(
        "inception_v4",
        "inception_v4",
        (42_679_816, 12.254, 80.0),
        Preprocessing(299, 341, HALF, HALF, "bicubic"),
        **_smallest(75),
        library="timm",
        weights=("tf_in1k",),
        facts_source="accuracy: 1602.07261, table 2",
    ),
    _entry(
        "xception",
        "xception",
        (22_855_952, 8.357, 79.0),
        Preprocessing(299, 333, HALF, HALF, "bicubic"),
        **_smallest(8),
        library="timm",
        weights=("tf_in1k",),
        facts_source="accuracy: 1610.02357, table 1",
    ),
]

MOBILE = [
    _entry(
        "mobilenet_v1",
        "mobilenet_v1",
        (4_231_976, 0.569, 70.6),
        Preprocessing(224, 256, HALF, HALF, "bicubic"),
        library="timm",
        weights=(),
        **STEMS,
        has_width=True,
        facts_source="accuracy: 1704.04861, table 8",
        note="TensorFlow's padding and norm constants; timm's retrained weights: model=mobilenet_v1_timm",
    ),
    _entry("mobilenet_v2", "mobilenet_v2", (3_504_872, 0.301, 71.878), AT_224_V2, **BOTH, **STEMS),
    _entry("mobilenet_v3_small", "mobilenet_v3", (2_542_856, 0.057, 67.668), AT_224),
    _entry("mobilenet_v3_large", "mobilenet_v3", (5_483_032, 0.217, 74.042), AT_224_V2, **BOTH),
]

OTHERS = [
    _entry(
        "alexnet",
        "alexnet",
        (61_100_840, 0.714, 56.522),
        AT_224,
        **_smallest(63),
        note="the one-tower form of arXiv 1404.5997",
    ),
    _entry("resnext50_32x4d", "resnext", (25_028_904, 4.230, 77.618), AT_224_V2, **BOTH, **STEMS),
    _entry("resnext101_32x8d", "resnext", (88_791_336, 16.414, 79.312), AT_224_V2, **BOTH, **STEMS),
]

SMALL = [
    _entry(
        "smallinception",
        "smallinception",
        (372_578, 0.0914, None),
        AT_32,
        **OWN_32,
        min_size_train_aux_px=4,
        **_smallest(4),
        parameters_aux=648_822,
        facts_source="our own network, our own count; nothing published",
        note="ours, not the paper's: GoogLeNet's 9 blocks at a quarter of their width, for 32 px",
    ),
    _entry(
        "smallinception_naive",
        "smallinception",
        (5_794_378, 0.9879, None),
        AT_32,
        **OWN_32,
        min_size_train_aux_px=4,
        **_smallest(4),
        parameters_aux=6_093_662,
        facts_source="our own network, our own count; nothing published",
        note="smallinception without its 1x1 reductions and projections (the paper's figure 2a)",
    ),
    _entry(
        "densenet40_k12",
        "densenet",
        (1_019_722, 0.2648, 94.76),
        AT_32,
        **OWN_32,
        **_smallest(4),
        facts_source=f"CIFAR-10 accuracy with augmentation: 1608.06993, table 2 (1.0 M parameters); {COUNTED}",
        note="the paper's CIFAR form: growth rate 12, depth 40, no bottleneck, no compression",
    ),
]

ROWS = [*VGG, *RESNET, *PLAIN, *CIFAR_NETS, *DENSENET, *EFFICIENTNET, *INCEPTION, *MOBILE, *OTHERS, *SMALL]
FACTS: dict[str, ModelFacts] = {facts.name: facts for facts in ROWS}
