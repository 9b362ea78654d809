"""Finds, buys and stores what a caller wants; one purchase is made in one flight."""

from gateway.purchasing.orders import BLOB_LIFE, CallTimes, Goods, Order
from gateway.purchasing.payment import Boarded, Payment
from gateway.purchasing.purchasing import Purchasing

__all__ = ["BLOB_LIFE", "Boarded", "CallTimes", "Goods", "Order", "Payment", "Purchasing"]
