"""A release to stores, in waves under gates."""
