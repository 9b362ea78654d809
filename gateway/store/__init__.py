"""Redis: what outlives a replica, and the memory tier in front of it.

`redis` is imported nowhere else, and its exceptions end here: the cache answers a failure of its own
with a miss.
"""
