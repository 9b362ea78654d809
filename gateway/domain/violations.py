"""The stable codes under which a request is found wrong or doubtful.

Clients test for them: a code is never renamed, and its meaning never changes.
"""

from __future__ import annotations

import enum

__all__ = ["Code"]


class Code(enum.StrEnum):
    """Why a single field is refused. The comment is the documentation."""

    # Names.
    UNKNOWN_PARAMETER = "UNKNOWN_PARAMETER"  # no such parameter, header or option
    UNKNOWN_FIELD = "UNKNOWN_FIELD"  # a field of a newer message than this gateway's
    DUPLICATE = "DUPLICATE"  # given more than once
    BAD_KEY = "BAD_KEY"  # a map key that the wire cannot carry
    LIST_GAP = "LIST_GAP"  # list indices do not run from 0 without gaps
    TOO_MANY_ITEMS = "TOO_MANY_ITEMS"  # a list longer than its bound
    EXTRA_NOT_ALLOWED = "EXTRA_NOT_ALLOWED"  # the tenant may not send extra parameters
    EXTRA_IS_KNOWN = "EXTRA_IS_KNOWN"  # an extra parameter that has a field of its own

    # Values.
    VALUE_MISSING = "VALUE_MISSING"  # a field without which its message says nothing
    NOT_A_BOOLEAN = "NOT_A_BOOLEAN"  # neither `true` nor `false`
    NOT_A_NUMBER = "NOT_A_NUMBER"  # not a finite decimal number
    NOT_WHOLE = "NOT_WHOLE"  # a fraction where a whole number is wanted
    OUT_OF_RANGE = "OUT_OF_RANGE"  # outside the documented bounds
    NOT_ALLOWED = "NOT_ALLOWED"  # none of the documented texts, which are case-sensitive
    TOO_SHORT = "TOO_SHORT"  # a text below its least length
    TOO_LONG = "TOO_LONG"  # a text above its largest length
    BAD_FORMAT = "BAD_FORMAT"  # a text that does not have the documented form
    BAD_COLOR = "BAD_COLOR"  # not a colour
    BAD_UUID = "BAD_UUID"  # not a UUID
    BAD_URL = "BAD_URL"  # not an absolute http or https URL

    # Kinds of part.
    FILE_EXPECTED = "FILE_EXPECTED"  # an image slot that came as text
    TEXT_EXPECTED = "TEXT_EXPECTED"  # a parameter that came as a file

    # Pictures by reference.
    BLOB_NOT_FOUND = "BLOB_NOT_FOUND"  # no picture of that SHA-256 and size is kept for the tenant
    BAD_DIGEST = "BAD_DIGEST"  # not a SHA-256 in lower-case hex, or not that of the bytes
    INLINE_TOO_LARGE = "INLINE_TOO_LARGE"  # more bytes in a message than go inline: upload them

    # Bodies.
    EMPTY_BODY = "EMPTY_BODY"  # a body was expected and none came
    MALFORMED_JSON = "MALFORMED_JSON"  # no JSON object, or a member of the wrong type
    QUERY_NOT_ALLOWED = "QUERY_NOT_ALLOWED"  # a parameter in the query of a POST that takes a form
    MALFORMED_MESSAGE = "MALFORMED_MESSAGE"  # bytes that are no message of the type
