from tests.shops import shops

__all__ = ["shops"]
