"""Pictures out of prompts, seeds and templates: facts in the pixels, through both doors."""

from __future__ import annotations

import pytest
from PIL import Image

from tests.e2e.asks import Ask, edit_of
from tests.e2e.companions import TEMPLATE
from tests.e2e.draw import Draw
from tests.e2e.harness import CATALOG_KEY, LAB_KEY
from tests.emulator.support import GROUND, SUBJECT, close, difference, encoded, photo, pixels

pytestmark = pytest.mark.asyncio(loop_scope="module")

# The subject is cut off at the lower edge, so that uncrop has something to do.
PHOTO = encoded(photo((120, 80), (40, 20, 80, 80)))
KEPT = {"removeBackground": "false"}
ROOM = {"outputSize": "300x100", **KEPT}  # the picture leaves both sides of it clear
TEMPLATED = {"templateId": TEMPLATE}
SEEDED = [
    ({"background.prompt": "a beach", "padding": "0.2"}, "background.seed"),
    ({"beautify.mode": "ai.auto", "padding": "0.2"}, "beautify.seed"),
    ({"expand.mode": "ai.auto", **ROOM}, "expand.seed"),
    ({"uncrop.mode": "ai.auto"}, "uncrop.seed"),
    ({"editWithAI.mode": "ai.auto", "editWithAI.prompt": "night", **KEPT}, "editWithAI.seed"),
    (
        {"describeAnyChange.mode": "ai.auto", "describeAnyChange.prompt": "night", **KEPT},
        "describeAnyChange.seed",
    ),
    (
        {"imageFromPrompt.prompt": "a cup", "imageFromPrompt.size": "SQUARE_HD", **KEPT},
        "imageFromPrompt.seed",
    ),
]


def of(texts: dict[str, str], **files: bytes) -> Ask:
    source = {} if "imageFromPrompt.prompt" in texts else {"imageFile": PHOTO}
    return edit_of(texts, {**source, **files})


@pytest.mark.parametrize(
    ("texts", "seed"), SEEDED, ids=lambda value: value if isinstance(value, str) else ""
)
async def test_a_seed_repeats_a_picture_and_another_one_changes_it(
    draw: Draw, texts: dict[str, str], seed: str
) -> None:
    """The second time for another tenant, which is not served from what the first one bought."""
    calls = (("7", CATALOG_KEY), ("7", LAB_KEY), ("8", CATALOG_KEY))
    first, again, other = [await draw(of({**texts, seed: n}), key=key) for n, key in calls]
    assert 0 == difference(first, again)
    assert difference(first, other) > 0.1


@pytest.mark.parametrize(
    "texts",
    [texts for texts, _ in SEEDED if "imageFromPrompt.prompt" not in texts]
    + [
        {f"{name}.mode": "ai.auto", "outputSize": "64x64"}
        for name in ("flatLay", "ghostMannequin", "virtualModel")
    ],
    ids=lambda texts: next(iter(texts)),
)
async def test_without_a_seed_each_picture_is_new(draw: Draw, texts: dict[str, str]) -> None:
    first, second = [await draw.answer(of(texts)) for _ in range(2)]
    assert first.body != second.body


async def test_a_background_is_painted_from_words_and_its_seed_is_told(draw: Draw) -> None:
    texts = {"background.prompt": "a beach", "padding": "0.2"}
    first = await draw.answer(of(texts))
    assert first.seed is not None
    again = await draw.answer(of({**texts, "background.seed": str(first.seed)}))
    assert first.seed == again.seed
    assert first.body == again.body
    assert 255 == pixels(first.picture)[:, :, 3].min()
    assert close(SUBJECT, pixels(first.picture)[60, 60])


async def test_guidance_is_seen_in_the_background(draw: Draw) -> None:
    texts = {"background.prompt": "a beach", "background.seed": "7", "padding": "0.2"}
    red = encoded(Image.new("RGB", (20, 20), "red"))
    scales = [{}, {"background.guidance.scale": "1"}]
    weak, strong = [
        pixels(await draw(of({**texts, **scale}, **{"background.guidance.imageFile": red})))[
            2, 2, :3
        ]
        for scale in scales
    ]
    assert strong[0] > weak[0]
    assert strong[2] < weak[2]


@pytest.mark.parametrize(
    ("name", "one", "other", "more"),
    [
        ("background.prompt", "a forest", "a pool", {"background.seed": "1", "padding": "0.2"}),
        (
            "background.expandPrompt.mode",
            "ai.auto",
            "ai.never",
            {"background.prompt": "a pool", "background.seed": "1", "padding": "0.2"},
        ),
        (
            "editWithAI.prompt",
            "a forest",
            "a pool",
            {"editWithAI.mode": "ai.auto", "editWithAI.seed": "1", **KEPT},
        ),
    ],
)
async def test_another_text_is_another_picture(
    draw: Draw, name: str, one: str, other: str, more: dict[str, str]
) -> None:
    pictures = [await draw(of({**more, name: text})) for text in (one, other)]
    assert difference(*pictures) > 1


async def test_additional_pictures_are_seen_in_an_edit(draw: Draw) -> None:
    texts = {"editWithAI.mode": "ai.auto", "editWithAI.prompt": "x", "editWithAI.seed": "1", **KEPT}
    white = encoded(Image.new("RGB", (20, 20), "white"))
    without = await draw(of(texts))
    with_logo = await draw(of(texts, **{"editWithAI.additionalImages.logo.imageFile": white}))
    assert pixels(with_logo)[:, :, :3].mean() > pixels(without)[:, :, :3].mean()


async def test_expand_fills_what_is_clear(draw: Draw) -> None:
    clear = pixels(await draw(of(ROOM)))
    filled = pixels(await draw(of({**ROOM, "expand.mode": "ai.auto", "expand.seed": "1"})))
    assert 0 == clear[50, 5, 3]
    assert 255 == filled[:, :, 3].min()
    assert close(GROUND, filled[50, 5], 40)


async def test_uncrop_gives_the_subject_what_its_picture_cut_off(draw: Draw) -> None:
    texts = {"outputSize": "croppedSubject"}
    width, height = (await draw(of(texts))).size
    more = (await draw(of({**texts, "uncrop.mode": "ai.auto", "uncrop.seed": "1"}))).size
    assert (width, height + height // 6) == more


@pytest.mark.parametrize(
    ("name", "more", "size"),
    [
        ("flatLay", {}, (1024, 1024)),
        ("flatLay", {"flatLay.size": "PORTRAIT_HD_16_9"}, (576, 1024)),
        ("ghostMannequin", {}, (1024, 1024)),
        ("ghostMannequin", {"ghostMannequin.size": "LANDSCAPE_HD_4_3"}, (1024, 768)),
        ("virtualModel", {}, (683, 1024)),
        ("virtualModel", {"virtualModel.size": "LANDSCAPE_HD_3_2"}, (1024, 683)),
        ("virtualModel", {"virtualModel.quality": "advanced"}, (1366, 2048)),
        ("imageFromPrompt", {"imageFromPrompt.size": "PORTRAIT_4_3"}, (768, 1024)),
        ("imageFromPrompt", {"imageFromPrompt.size": "LANDSCAPE_16_9"}, (1024, 576)),
    ],
)
async def test_a_generated_picture_has_the_size_of_its_name(
    draw: Draw, name: str, more: dict[str, str], size: tuple[int, int]
) -> None:
    prompted = name == "imageFromPrompt"
    switch = {f"{name}.prompt": "a cup"} if prompted else {f"{name}.mode": "ai.auto"}
    assert size == (await draw(of({**switch, **more, "export.format": "jpeg", **KEPT}))).size


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        ("virtualModel.model.preset.name", "avery", "jackson"),
        ("virtualModel.scene.preset.name", "beach", "forest"),
        ("virtualModel.pose", "standing", "seated"),
    ],
)
async def test_a_model_is_drawn_as_asked_for(draw: Draw, name: str, one: str, other: str) -> None:
    texts = {
        "virtualModel.mode": "ai.auto",
        "virtualModel.pose": "standing",
        "outputSize": "68x102",
    }
    texts |= {"virtualModel.scene.preset.name": "beach"}
    pictures = [await draw(of({**texts, name: text})) for text in (one, other)]
    assert difference(*pictures) > 1


async def test_a_model_may_be_of_ones_own_and_wear_more_than_one_product(draw: Draw) -> None:
    texts = {"virtualModel.mode": "ai.auto", "virtualModel.scene.preset.name": "beach"}
    texts |= {"outputSize": "683x1024"}
    green = encoded(
        photo((60, 60), (10, 10, 50, 50)).point([0] * 256 + list(range(256)) + [0] * 256)
    )
    name = "virtualModel.additionalProductImages[0].imageFile"
    custom = {"virtualModel.model.custom.imageFile": green}
    answer = await draw.answer(of(texts, **custom, **{name: PHOTO}))
    assert -1 == answer.uncertainty  # there are people in the picture
    corner = pixels(answer.picture)[1024 - 60, 40, :3]  # where further products are shown
    assert close(SUBJECT, corner, 30)


async def test_a_main_picture_lies_on_its_template(draw: Draw) -> None:
    alone = await draw(edit_of(TEMPLATED, {}))
    together = await draw(of(TEMPLATED))
    assert alone.size == together.size
    middle = pixels(together)[together.height // 2, together.width // 2]
    assert SUBJECT == tuple(middle[:3].tolist())
    assert 0 == difference(alone.crop((0, 0, 9, 9)), together.crop((0, 0, 9, 9)))


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        ("layers.a.text.content", "one", "two"),
        ("layers.a.text.foregroundColor", "red", "blue"),
        ("layers.a.image.removeBackground", "auto", "never"),
        ("layers.a.image.padding", "0", "30%"),
        ("layers.a.image.verticalAlignment", "top", "bottom"),
    ],
)
async def test_a_layer_of_a_template_is_drawn_as_asked_for(
    draw: Draw, name: str, one: str, other: str
) -> None:
    texts = {**TEMPLATED, "outputSize": "240x210"}
    files = {"layers.a.image.imageFile": PHOTO} if ".image." in name else {}
    pictures = [await draw(edit_of({**texts, name: text}, files)) for text in (one, other)]
    assert difference(*pictures) > 0.01
