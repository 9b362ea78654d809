"""Templates and their layers."""

import pytest
from PIL import Image

from gateway.emulator.drawing import draw_edit
from tests.emulator.support import SUBJECT, difference, encoded, opened, photo, pixels, read

TEMPLATE = {"templateId": "0189aa4a-5f0c-4c5c-8b0e-2f6f5f0d7a11"}


def draw_template(params: dict[str, str], files: dict[str, bytes] | None = None) -> Image.Image:
    images = files or {}
    return opened(draw_edit(read({**TEMPLATE, **params}, images), images, watermark=False).body)


def test_a_template_is_the_same_each_time_and_has_a_size_of_its_own() -> None:
    one, again = draw_template({}), draw_template({})
    assert 0 == difference(one, again)
    assert min(one.size) > 600


def test_a_main_picture_lies_on_the_template() -> None:
    alone = draw_template({})
    with_picture = draw_template({}, {"imageFile": encoded(photo())})
    assert alone.size == with_picture.size
    middle = pixels(with_picture)[with_picture.height // 2, with_picture.width // 2]
    assert SUBJECT == tuple(middle[:3].tolist())
    assert pixels(alone)[0, 0].tolist() == pixels(with_picture)[0, 0].tolist()


def test_an_output_size_is_kept() -> None:
    assert (300, 200) == draw_template({"outputSize": "300x200"}).size


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        ("a.text.content", "one", "two"),
        ("a.text.font", "Inter", "Lobster"),
        ("a.text.foregroundColor", "red", "blue"),
        ("a.text.backgroundColor", "red", "blue"),
        ("a.image.removeBackground", "auto", "never"),
        ("a.image.horizontalAlignment", "left", "right"),
        ("a.image.padding", "0", "0.3"),
        ("a.image.marginTop", "0", "0.3"),
    ],
)
def test_a_layer_is_drawn_as_asked_for(name: str, one: str, other: str) -> None:
    files = {"layers.a.image.imageFile": encoded(photo())} if ".image." in name else {}
    pictures = [draw_template({f"layers.{name}": text}, files) for text in (one, other)]
    assert difference(*pictures) > 0.01


def test_a_layer_may_come_from_a_prompt() -> None:
    prompt = "layers.a.image.imageFromPrompt.prompt"
    pictures = [draw_template({prompt: text}) for text in ("a cup", "a hat")]
    assert difference(*pictures) > 0.1
