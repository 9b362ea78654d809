"""Any mixture of parameters is drawn or refused in words; nothing breaks the emulator."""

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.emulator import EDIT_PARAMETERS, Leaf, Refused, read_edit
from gateway.emulator.drawing import draw_edit
from tests.emulator.support import encoded, opened, photo

SHADOWS = {"pr-ai-shadows-model-version": "2026-04-15"}
TEXTS = [leaf for leaf in EDIT_PARAMETERS if leaf.examples and "quality" not in leaf.name]


def parameter(leaf: Leaf) -> st.SearchStrategy[tuple[str, str]]:
    return st.tuples(st.just(leaf.example_name), st.sampled_from(leaf.examples))


def outcome(
    params: Sequence[tuple[str, str]], files: dict[str, bytes], headers: dict[str, str]
) -> int:
    """The status; a picture that cannot be opened raises, as does whatever breaks."""
    try:
        drawn = draw_edit(read_edit(params, files, headers, "POST"), files, watermark=False)
    except Refused as refused:
        return refused.status
    opened(drawn.body)
    return 200


@given(
    st.lists(st.sampled_from(TEXTS), max_size=6, unique=True).flatmap(
        lambda leaves: st.tuples(*map(parameter, leaves))
    ),
    st.tuples(st.integers(1, 60), st.integers(1, 60)),
    st.sampled_from([{}, SHADOWS]),
)
@settings(max_examples=60, deadline=None)
def test_any_mixture_is_drawn_or_refused(
    params: tuple[tuple[str, str], ...], size: tuple[int, int], headers: dict[str, str]
) -> None:
    files = {"imageFile": encoded(photo(size, (0, 0, size[0] // 2 + 1, size[1] // 2 + 1)))}
    assert outcome(params, files, headers) in {200, 400, 500}
