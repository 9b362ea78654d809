"""The Python client that services import: edits in, pictures out; blobs are its own business."""

from gateway.client.client import DEFAULT_TIMEOUT, CacheMode, EditedImage, GatewayClient
from gateway.client.errors import (
    BlobNotFound,
    DamagedPicture,
    FieldMistake,
    GatewayCallError,
    GatewayFailed,
    InvalidCall,
    NoAnswer,
    NotCached,
    OutcomeUnknown,
    Refused,
    ResultGone,
    ResultNotFetched,
    TryLater,
    Unauthenticated,
)

__all__ = [
    "DEFAULT_TIMEOUT",
    "BlobNotFound",
    "CacheMode",
    "DamagedPicture",
    "EditedImage",
    "FieldMistake",
    "GatewayCallError",
    "GatewayClient",
    "GatewayFailed",
    "InvalidCall",
    "NoAnswer",
    "NotCached",
    "OutcomeUnknown",
    "Refused",
    "ResultGone",
    "ResultNotFetched",
    "TryLater",
    "Unauthenticated",
]
