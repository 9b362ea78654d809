"""Every documented bound, exactly at it and just beyond it, through both doors."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
from google.protobuf.descriptor import Descriptor

from gateway.domain.numbers import number_text
from gateway.domain.violations import Code
from gateway.v1 import options_pb2
from gateway.v1.edit_pb2 import Edit
from tests.support.doors import Pairs, accepted, found, read_message, read_wire
from tests.support.proto_edits import edit_message_from_wire

_LAYER = "layers.main.image."
_SIDES = ("", "Top", "Bottom", "Left", "Right")
LENGTHS = [f"{p}{kind}{s}" for p in ("", _LAYER) for kind in ("margin", "padding") for s in _SIDES]
SEEDED = (
    *("background", "beautify", "describeAnyChange", "editWithAI", "expand", "imageFromPrompt"),
    *("uncrop", f"{_LAYER}imageFromPrompt"),
)
PROMPTS = (
    "background.prompt",
    "background.negativePrompt",
    "describeAnyChange.prompt",
    "editWithAI.prompt",
    "flatLay.prompt",
    "ghostMannequin.prompt",
    "imageFromPrompt.prompt",
    "segmentation.prompt",
    "segmentation.negativePrompt",
    "virtualModel.prompt",
    "layers.main.text.content",
    "layers.main.text.font",
    f"{_LAYER}imageFromPrompt.prompt",
    f"{_LAYER}segmentation.prompt",
    f"{_LAYER}segmentation.negativePrompt",
)
NOT_EMPTY = (
    "describeAnyChange.prompt",
    "editWithAI.prompt",
    "imageFromPrompt.prompt",
    f"{_LAYER}imageFromPrompt.prompt",
)


@dataclass(frozen=True, slots=True)
class Bounds:
    """Smallest and largest value of one parameter; `open_low`: the smallest is itself too small."""

    name: str
    low: float | None = None
    high: float | None = None
    open_low: bool = False
    suffix: str = ""

    def inside(self) -> list[float]:
        low = (
            []
            if self.low is None
            else [math.nextafter(self.low, 1e9) if self.open_low else self.low]
        )
        return low + ([] if self.high is None else [self.high])

    def outside(self) -> list[float]:
        low = (
            []
            if self.low is None
            else [self.low if self.open_low else math.nextafter(self.low, -1)]
        )
        return low + ([] if self.high is None else [math.nextafter(self.high, math.inf)])


# Source: the vendor's schema; for the lengths its documentation. A size of the output in pixels is
# above 0, or there is no output.
DOCUMENTED = (
    Bounds("background.blur.radius", 0, 0.05, open_low=True),
    Bounds("background.guidance.scale", 0, 1),
    Bounds("export.dpi", 72, 1200),
    Bounds("maxWidth", 0, open_low=True),
    Bounds("maxHeight", 0, open_low=True),
    Bounds("outline.blurRadius", 0, 0.025),
    Bounds("outline.width", 0, 0.1),
    Bounds("shadow.intensityOverride", 0, 1),
    Bounds("shadow.softnessOverride", 0, 1),
    Bounds("shadow.spreadOverride", 0, 90),
    Bounds("shadow.subjectPoseOverride", 0, 90),
    *(Bounds(name, 0, 0.49) for name in LENGTHS),
    *(Bounds(name, 0, 49, suffix="%") for name in LENGTHS),
    *(Bounds(name, 0, suffix="px") for name in LENGTHS),
)


def both(pairs: Pairs) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """What each door finds wrong."""
    wire, message = read_wire(pairs), read_message(edit_message_from_wire(pairs, {}))
    return found(wire.violations), found(message.violations)


@pytest.mark.parametrize("bounds", DOCUMENTED, ids=str)
def test_a_bound_is_the_last_value_that_passes(bounds: Bounds) -> None:
    for value in bounds.inside():
        text = number_text(value) + bounds.suffix
        assert ([], []) == both([(bounds.name, text)])
        sent = accepted(read_wire([(bounds.name, text)])).parameters
        assert [(bounds.name, text)] == [(p.name, p.wire) for p in sent]


@pytest.mark.parametrize("bounds", DOCUMENTED, ids=str)
def test_a_value_beyond_a_bound_is_refused(bounds: Bounds) -> None:
    wrong = [(bounds.name, Code.OUT_OF_RANGE)]
    for value in bounds.outside():
        assert (wrong, wrong) == both([(bounds.name, number_text(value) + bounds.suffix)])


def test_no_bound_of_the_protos_is_missing_above() -> None:
    numbers = {b.name for b in DOCUMENTED}
    assert numbers == {name for name, param in bounded(Edit.DESCRIPTOR) if has_bounds(param)}


def bounded(descriptor: Descriptor, prefix: str = "") -> list[tuple[str, options_pb2.Param]]:
    """Every field of numbers with its options; members of a union count for the field that holds it."""
    rows = []
    for field in descriptor.fields:
        name, below = prefix + field.json_name, field.message_type
        if below is None:
            rows.append((name, field.GetOptions().Extensions[options_pb2.param]))
        elif below.GetOptions().Extensions[options_pb2.shape].scalar_union:
            rows += [(name, m.GetOptions().Extensions[options_pb2.param]) for m in below.fields]
        elif below.GetOptions().map_entry:
            value = below.fields_by_name["value"].message_type
            rows += bounded(value, f"{name}.main.") if value is not None else []
        else:
            rows += bounded(below, f"{name}.")
    return rows


def has_bounds(param: options_pb2.Param) -> bool:
    return any(param.HasField(n) for n in ("min", "max", "exclusive_min", "exclusive_max"))


@pytest.mark.parametrize("text", ["-720", "0", "359.5", "1e6"])
def test_a_direction_has_no_bounds(text: str) -> None:
    assert ([], []) == both([("shadow.directionOverride", text)])


@pytest.mark.parametrize("operation", SEEDED)
def test_a_seed_is_whole_and_exact_in_a_double(operation: str) -> None:
    name = f"{operation}.seed"
    for text in ("1", str(2**53 - 1)):
        assert ([], []) == both([(name, text)])
    for text in ("0", str(2**53)):
        assert ([(name, Code.OUT_OF_RANGE)],) * 2 == both([(name, text)])
    assert [(name, Code.NOT_WHOLE)] == found(read_wire([(name, "1.5")]).violations)
    assert [(name, Code.OUT_OF_RANGE)] == found(read_wire([(name, "-1")]).violations)


@pytest.mark.parametrize("name", PROMPTS)
def test_a_text_has_up_to_10000_characters(name: str) -> None:
    """Characters, not bytes: a prompt in Japanese is as long as one in English."""
    assert ([], []) == both([(name, "あ" * 10_000)])
    assert ([(name, Code.TOO_LONG)],) * 2 == both([(name, "x" * 10_001)])


@pytest.mark.parametrize("name", PROMPTS)
def test_an_empty_text_is_refused_where_a_character_is_asked_for(name: str) -> None:
    wrong = [(name, Code.TOO_SHORT)] if name in NOT_EMPTY else []
    assert (wrong, wrong) == both([(name, "")])


@pytest.mark.parametrize("name", NOT_EMPTY)
def test_space_alone_is_an_empty_prompt(name: str) -> None:
    assert ([(name, Code.TOO_SHORT)],) * 2 == both([(name, " \n")])


def test_a_url_has_up_to_8192_characters() -> None:
    longest = "https://pictures.invalid/".ljust(8192, "x")
    assert ([], []) == both([("imageUrl", longest)])
    assert ([("imageUrl", Code.TOO_LONG)],) * 2 == both([("imageUrl", f"{longest}x")])


@pytest.mark.parametrize(
    "url",
    [
        "https://",
        "https:///chair.jpg",
        "http://host:0/chair.jpg",
        "http://host:port/chair.jpg",
        "http://[::1/chair.jpg",
        "ftp://host/chair.jpg",
        "//host/chair.jpg",
        "http://host/a chair.jpg",
        "http://host/a\nchair.jpg",
        "http://host/\x00",
    ],
)
def test_a_url_is_absolute_and_printable(url: str) -> None:
    assert ([("imageUrl", Code.BAD_URL)],) * 2 == both([("imageUrl", url)])


@pytest.mark.parametrize(
    "url", ["http://host", "https://user:word@host:8443/a%20b?size=2#top", "http://[::1]/ü.png"]
)
def test_a_url_is_sent_as_it_was_given(url: str) -> None:
    assert [url] == [p.wire for p in accepted(read_wire([("imageUrl", url)])).parameters]


@pytest.mark.parametrize("count", [4, 5])
def test_a_product_has_up_to_four_further_pictures(count: int) -> None:
    name = "virtualModel.additionalProductImages"
    pairs = [(f"{name}[{i}].imageUrl", f"https://pictures.invalid/{i}.jpg") for i in range(count)]
    over = count > 4
    wire, message = both(pairs)
    assert [(f"{name}[4].imageUrl", Code.TOO_MANY_ITEMS)] * over == wire
    assert [(name, Code.TOO_MANY_ITEMS)] * over == message
