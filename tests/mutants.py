"""Mutants: one place of a module changed, in ways that a test should notice.

Annotations, decorators and words for people are left as they are.
"""

import ast
import copy
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
#: What is changed of a module, where that is not all of it: of the install, what reads the report.
ONLY = {
    "fleet/model/policy.py": {"Amount"},
    "fleet/ssh/install.py": {"install", "_Listener", "InstallReport", "_stopped"},
}

_COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_COMPUTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
_CALLED = {"min": "max", "max": "min", "any": "all", "all": "any"}


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of one module.

    Attributes:
        spot: number of the node that is changed, in the order of ``ast.walk``.
        way: number of the change of it.
        line: where it is.
        owner: names of the class and function around it; "" at the level of the module.
        before: the expression that is changed, or the statement.
        after: what it becomes.
        nth: number of the same change within its owner.
    """

    module: str
    spot: int
    way: int
    line: int
    owner: str
    before: str
    after: str
    nth: int

    @property
    def name(self) -> str:
        """Return a name for command lines, as ``gate.py:1f0c77aa``; it outlives other changes."""
        text = f"{self.owner}\n{self.before}\n{self.after}\n{self.nth}"
        return f"{Path(self.module).name}:{zlib.crc32(text.encode()):08x}"

    @property
    def diff(self) -> str:
        """Return what is changed."""
        return f"    - {self.before}\n    + {self.after}"

    @property
    def tree(self) -> ast.Module:
        """Return the changed module."""
        tree = ast.parse((ROOT / self.module).read_text(encoding="utf-8"))
        node = list(ast.walk(tree))[self.spot]
        list(_changes(node))[self.way].make()
        return ast.fix_missing_locations(tree)


@dataclass(frozen=True, slots=True)
class _Change:
    """Other fields for a node."""

    target: ast.AST
    fields: Mapping[str, object]

    def make(self) -> None:
        for name, value in self.fields.items():
            setattr(self.target, name, value)

    def text_of(self, part: ast.AST) -> str:
        """Return a part of the module as it is with this change."""
        undo = _Change(self.target, {name: getattr(self.target, name) for name in self.fields})
        self.make()
        text = _text(part)
        undo.make()
        return text


def _changes(node: ast.AST) -> Iterator[_Change]:  # noqa: C901, PLR0912 - a table of node types
    """Yield each change of a node."""

    def change(target: ast.AST, **fields: object) -> _Change:
        return _Change(target, fields)

    match node:
        case ast.Compare():
            for index, op in enumerate(node.ops):
                swapped = list(node.ops)
                swapped[index] = _COMPARED[type(op)]()
                yield change(node, ops=swapped)
        case ast.BoolOp():
            yield change(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
        case ast.BinOp(op=op) if type(op) in _COMPUTED and not _is_type(node):
            yield change(node, op=_COMPUTED[type(op)]())
        case ast.UnaryOp(op=ast.Not()):
            yield change(node, operand=ast.UnaryOp(ast.Not(), copy.deepcopy(node.operand)))
        case ast.If() | ast.IfExp() | ast.While():
            yield change(node, test=ast.UnaryOp(ast.Not(), copy.deepcopy(node.test)))
        case ast.Constant(value=bool() as value):
            yield change(node, value=not value)
        case ast.Constant(value=int() | float() as value):
            yield change(node, value=value + 1)
        case ast.Return(value=ast.Constant(value="")):
            # None would be as false, and mean the same to most callers.
            yield change(node, value=ast.Constant("mutant"))
        case ast.Return(value=value) if value is not None and not _is_none(value):
            yield change(node, value=ast.Constant(None))
        case ast.Call(func=ast.Name(id=name)) if name in _CALLED:
            yield change(node.func, id=_CALLED[name])
        case ast.Expr(value=ast.Call()):
            yield change(node, value=ast.Constant(None))
        case ast.Break():
            yield change(node, __class__=ast.Continue)
        case ast.Continue():
            yield change(node, __class__=ast.Break)


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _is_type(node: ast.BinOp) -> bool:
    """Tell whether it is a type, as ``datetime | None``, and nothing that is computed."""
    return isinstance(node.op, ast.BitOr) and any(
        _is_none(side) or (isinstance(side, ast.Name) and side.id[0].isupper())
        for side in (node.left, node.right)
    )


def mutants_of(module: str) -> list[Mutant]:
    """Return every mutant of a module, in the order of ``ast.walk``."""
    tree = ast.parse((ROOT / module).read_text(encoding="utf-8"))
    owners, skipped, parts, guards = _owners(tree), _not_run(tree), _parts(tree), _guards(tree)
    found: list[Mutant] = []
    seen: Counter[tuple[str, str, str]] = Counter()
    for spot, node in enumerate(ast.walk(tree)):
        owner = owners.get(id(node), "")
        if id(node) in skipped or not _is_chosen(module, owner):
            continue
        line, part = getattr(node, "lineno", 0), parts.get(id(node), node)
        for way, change in enumerate(_changes(node)):
            guard = guards.get(id(node), "")
            key = owner, f"{guard}{_text(part)}", f"{guard}{change.text_of(part)}"
            found.append(Mutant(module, spot, way, line, *key, seen[key]))
            seen[key] += 1
    return found


def _parts(tree: ast.Module) -> dict[int, ast.AST]:
    """Return by node the whole expression that it is in; of a return or a call its statement."""
    parts: dict[int, ast.AST] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.expr | ast.Return | ast.Expr):
            for one in ast.walk(node):
                parts.setdefault(id(one), node)
    return parts


def _guards(tree: ast.Module) -> dict[int, str]:
    """Return by break or continue the question before it: the word alone says too little."""
    return {
        id(one): f"if {ast.unparse(node.test)}: "
        for node in ast.walk(tree)
        if isinstance(node, ast.If)
        for one in (*node.body, *node.orelse)
        if isinstance(one, ast.Break | ast.Continue)
    }


def _text(part: ast.AST) -> str:
    if isinstance(part, ast.If | ast.While):
        return f"{type(part).__name__.lower()} {ast.unparse(part.test)}"
    return ast.unparse(part)


def _is_chosen(module: str, owner: str) -> bool:
    return module not in ONLY or owner.split(".", maxsplit=1)[0] in ONLY[module]


def _owners(tree: ast.Module) -> dict[int, str]:
    """Return by node the outermost function that it is in, as ``Class.name``."""
    owners: dict[int, str] = {}

    def visit(node: ast.AST, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef):
                visit(child, f"{prefix}{child.name}.")
            elif isinstance(child, ast.FunctionDef):
                for part in child.body:
                    owners.update((id(one), f"{prefix}{child.name}") for one in ast.walk(part))

    visit(tree, "")
    return owners


def _not_run(tree: ast.Module) -> set[int]:
    """Return the nodes that tell nothing to a test: annotations, decorators, protocols, words."""
    left: list[ast.AST] = []
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef():
                parameters = node.args
                every = [*parameters.posonlyargs, *parameters.args, *parameters.kwonlyargs]
                left += [one.annotation for one in every if one.annotation]
                left += [*node.decorator_list, *([node.returns] if node.returns else [])]
            case ast.ClassDef():
                left += node.decorator_list
            case ast.AnnAssign():
                left.append(node.annotation)
            case ast.FormattedValue(format_spec=spec) if spec is not None:
                left.append(spec)
            case ast.Call(func=ast.Name(id="cast")):
                left.append(node)
    return {id(one) for node in left for one in ast.walk(node)}
