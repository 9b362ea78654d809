"""Which results are read and kept, and for how long."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.answer import Answer
from gateway.domain.caching import UNSUPPORTED_LIFE, CacheMode, Lives, is_read, life
from gateway.domain.edit import Edit, Generative, ImageRef, ImageSlot, Kind, Operation, Parameter

LIVES = Lives(general=1000.0, template=100.0, url=10.0)
PLAIN = Answer(b"picture", "image/png")
UNSUPPORTED = Answer(b"picture", "image/png", (("pr-unsupported-attributes", "x"),))
SOURCE = ImageSlot("imageFile", ImageRef.of(b"source"))
PROMPT = Generative("background.prompt", "background.seed")
FLAT_LAY = Generative("flatLay.mode", None)


def parameter(name: str, kind: Kind = Kind.TEXT) -> Parameter:
    return Parameter(name, kind, "x", "x")


def edit(
    *names: str, url: str = "", generative: tuple[Generative, ...] = (), layer: bool = False
) -> Edit:
    parameters = [parameter(name) for name in names]
    parameters += [parameter(url, Kind.URL)] if url else []
    slots = [ImageSlot("layers.a.image.imageFile", SOURCE.image)] if layer else []
    ordered = tuple(sorted(parameters, key=lambda p: p.name))
    return Edit(Operation.EDIT, ordered, (SOURCE, *slots), generative=generative)


REUSABLE = {
    "plain": edit(),
    "seeded": edit("background.prompt", "background.seed", generative=(PROMPT,)),
}
UNSEEDED = {
    "no seed": edit("background.prompt", generative=(PROMPT,)),
    "none to be had": edit("flatLay.mode", generative=(FLAT_LAY,)),
    "one of two": edit(
        "background.prompt", "background.seed", "flatLay.mode", generative=(PROMPT, FLAT_LAY)
    ),
}
# Mode; whether a reusable and an unseeded edit is read; whether it is kept.
MODES = [
    (CacheMode.DEFAULT, (True, False), (True, False)),
    (CacheMode.REFRESH, (False, False), (True, True)),
    (CacheMode.BYPASS, (False, False), (False, False)),
    (CacheMode.REUSE, (True, True), (True, True)),
    (CacheMode.ONLY_IF_CACHED, (True, True), (True, True)),
]
EDITS = [(one, 0) for one in REUSABLE.values()] + [(one, 1) for one in UNSEEDED.values()]


def test_every_mode_has_a_row() -> None:
    assert list(CacheMode) == [row[0] for row in MODES]


@pytest.mark.parametrize(("mode", "read", "kept"), MODES)
@pytest.mark.parametrize(("one", "column"), EDITS, ids=[*REUSABLE, *UNSEEDED])
def test_a_mode_reads_and_keeps_what_the_table_says(
    one: Edit, column: int, mode: CacheMode, read: tuple[bool, bool], kept: tuple[bool, bool]
) -> None:
    assert read[column] is is_read(one, mode)
    assert (LIVES.general if kept[column] else None) == life(one, PLAIN, mode, LIVES)


LIFE = [
    ("plain", edit("padding"), PLAIN, 1000.0),
    ("template", edit("templateId"), PLAIN, 100.0),
    ("layer text", edit("layers.a.text.content"), PLAIN, 100.0),
    ("layer picture", edit(layer=True), PLAIN, 100.0),
    ("url", edit(url="imageUrl"), PLAIN, 10.0),
    ("url of another picture", edit(url="background.imageUrl"), PLAIN, 10.0),
    ("text that is no url", edit("imageUrl"), PLAIN, 1000.0),
    ("template and url", edit("templateId", url="imageUrl"), PLAIN, 10.0),
]


@pytest.mark.parametrize(
    ("one", "answer", "seconds"), [row[1:] for row in LIFE], ids=[row[0] for row in LIFE]
)
def test_a_result_lives_as_long_as_the_table_says(
    one: Edit, answer: Answer, seconds: float
) -> None:
    assert seconds == life(one, answer, CacheMode.DEFAULT, LIVES)


@pytest.mark.parametrize(
    ("general", "seconds"), [(30 * 86400.0, UNSUPPORTED_LIFE), (60.0, 60.0), (3600.0, 3600.0)]
)
def test_a_result_with_ignored_parameters_lives_an_hour_at_most(
    general: float, seconds: float
) -> None:
    lives = Lives(general, template=general, url=general)
    assert 3600.0 == UNSUPPORTED_LIFE
    assert seconds == life(edit(), UNSUPPORTED, CacheMode.DEFAULT, lives)


SECONDS = st.floats(0.001, 1e9)


@given(
    st.builds(Lives, SECONDS, SECONDS, SECONDS),
    st.sets(st.sampled_from(["template", "url", "unsupported"])),
)
def test_the_shortest_life_that_applies_counts(lives: Lives, traits: set[str]) -> None:
    one = edit(
        *(["templateId"] if "template" in traits else []),
        url="imageUrl" if "url" in traits else "",
    )
    answer = UNSUPPORTED if "unsupported" in traits else PLAIN
    applying = {"template": lives.template, "url": lives.url, "unsupported": UNSUPPORTED_LIFE}
    shortest = min([lives.general, *(applying[trait] for trait in traits)])
    assert shortest == life(one, answer, CacheMode.DEFAULT, lives)
