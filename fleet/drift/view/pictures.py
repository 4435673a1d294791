"""Pictures of nights: drawn by matplotlib, coloured by the page they stand in.

Every picture is an ``<svg>`` to be put into HTML. Its colours are CSS variables, so that one
picture serves light, dark and paper; its text is text in the page's font; and what colour says, a
letter, a number or a height says too. matplotlib takes most of a second to load, so only what
draws pays for it, and nothing here touches its global figures.
"""

import io
import logging
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fleet.model.drift import Connection
from fleet.model.printable import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Height of a row, and of the line with the dates, in CSS pixels at full size.
ROW = 22.0
HEAD = 24.0

#: What a colour is for -> the number that stands for it while it is drawn.
_ROLES = (
    "text",
    "muted",
    "line",
    "info",
    "low",
    "medium",
    "high",
    "dark",
    "not-verified",
    "not-counted",
    "ok",
    "on-info",
    "on-low",
    "on-medium",
    "on-high",
    "on-dark",
    "on-not-verified",
    "some",
    "many",
    "most",
    "on-some",
    "on-many",
    "on-most",
    "curve",
)
_COLOURS = {role: f"#a0b0{number:02x}" for number, role in enumerate(_ROLES)}

_COLOUR = re.compile(r"#a0b0([0-9a-f]{2})")
_ANY_COLOUR = re.compile(r"#[0-9a-f]{6}\b")
_NOISE = re.compile(
    r"<defs>\s*<style.*?</style>\s*</defs>"  # it would hold for the whole page
    r'|(?<=<g) id="[^"]*"'  # the same in every picture, and ids are the page's own
    r"|<!--.*?-->"  # matplotlib repeats every text as a comment
    r'| transform="rotate\(-0 [^"]*\)"'
    r"| font-family: [^;\"]*;?",
    re.DOTALL,
)
_SIZE = re.compile(r'<svg [^>]*viewBox="([^"]*)"[^>]*>')


@dataclass(frozen=True, slots=True)
class Frame:
    """How wide a picture is and how its columns are named.

    Attributes:
        width: in CSS pixels at full size; it shrinks and grows with the page.
        label: pixels for the names of the rows.
        name: unique in the page.
        caption: id of the element that says in words what is shown.
    """

    width: float
    label: float
    name: str
    caption: str

    @property
    def letters(self) -> int:
        """How long a row's name may be to fit, in a font of about 7.2 pixels a letter."""
        return int(self.label / 7.2)


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a picture of nights.

    Attributes:
        cells: by night, a role to colour it by ("" for none) and a letter or number on it.
        strong: whether its name heads those that follow.
    """

    name: str
    cells: Sequence[tuple[str, str]]
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Bar:
    """A stretch of a timeline, in shares of its whole width (0 to 1)."""

    start: float
    end: float
    connection: Connection


@dataclass(frozen=True, slots=True)
class Curve:
    """A line of shares over nights; None where it is not known."""

    name: str
    shares: Sequence[float | None]
    words: str


def nights_picture(frame: Frame, dates: Sequence[str], rows: Sequence[Row]) -> str:
    """A heatmap: a row per store or group, a column per night.

    Args:
        dates: above the columns, "" for those without.
    """
    step = (frame.width - frame.label) / max(1, len(dates))
    marks: dict[tuple[str, str], list[tuple[float, float]]] = {}
    boxes: dict[str, list[tuple[float, float, float, float]]] = {}
    with _drawing(frame, len(rows)) as figure:
        _dates(figure, frame, dates, step)
        for number, row in enumerate(rows):
            y = HEAD + number * ROW
            _label(figure, frame, row.name, y, strong=row.strong)
            for night, (role, mark) in enumerate(row.cells):
                x = frame.label + night * step
                if role:
                    box = (x + 0.5, y + 1, x + step - 0.5, y + ROW - 1)
                    boxes.setdefault(role, []).append(box)
                if mark:
                    marks.setdefault((role, mark), []).append((x + step / 2, y + ROW / 2))
        for role in sorted(boxes):
            _boxes(figure, role, boxes[role])
        for role, mark in sorted(marks):
            ink = f"on-{role}" if f"on-{role}" in _COLOURS else "text"
            _marks(figure, ink, mark, marks[role, mark], step)
        return _svg(figure, frame)


#: Top and bottom of a bar in its row: what is away shows in its height too.
_HEIGHTS = {
    Connection.DARK: (0.1, 0.9, "dark"),
    Connection.ECS_DOWN: (0.1, 0.45, "high"),
    Connection.SSM_DOWN: (0.55, 0.9, "medium"),
}


def timelines_picture(
    frame: Frame, dates: Sequence[tuple[float, str]], rows: Sequence[tuple[str, Sequence[Bar]]]
) -> str:
    """A thin line per host, with a block wherever it was not connected.

    Args:
        dates: where along the width each stands, from 0 to 1.
    """
    wide = frame.width - frame.label
    boxes: dict[str, list[tuple[float, float, float, float]]] = {}
    with _drawing(frame, len(rows)) as figure:
        for at, words in dates:
            x = frame.label + at * wide
            _text(figure, x + 2, HEAD / 2, words, role="muted")
            boxes.setdefault("line", []).append((x, 4, x + 1, HEAD + len(rows) * ROW))
        for number, (name, bars) in enumerate(rows):
            y = HEAD + number * ROW
            _label(figure, frame, name, y)
            for bar in bars:
                x0, x1 = (frame.label + share * wide for share in (bar.start, bar.end))
                if bar.connection is Connection.CONNECTED:
                    box = (x0, y + ROW / 2 - 0.75, x1, y + ROW / 2 + 0.75)
                    boxes.setdefault("muted", []).append(box)
                else:
                    top, bottom, role = _HEIGHTS[bar.connection]
                    box = (x0, y + top * ROW, max(x1, x0 + 2), y + bottom * ROW)
                    boxes.setdefault(role, []).append(box)
        for role in _ROLES:
            _boxes(figure, role, boxes.get(role, ()))
        return _svg(figure, frame)


def curves_picture(
    frame: Frame, dates: Sequence[str], curves: Sequence[Curve], floor: float
) -> str:
    """A small curve per group, all on one scale from ``floor`` to 1, with its words behind.

    Nights that are not known leave a gap, marked with ``?``.
    """
    behind = 64.0
    step = (frame.width - frame.label - behind) / max(1, len(dates))
    high = ROW * 1.3
    unknown: list[tuple[float, float]] = []
    with _drawing(frame, len(curves), high) as figure:
        _dates(figure, frame, dates, step)
        axes = figure.axes[0]
        grid = [
            (frame.label, HEAD + (n + 1) * high - 1, frame.width - behind, HEAD + (n + 1) * high)
            for n in range(len(curves))
        ]
        _boxes(figure, "line", grid)
        for number, curve in enumerate(curves):
            y = HEAD + number * high
            _label(figure, frame, curve.name, y, high=high)
            _text(figure, frame.width - behind + 6, y + high / 2, curve.words)
            middles = [frame.label + (night + 0.5) * step for night in range(len(curve.shares))]
            heights = [_height(share, floor, y, high) for share in curve.shares]
            axes.plot(middles, heights, color=_COLOURS["curve"], lw=1.6, solid_capstyle="round")
            alone = [(x, h) for x, h in _without_neighbours(middles, heights)]
            axes.plot(*_split(alone), color=_COLOURS["curve"], marker="o", ms=3, ls="")
            unknown += [
                (x, y + high / 2)
                for x, share in zip(middles, curve.shares, strict=True)
                if share is None
            ]
        _marks(figure, "muted", "?", unknown, step)
        return _svg(figure, frame)


def _height(share: float | None, floor: float, y: float, high: float) -> float:
    """Where a share lies in its row; not a number where it is not known, which leaves a gap."""
    if share is None:
        return float("nan")
    inside = (max(floor, share) - floor) / (1 - floor)
    return y + high - 3 - inside * (high - 6)


def _without_neighbours(
    xs: Sequence[float], heights: Sequence[float]
) -> Iterator[tuple[float, float]]:
    """Points that no line would show, because what is beside them is not known."""
    known = [height == height for height in heights]  # noqa: PLR0124 - only NaN is not itself
    for n, x in enumerate(xs):
        if known[n] and not any(known[max(0, n - 1) : n]) and not any(known[n + 1 : n + 2]):
            yield x, heights[n]


@contextmanager
def _drawing(frame: Frame, rows: int, high: float = ROW) -> "Iterator[Figure]":
    """An empty figure whose units are CSS pixels from the top left."""
    # The fonts' cache is rebuilt, elsewhere if need be, when a cron job's home cannot be written;
    # that is nobody's business.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    import matplotlib as mpl
    from matplotlib.figure import Figure

    tall = HEAD + max(1, rows) * high
    settings: dict[Any, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": frame.name,
        "text.usetex": False,
    }
    with mpl.rc_context(settings), warnings.catch_warnings():
        # It measures text in a font of its own, which lacks some scripts; the browser's does not.
        warnings.filterwarnings("ignore", "Glyph ", UserWarning)
        figure = Figure(figsize=(frame.width / 72, tall / 72))
        figure.patch.set_visible(False)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.set_xlim(0, frame.width)
        axes.set_ylim(tall, 0)
        axes.set_autoscale_on(False)
        yield figure


def _dates(figure: "Figure", frame: Frame, dates: Sequence[str], step: float) -> None:
    for night, words in enumerate(dates):
        x = frame.label + (night + 1) * step
        _text(figure, x, HEAD / 2, words, role="muted", align="right")


def _label(
    figure: "Figure",
    frame: Frame,
    name: str,
    y: float,
    *,
    strong: bool = False,
    high: float = ROW,
) -> None:
    _text(figure, 0, y + high / 2, printable(name, limit=frame.letters), strong=strong)


def _text(
    figure: "Figure",
    x: float,
    y: float,
    words: str,
    *,
    role: str = "text",
    align: str = "left",
    strong: bool = False,
) -> None:
    if not words:
        return
    figure.axes[0].text(
        x,
        y + 4,
        words,
        color=_COLOURS[role],
        fontsize=12,
        ha=align,
        va="baseline",
        fontweight="bold" if strong else "normal",
        parse_math=False,
    )


def _boxes(figure: "Figure", role: str, boxes: Iterable[tuple[float, float, float, float]]) -> None:
    """All boxes of a colour as one shape, which keeps thousands of them small."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    corners = [[(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)] for x0, y0, x1, y1 in boxes]
    if corners:
        codes = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY]
        points = [point for box in corners for point in box]
        shape = Path(points, codes * len(corners))
        patch = PathPatch(shape, facecolor=_COLOURS[role], edgecolor="none", clip_on=False)
        figure.axes[0].add_patch(patch)


def _marks(
    figure: "Figure", ink: str, mark: str, points: Sequence[tuple[float, float]], step: float
) -> None:
    """The same letters or number at many places: the shape once, then where it stands."""
    if not points:
        return
    from matplotlib.path import Path
    from matplotlib.textpath import TextPath

    outline = TextPath((0, 0), mark, size=9.5)
    corners = outline.get_extents()
    middle = ((corners.x0 + corners.x1) / 2, (corners.y0 + corners.y1) / 2)
    shape = Path(outline.vertices - middle, outline.codes)
    # A marker's size is that of its longer side.
    longer = max(corners.width, corners.height)
    figure.axes[0].plot(
        *_split(points),
        ls="",
        marker=shape,
        ms=min(longer, step - 2),
        mew=0,
        color=_COLOURS[ink],
        clip_on=False,
    )


def _split(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def _svg(figure: "Figure", frame: Frame) -> str:
    """The figure as an element of HTML, its colours named; ids carry the picture's name."""
    out = io.StringIO()
    empty: Mapping[str, None] = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(out, format="svg", metadata=empty)
    text = out.getvalue()
    text = _NOISE.sub("", text[text.index("<svg ") :])
    text = _COLOUR.sub(_named, text)
    stray = _ANY_COLOUR.search(re.sub(r">[^<]*<", "><", text))
    if stray:
        raise ValueError(f"picture {frame.name} has a colour of its own: {stray[0]}")
    head = rf'<svg viewBox="\1" class="picture" role="img" aria-labelledby="{frame.caption}">'
    return " ".join(_SIZE.sub(head, text).split())


def _named(found: re.Match[str]) -> str:
    number = int(found[1], 16)
    # A name that looks like one of our colours is only a name.
    return f"var(--{_ROLES[number]})" if number < len(_ROLES) else found[0]
