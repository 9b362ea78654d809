"""Pictures in the shapes of each wire, and what a request says beside its edit."""

from __future__ import annotations

from dataclasses import replace

import pytest
from google.protobuf.empty_pb2 import Empty
from google.protobuf.unknown_fields import UnknownFieldSet

from gateway.domain.answer import Answer
from gateway.domain.calls import Balance, Delivery, FromCache
from gateway.domain.edit import ImageRef
from gateway.domain.errors import Violation
from gateway.transport.codec import INLINE_BYTES
from gateway.transport.credential import credential_of
from gateway.transport.request_id import request_id
from gateway.transport.rest.shapes import delivery_headers
from gateway.transport.rpc.envelope import EnvelopeError, open_envelope, require
from gateway.transport.rpc.results import response_bytes, result_message
from gateway.v1.account_service_pb2 import GetAccountRequest
from gateway.v1.edit_pb2 import Edit
from gateway.v1.edit_service_pb2 import EditImageRequest, EditImageResponse, Result


@pytest.mark.parametrize("name", ["a", "order-17_a.b", "A" * 64])
def test_a_plain_request_id_is_kept(name: str) -> None:
    assert name == request_id(name)


@pytest.mark.parametrize("name", [None, "", "A" * 65, "a b", "a\nb", "ä", "a,b", "<script>"])
def test_any_other_request_id_is_replaced(name: str | None) -> None:
    made = request_id(name)

    assert 32 == len(made)
    assert made != request_id(name)


@pytest.mark.parametrize(
    ("key", "authorization", "found"),
    [
        ("k", None, "k"),
        ("k", "Bearer other", "k"),
        (None, "Bearer k", "k"),
        (None, "bearer   k ", "k"),
        (None, "Basic k", None),
        (None, "k", None),
        (None, "", None),
        (None, None, None),
        ("", "Bearer k", ""),
    ],
)
def test_a_credential_is_found_where_clients_put_it(
    key: str | None, authorization: str | None, found: str | None
) -> None:
    assert found == credential_of(key, authorization)


def test_an_envelope_opens_to_its_message() -> None:
    request = EditImageRequest()
    request.edit.background.color = "red"

    assert request == open_envelope(request.SerializeToString(), EditImageRequest)


@pytest.mark.parametrize("raw", [b"\xff", b"\x0a\x7f", b"\x08"])
def test_bytes_that_are_no_message_are_refused(raw: bytes) -> None:
    with pytest.raises(EnvelopeError) as caught:
        open_envelope(raw, EditImageRequest)

    assert [("", "MALFORMED_MESSAGE")] == [(v.field, v.code) for v in caught.value.violations]


def test_fields_of_a_newer_proto_are_all_named() -> None:
    with pytest.raises(EnvelopeError) as caught:
        open_envelope(b"\xf8\x3f\x01\xe0\x3f\x01", GetAccountRequest)

    assert ["#1020", "#1023"] == [v.field for v in caught.value.violations]


def test_a_message_that_must_be_there_is_required_by_name() -> None:
    require(EditImageRequest(edit=Edit()), "edit")
    with pytest.raises(EnvelopeError) as caught:
        require(EditImageRequest(), "edit")

    assert [("edit", "VALUE_MISSING")] == [(v.field, v.code) for v in caught.value.violations]


DELIVERY = Delivery(
    answer=Answer(b"picture", "image/png"),
    body=ImageRef.of(b"picture"),
    digest="d" * 64,
    cost_milli=200,
    warnings=(),
    ignored=(),
    cache=FromCache(why_not="miss"),
    kept=False,
)


def with_headers(*headers: tuple[str, str]) -> Delivery:
    return replace(DELIVERY, answer=Answer(b"picture", "image/png", headers))


def test_names_that_were_left_out_join_those_that_the_upstream_ignored() -> None:
    said = with_headers(("pr-unsupported-attributes", "Unsupported attributes: a, b"))
    delivery = replace(said, ignored=("c", "d\r\nSet-Cookie: x"))

    headers = delivery_headers(delivery)
    expected = "Unsupported attributes: a, b, c, d??Set-Cookie: x"
    assert expected == headers["pr-unsupported-attributes"]
    assert ["a", "b", "c", "d\r\nSet-Cookie: x"] == list(
        result_message(delivery, None, str).unsupported_attributes
    )


def test_warnings_fit_into_one_header_of_visible_characters() -> None:
    many = tuple(Violation(f"näme{n}", "DEPRECATED", "old") for n in range(500))
    text = delivery_headers(replace(DELIVERY, warnings=many))["Gateway-Warning"]

    assert text.startswith("DEPRECATED n?me0, DEPRECATED n?me1")
    assert 1000 == len(text)


def test_what_the_upstream_says_becomes_typed_fields() -> None:
    delivery = with_headers(
        ("x-uncertainty-score", "-1"),
        ("pr-ai-background-seed", "4294967296"),
        ("pr-texts-detected", "3"),
        ("pr-edit-further-url", "https://app.example/1"),
    )
    result = result_message(delivery, None, str)

    assert (-1.0, 4294967296, 3) == (
        result.uncertainty_score,
        result.background_seed,
        result.texts_detected,
    )
    assert "https://app.example/1" == result.edit_further_url


@pytest.mark.parametrize("text", ["", "many", "1e999", "-1", "1.5", "99999999999999999999999"])
def test_a_number_of_the_upstream_s_that_is_none_is_left_out_and_the_picture_is_not(
    text: str,
) -> None:
    delivery = with_headers(("pr-ai-background-seed", text), ("pr-texts-detected", text))
    result = EditImageResponse.FromString(response_bytes(delivery, None, str, field=1)).result

    assert not result.HasField("background_seed")
    assert not result.HasField("texts_detected")
    assert b"picture" == result.image


@pytest.mark.parametrize("size", [1, 127, 128, 16_383, 16_384, 2_097_152])
@pytest.mark.parametrize("field", [1, 2, 15, 16, 2047, 2048])
def test_the_heads_of_fields_are_those_of_protobuf(field: int, size: int) -> None:
    """Read back by protobuf itself, the picture is one field of the result, the result one of all."""
    body = bytes(size)
    delivery = replace(DELIVERY, answer=Answer(body, "image/png"), body=ImageRef.of(body))
    unknown = Empty.FromString(response_bytes(delivery, None, str, field=field))
    fields = UnknownFieldSet(unknown)

    assert (1, field, 2) == (len(fields), fields[0].field_number, fields[0].wire_type)
    expected = result_message(delivery, None, str)
    expected.image = body
    assert expected == Result.FromString(fields[0].data)


def test_a_large_picture_that_is_kept_is_named_and_not_sent() -> None:
    body = bytes(INLINE_BYTES + 1)
    delivery = replace(DELIVERY, answer=Answer(body, "image/png"), body=ImageRef.of(body))
    kept, not_kept = (
        EditImageResponse.FromString(
            response_bytes(replace(delivery, kept=kept), None, str, field=1)
        ).result
        for kept in (True, False)
    )

    assert (b"", body) == (kept.image, not_kept.image)
    assert ImageRef.of(body) == ImageRef(kept.blob.sha256, kept.blob.size_bytes)


@pytest.mark.parametrize(
    ("balance", "left"),
    [
        (None, None),
        (Balance(budget_milli=5000, spent_milli=1800, period_end=0.0), 3200),
        (Balance(budget_milli=5000, spent_milli=5000, period_end=0.0), 0),
        (Balance(budget_milli=1000, spent_milli=5000, period_end=0.0), 0),
    ],
)
def test_a_result_says_what_is_left_of_a_budget_and_nothing_without_one(
    balance: Balance | None, left: int | None
) -> None:
    result = EditImageResponse.FromString(response_bytes(DELIVERY, balance, str, field=1)).result

    known = result.HasField("budget_left_milli_credits")
    assert left == (result.budget_left_milli_credits if known else None)
