"""From wire parameters to effective settings, and the refusals on the way."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.emulator import Refused, read_edit, read_segment
from gateway.emulator.values import Settings
from tests.emulator.support import encoded, photo, read, refusal

PNG = encoded(photo())


def segment(params: list[tuple[str, str]]) -> Settings:
    return read_segment(params, {"image_file": PNG}, {})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"padding": "30%"}, {"padding": "0.3"}),
        ({"padding": "7%"}, {"padding": "0.07"}),
        ({"padding": "0.10"}, {"padding": ".1"}),
        ({"padding": "0"}, {}),
        ({"padding": "0.1", "paddingTop": "0.1"}, {"padding": "0.1"}),
        ({"removeBackground": "true"}, {}),
        ({"export.format": "jpg"}, {"export.format": "jpeg"}),
        ({"background.color": "red"}, {"background.color": "#FF0000FF"}),
        ({"background.color": "f00"}, {"background.color": "FF0000"}),
        ({"background.color": "RebeccaPurple"}, {"background.color": "663399"}),
        ({"background.seed": "1e3"}, {"background.seed": "1000.0"}),
        ({"background.expandPrompt": "never"}, {"background.expandPrompt.mode": "ai.never"}),
        ({"background.prompt": " caf\u00e9 "}, {"background.prompt": "cafe\u0301"}),
        ({"outputSize": "0300x200"}, {"outputSize": "300x200"}),
    ],
)
def test_two_spellings_of_one_effective_request_are_equal(
    one: dict[str, str], other: dict[str, str]
) -> None:
    assert read(one) == read(other)
    assert read(one).digest() == read(other).digest()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"padding": "30px"}, {"padding": "0.3"}),
        ({"removeBackground": "false"}, {}),
        ({"background.color": "FF000080"}, {"background.color": "FF0000"}),
        ({"background.prompt": "A beach"}, {"background.prompt": "a beach"}),
        ({"background.prompt": "x", "background.seed": "1"}, {"background.prompt": "x"}),
        ({"paddingTop": "0.1"}, {"paddingLeft": "0.1"}),
        ({"layers.a.text.content": "x", "padding": "0"}, {"layers.a.text.content": "x"}),
    ],
)
def test_what_draws_differently_differs(one: dict[str, str], other: dict[str, str]) -> None:
    assert read(one) != read(other)
    assert read(one).digest() != read(other).digest()


def test_pictures_count_by_their_bytes_and_urls_by_their_text() -> None:
    other = encoded(photo((50, 50), (10, 10, 40, 40)))
    assert read(files={"imageFile": PNG}) != read(files={"imageFile": other})
    urls = [
        read_edit([("imageUrl", f"https://a.invalid/{name}")], {}, {}, "GET")
        for name in ("a", "a", "A")
    ]
    assert urls[0] == urls[1] != urls[2]


def test_model_headers_count_and_their_default_is_absence() -> None:
    name = "pr-ai-background-model-version"
    assert read() == read(headers={name: "3"})
    assert read() != read(headers={name: "2"})


def test_order_means_nothing() -> None:
    params = {"padding": "0.1", "background.color": "red", "shadow.mode": "ai.soft"}
    assert read(params) == read(dict(reversed(params.items())))


@given(st.floats(min_value=0, max_value=0.49), st.sampled_from(["margin", "padding"]))
def test_a_number_means_its_double_in_every_spelling(value: float, name: str) -> None:
    spellings = [f"{value:.340f}".rstrip("0") or "0", f"{value:.340f}"]
    assert 1 == len({read({name: text.rstrip(".") or "0"}) for text in spellings})


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_infinity=False))
def test_seeds_are_equal_exactly_when_their_doubles_are(one: float, other: float) -> None:
    other = 0.0 if math.isnan(other) else other
    read_one, read_other = (read({"background.seed": repr(seed)}) for seed in (one, other))
    assert (one == other) == (read_one == read_other)
    assert (one == other) == (read_one.digest() == read_other.digest())


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"upscale.mode": "fast"}, "upscale/mode must be equal to one of the allowed values"),
        ({"ironing.mode": "auto"}, "ironing/mode must be equal to constant"),
        ({"removeBackground": "yes"}, "removeBackground must be boolean"),
        ({"export.dpi": "71"}, "export/dpi must be >= 72"),
        ({"background.blur.radius": "0"}, "background/blur/radius must be > 0"),
        ({"outline.width": "wide"}, "outline/width must be number"),
        ({"templateId": "x"}, 'templateId must match format "uuid"'),
        (
            {"outputSize": "big"},
            'outputSize must match pattern "^(auto|\\d+x\\d+|originalImage|croppedSubject)$"',
        ),
        ({"virtualModel.model": "avery"}, "virtualModel/model must match a schema in anyOf"),
        (
            {
                "virtualModel.scene.preset.name": "beach",
                "virtualModel.scene.custom.imageUrl": "http://x",
            },
            "virtualModel/scene must match a schema in anyOf",
        ),
        (
            {"virtualModel.additionalProductImages": "x"},
            "virtualModel/additionalProductImages must be array",
        ),
        (
            {"virtualModel.additionalProductImages[1].imageUrl": "http://x"},
            "virtualModel/additionalProductImages/0 must be object",
        ),
        (
            {f"virtualModel.additionalProductImages[{i}].imageUrl": "http://x" for i in range(5)},
            "virtualModel/additionalProductImages must NOT have more than 4 items",
        ),
        ({"layers.a.text.size": "9"}, "layers/a must match a schema in anyOf"),
        (
            {"layers.a.text.content": "x", "layers.a.image.margin": "0"},
            "layers/a must match a schema in anyOf",
        ),
        (
            {"background.expandPrompt": "auto", "background.expandPrompt.mode": "ai.auto"},
            "background/expandPrompt must match a schema in anyOf",
        ),
        ({"background": "red"}, "background must be object"),
        (
            {"segmentation.mode": "keepSalientObject"},
            "segmentation must have required property 'prompt'",
        ),
        ({"editWithAI.prompt": ""}, "editWithAI/prompt must NOT have fewer than 1 characters"),
        (
            {"imageFile": "a.png"},
            "imageFile was provided more than once, but can only be provided once",
        ),
    ],
)
def test_a_bad_value_is_named_by_its_path(params: dict[str, str], message: str) -> None:
    assert (400, message) == refusal(params)


@pytest.mark.parametrize("name", ["padding", "nonsense", "virtualModel.additionalProductImages"])
def test_a_name_sent_twice_is_refused(name: str) -> None:
    with pytest.raises(Refused, match="was provided more than once, but can only be provided once"):
        read_edit([(name, "0"), (name, "0")], {"imageFile": PNG}, {}, "POST")


def test_unknown_attributes_are_ignored_and_listed() -> None:
    settings = read({"background.inner": "1", "foo": "2"})
    assert ("background.inner", "foo") == settings.unsupported
    assert read() == settings


def test_a_file_cannot_be_sent_as_a_text() -> None:
    with pytest.raises(Refused, match="imageFile can only be sent as a file in a POST request"):
        read_edit([("imageFile", "a.png")], {}, {}, "GET")


def test_a_text_cannot_be_sent_as_a_file() -> None:
    assert (400, "padding must be string") == refusal({}, padding=b"0.1")


def test_a_template_keeps_what_is_not_said_open() -> None:
    template = {"templateId": "0189AA4A-5F0C-4C5C-8B0E-2F6F5F0D7A11"}
    assert not read(template, {}).has("export.format")
    assert read(template, {}) != read({**template, "padding": "0"}, {})


def test_segment_reads_options_and_ignores_extras() -> None:
    extras = ("type", "scale", "shadow", "position", "quality", "text_prompt")
    assert segment([]) == segment([(name, "1") for name in extras])
    assert segment([("bg_color", "#FF0000")]) == segment([("bg_color", "red")])
    assert segment([]) != segment([("crop", "true")])


def test_segment_refuses_in_its_own_words() -> None:
    with pytest.raises(Refused) as refused:
        read_segment([], {}, {})
    assert ("Please provide an image.", "missing_image") == (
        refused.value.message,
        refused.value.kind,
    )
    with pytest.raises(Refused, match="format must be equal to one of the allowed values"):
        segment([("format", "jpeg")])
