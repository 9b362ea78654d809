"""What a drop-in route refuses, leaves out and carries."""

from __future__ import annotations

import pytest

from gateway.domain.edit import ImageRef, Kind, Operation
from gateway.domain.tenant import Tenant
from gateway.domain.violations import Code
from gateway.transport.codec import WireCodec, WireFile
from tests.support.doors import (
    EXTRAS_ALLOWED,
    IGNORES_UNKNOWN,
    PLAIN,
    accepted,
    digest,
    found,
    read_wire,
    schema,
)

SHADOWS = "pr-ai-shadows-model-version"
URL = "https://pictures.invalid/a.jpg"


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("background.colour", "background.color"),
        ("Padding", "padding"),
        ("removebackground", "removeBackground"),
        ("shadow.softness", "shadow.softnessOverride"),
        (
            "virtualModel.additionalProductImages[00].imageUrl",
            ".additionalProductImages[i].imageUrl",
        ),
        ("pr-ai-shadow-model-version", SHADOWS),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_known_one(name: str, near: str) -> None:
    (violation,) = read_wire([(name, "1")]).violations
    assert (name, Code.UNKNOWN_PARAMETER) == (violation.field, violation.code)
    assert violation.description.endswith(f"{near}?")


def test_a_name_like_no_other_gets_no_hint() -> None:
    (violation,) = read_wire([("zzzzzz", "1")]).violations
    assert "is not known" == violation.description


def test_at_most_ten_hints_are_searched_for() -> None:
    """The search is slow, and a hostile form has hundreds of names."""
    violations = read_wire([(f"paddin{i}", "1") for i in range(12)]).violations
    assert [True] * 10 + [False] * 2 == ["did you mean" in v.description for v in violations]


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "background",
        "background.",
        ".background.color",
        "background..color",
        "background.color.x",
        "background[0].color",
        "background.color[0]",
        "background.Color",
        "Background.color",
        " background.color",
        "background.color\n",
        "margin.percent",
        "modelVersions",
        "modelVersions.aiShadows",
        "extra_parameters",
        "extraParameters.background.color",
        "imageFile.data",
        "layers",
        "layers.main",
        "layers.main.text",
        "layers..text.content",
        "layers.a.b.text.content",
        "layers.a[0].text.content",
        "layers[0].text.content",
        f"layers.{'k' * 129}.text.content",
        "layers.a\r\nb.text.content",
        "layers.\x7f.text.content",
        "virtualModel.model",
        "virtualModel.model.preset",
        "virtualModel.additionalProductImages",
        "virtualModel.additionalProductImages[0]",
        "virtualModel.additionalProductImages.imageUrl",
        "virtualModel.additionalProductImages[].imageUrl",
        "virtualModel.additionalProductImages[01].imageUrl",
        "virtualModel.additionalProductImages[-1].imageUrl",
        "virtualModel.additionalProductImages[+1].imageUrl",
        "virtualModel.additionalProductImages[\u0661].imageUrl",
        "virtualModel.additionalProductImages[0][0].imageUrl",
        "virtualModel.additionalProductImages[12345].imageUrl",
        SHADOWS,
    ],
)
def test_a_name_that_is_no_parameter_is_unknown(name: str) -> None:
    assert [(name, Code.UNKNOWN_PARAMETER)] == found(read_wire([(name, URL)]).violations)
    assert [(name, Code.UNKNOWN_PARAMETER)] == found(read_wire([], {name: b"picture"}).violations)


def test_a_long_unknown_name_is_not_repeated_whole() -> None:
    (violation,) = read_wire([("n" * 1000, "1")]).violations
    assert "n" * 256 == violation.field


@pytest.mark.parametrize("key", ["a", "k" * 128, "ä ö", '"', "#7", "0", "{key}"])
def test_a_map_key_is_any_one_segment(key: str) -> None:
    name = f"layers.{key}.text.content"
    edit = accepted(read_wire([(name, "Hello")]))
    assert [name] == [p.name for p in edit.parameters]


@pytest.mark.parametrize("second", ["png", "webp"])
def test_a_name_given_twice_is_refused(second: str) -> None:
    draft = read_wire([("export.format", "png"), ("export.format", second)])
    assert [("export.format", Code.DUPLICATE)] == found(draft.violations)


def test_the_two_names_of_one_parameter_are_a_duplicate() -> None:
    draft = read_wire(
        [("background.expandPrompt", "auto"), ("background.expandPrompt.mode", "ai.auto")]
    )
    assert [("background.expandPrompt.mode", Code.DUPLICATE)] == found(draft.violations)


def test_a_picture_given_twice_is_refused() -> None:
    part = WireFile("imageFile", b"picture", ImageRef.of(b"picture"))
    draft = WireCodec(schema(), Operation.EDIT).read([], [part, part], {}, PLAIN)
    assert [("imageFile", Code.DUPLICATE)] == found(draft.violations)


@pytest.mark.parametrize(("indices", "gaps"), [("0", 0), ("10", 0), ("1", 1), ("02", 1)])
def test_list_indices_run_from_0_without_gaps(indices: str, gaps: int) -> None:
    name = "virtualModel.additionalProductImages"
    draft = read_wire([(f"{name}[{i}].imageUrl", URL) for i in indices])
    assert [(name, Code.LIST_GAP)] * gaps == found(draft.violations)


def test_a_picture_that_came_as_text_closes_no_gap_and_opens_none() -> None:
    name = "virtualModel.additionalProductImages"
    draft = read_wire([(f"{name}[0].imageFile", "text"), (f"{name}[1].imageUrl", URL)])
    assert [(f"{name}[0].imageFile", Code.FILE_EXPECTED)] == found(draft.violations)


def test_a_parameter_that_came_as_a_file_is_refused() -> None:
    draft = read_wire([], {"background.color": b"FF0000"})
    assert [("background.color", Code.TEXT_EXPECTED)] == found(draft.violations)
    assert not draft.pictures


def test_it_knows_where_a_picture_belongs() -> None:
    codec = WireCodec(schema(), Operation.EDIT)
    assert codec.is_slot("imageFile")
    assert codec.is_slot("layers.a.image.imageFile")
    assert not codec.is_slot("imageUrl")
    assert not codec.is_slot("image")


def test_all_that_is_wrong_is_said_at_once() -> None:
    pairs = [
        ("padding", "wide"),
        ("templateId", "x"),
        ("padding", "0.1"),
        ("nope", ""),
        ("export.dpi", "7"),
    ]
    draft = read_wire(pairs, {"imageUrl": b""}, {"pr-new": "1", SHADOWS: "a b"})
    assert [
        ("padding", Code.NOT_A_NUMBER),
        ("templateId", Code.BAD_UUID),
        ("nope", Code.UNKNOWN_PARAMETER),
        ("export.dpi", Code.OUT_OF_RANGE),
        ("imageUrl", Code.TEXT_EXPECTED),
        ("pr-new", Code.UNKNOWN_PARAMETER),
        (SHADOWS, Code.BAD_FORMAT),
    ] == found(draft.violations)
    assert ["padding"] == [p.name for p in draft.edit.parameters]


@pytest.mark.parametrize("version", ["", "a b", "ü", "x" * 65, "2026/04/15"])
def test_a_model_version_is_a_plain_word(version: str) -> None:
    (violation,) = read_wire([], headers={SHADOWS: version}).violations
    assert SHADOWS == violation.field


def test_headers_that_are_none_of_the_models_are_not_read() -> None:
    headers = {"accept": "image/png", "x-api-key": "secret", "project": "x"}
    assert () == accepted(read_wire([], headers=headers)).headers


def test_a_tenant_may_have_unknown_names_left_out() -> None:
    draft = read_wire(
        [("nope", "1"), ("export.dpi", "7")],
        {"extraFile": b"x"},
        {"pr-new": "1"},
        tenant=IGNORES_UNKNOWN,
    )
    assert [("export.dpi", Code.OUT_OF_RANGE)] == found(draft.violations)
    assert ("nope", "extraFile", "pr-new") == draft.ignored


def test_what_is_left_out_is_no_part_of_the_digest() -> None:
    pairs = [("imageUrl", URL)]
    ignoring = read_wire([*pairs, ("nope", "1")], tenant=IGNORES_UNKNOWN)
    assert digest(read_wire(pairs)) == digest(ignoring)


def test_a_tenant_may_carry_parameters_that_are_newer_than_the_proto() -> None:
    draft = read_wire(
        [("background.glow", " Näive ")], headers={"pr-new": " 1 "}, tenant=EXTRAS_ALLOWED
    )
    edit = accepted(draft)
    assert [("background.glow", Kind.EXTRA, " Näive ")] == [
        (p.name, p.kind, p.wire) for p in edit.parameters
    ]
    assert [("pr-new", Kind.HEADER, "1")] == [(p.name, p.kind, p.wire) for p in edit.headers]


@pytest.mark.parametrize(
    ("pairs", "headers", "field", "code"),
    [
        ([("a b", "1")], {}, "a b", Code.BAD_KEY),
        ([('a"\r\nb', "1")], {}, 'a"\r\nb', Code.BAD_KEY),
        ([("", "1")], {}, "", Code.BAD_KEY),
        ([("n" * 257, "1")], {}, "n" * 256, Code.BAD_KEY),
        ([("new", "x" * 10_001)], {}, "new", Code.TOO_LONG),
        ([("new", "1"), ("new", "1")], {}, "new", Code.DUPLICATE),
        ([], {"pr-new": "\udce9"}, "pr-new", Code.BAD_FORMAT),
        ([], {"pr-new": ""}, "pr-new", Code.BAD_FORMAT),
    ],
    ids=str,
)
def test_an_extra_parameter_has_a_form_that_the_wire_can_carry(
    pairs: list[tuple[str, str]], headers: dict[str, str], field: str, code: Code
) -> None:
    draft = read_wire(pairs, headers=headers, tenant=EXTRAS_ALLOWED)
    assert [(field, code)] == found(draft.violations)


@pytest.mark.parametrize("name", [SHADOWS, "pr-new"])
def test_a_header_among_the_parameters_is_never_a_header(name: str) -> None:
    """Else a rule would see the model version that the upstream does not."""
    draft = read_wire([(name, "2026-04-15")], tenant=EXTRAS_ALLOWED)
    assert [(name, Code.UNKNOWN_PARAMETER)] == found(draft.violations)
    assert () == draft.edit.headers


def test_an_unknown_file_is_carried_for_nobody() -> None:
    draft = read_wire([], {"newFile": b"x"}, tenant=EXTRAS_ALLOWED)
    assert [("newFile", Code.UNKNOWN_PARAMETER)] == found(draft.violations)


@pytest.mark.parametrize("tenant", [PLAIN, EXTRAS_ALLOWED], ids=lambda tenant: tenant.id)
def test_options_of_other_services_are_left_out_of_a_segment(tenant: Tenant) -> None:
    """Clients send them, and Photoroom never read them."""
    names = ("type", "scale", "shadow", "position", "quality", "text_prompt")
    pairs = [(name, "1") for name in names]
    draft = read_wire(pairs, {"image_file": b"x"}, operation=Operation.SEGMENT, tenant=tenant)
    assert names == draft.ignored
    assert () == accepted(draft).parameters
    assert len(names) == len(read_wire(pairs).violations)
