"""Pictures out of prompts and seeds."""

import pytest

from gateway.emulator.drawing import draw_edit
from tests.emulator.support import (
    GROUND,
    close,
    difference,
    draw,
    drawn,
    opened,
    photo,
    pixels,
    read,
)

KEPT = {"removeBackground": "false"}


GENERATIVE = [
    ({"background.prompt": "a beach"}, "background.seed"),
    ({"beautify.mode": "ai.auto"}, "beautify.seed"),
    ({**KEPT, "expand.mode": "ai.auto", "outputSize": "300x100"}, "expand.seed"),
    ({"uncrop.mode": "ai.auto"}, "uncrop.seed"),
    ({**KEPT, "editWithAI.mode": "ai.auto", "editWithAI.prompt": "night"}, "editWithAI.seed"),
    (
        {**KEPT, "describeAnyChange.mode": "ai.auto", "describeAnyChange.prompt": "night"},
        "describeAnyChange.seed",
    ),
]


@pytest.mark.parametrize(("params", "seed"), GENERATIVE)
def test_a_seed_repeats_a_picture_and_another_changes_it(params: dict[str, str], seed: str) -> None:
    cropped = photo((120, 80), (40, 20, 80, 80))
    first, again, other = (
        drawn({**params, seed: number}, cropped).body for number in ("7", "7", "8")
    )
    assert first == again
    assert difference(opened(first), opened(other)) > 0.1


@pytest.mark.parametrize(
    "params",
    [params for params, _ in GENERATIVE]
    + [{f"{name}.mode": "ai.auto"} for name in ("flatLay", "ghostMannequin", "virtualModel")],
)
def test_without_a_seed_each_picture_is_new(params: dict[str, str]) -> None:
    cropped = photo((120, 80), (40, 20, 80, 80))
    assert drawn(params, cropped).body != drawn(params, cropped).body


@pytest.mark.parametrize(
    ("name", "more"),
    [("background", {}), ("editWithAI", {"editWithAI.mode": "ai.auto", **KEPT})],
)
def test_another_prompt_is_another_picture(name: str, more: dict[str, str]) -> None:
    one, other = (
        draw({**more, f"{name}.prompt": prompt, f"{name}.seed": "1"})
        for prompt in ("a forest", "a bright kitchen")
    )
    assert difference(one, other) > 3


def test_the_background_seed_is_told_whether_it_was_set_or_not() -> None:
    assert (
        "7"
        == drawn({"background.prompt": "x", "background.seed": "7"}).headers[
            "pr-ai-background-seed"
        ]
    )
    assert drawn({"background.prompt": "x"}).headers["pr-ai-background-seed"].isdigit()


def test_a_told_seed_draws_the_same_again() -> None:
    first = drawn({"background.prompt": "x"})
    seed = first.headers["pr-ai-background-seed"]
    assert first.body == drawn({"background.prompt": "x", "background.seed": seed}).body


def test_expand_fills_what_is_clear() -> None:
    picture = draw({**KEPT, "outputSize": "300x100", "expand.mode": "ai.auto"})
    assert close((255,), pixels(picture)[:, :, 3].min(keepdims=True)[0], 0)
    assert close(GROUND, pixels(picture)[50, 5], 40)


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        ("virtualModel.model.preset.name", "avery", "jackson"),
        ("virtualModel.scene.preset.name", "beach", "forest"),
        ("virtualModel.pose", "standing", "seated"),
    ],
)
def test_a_model_is_drawn_as_asked_for(name: str, one: str, other: str) -> None:
    texts = {"virtualModel.mode": "ai.auto", "virtualModel.pose": "standing"}
    texts |= {"virtualModel.scene.preset.name": "beach"}
    pictures = [draw({**texts, name: text}) for text in (one, other)]
    assert difference(*pictures) > 1


def test_a_prompt_makes_a_picture_of_the_size_of_its_name() -> None:
    params = {"imageFromPrompt.prompt": "a cup", "imageFromPrompt.size": "PORTRAIT_4_3"}
    one, other = (
        opened(
            draw_edit(read({**params, "imageFromPrompt.seed": seed}, {}), {}, watermark=False).body
        )
        for seed in ("1", "2")
    )
    assert (768, 1024) == one.size == other.size
    assert difference(one, other) > 1
