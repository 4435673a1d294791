"""What every picture of the page has: two widths, a caption, and the same in words."""

from dataclasses import dataclass

#: Nights that fit on a telephone.
FEW_NIGHTS = 10

#: Width of a picture on a desk and on a telephone, in CSS pixels.
WIDE, NARROW = 920.0, 344.0


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture in two widths, and the same in words.

    Attributes:
        wide: an ``<svg>``.
        narrow: another one, of fewer nights, for telephones.
        caption: what is shown and what is left out.
        heads: of the table that says the same.
        rows: of it.
    """

    wide: str
    narrow: str
    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
