"""What a machine can hold of the house style: sizes, names, exports, layers, and that nothing names a machine."""

import ast
import importlib
import re
import subprocess
import sys
import tokenize
import tomllib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.support.flow import flow_of_a_recognition

ROOT = Path(__file__).parent.parent
MODULES = sorted([*ROOT.glob("stream/**/*.py"), *ROOT.glob("learners/**/*.py")])
FOLDERS = sorted({path.parent for path in MODULES})
TESTS = sorted(ROOT.glob("tests/**/*.py"))
CODE = sorted([*MODULES, *TESTS, *ROOT.glob("bench/**/*.py")])

MODULE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70
PARAMETERS_MAX = 5
ROOMS_MAX = 10
FOLDER_MODULES_MAX = 10
PACKAGE_EXPORTS_MAX = 8
FLOW_MODULES_MAX = 20
FLOW_CHANGES_MAX = 60
# A shelf of classes, as River has them: all are exported, and every hyperparameter is an argument.
ESTIMATORS = ROOT / "learners" / "estimators"
# Verbs for functions, past tense for what happened: a participle alone, or before one of these prepositions, names no function.
IRREGULAR = {
    "begun", "bound", "brought", "built", "chosen", "done", "drawn", "found", "given", "gone", "held", "kept", "known", "laid",
    "left", "lost", "made", "meant", "paid", "said", "seen", "sent", "shown", "spoken", "taken", "told", "torn", "written",
}  # fmt: skip
PREPOSITIONS = {"anew", "apart", "as", "at", "by", "for", "from", "here", "in", "of", "on", "otherwise", "out", "to"}
NO_PARTICIPLES = {"bring", "embed", "embedding", "feed", "heading", "ping", "sighting", "wiring"}
THE_FIELDS_OWN = {"committed"}  # next offsets, as every client of Kafka calls them
NAMES_OF_NOTHING = {"base", "common", "data", "helper", "helpers", "info", "manager", "misc", "util", "utils"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def name_of(path: Path) -> str:
    """`stream/stores/__init__.py` -> `stream.stores`."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


Check = Callable[[Path, ast.Module], object]  # what is amiss in a module; nothing, or anything that is empty: nothing is
CHECKS: dict[Check, Sequence[Path]] = {}  # of which modules each is


def of_each(paths: Sequence[Path]) -> Callable[[Check], Check]:
    """Have a check made of each of these modules. Each is read once for all checks."""

    def note(check: Check) -> Check:
        CHECKS[check] = paths
        return check

    return note


def functions(tree: ast.Module) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def lines_of_code(path: Path, tree: ast.Module) -> int:
    """Lines with a token that is neither a comment nor a docstring; of a file that is short anyway, all lines."""
    whole = path.read_bytes().count(b"\n")
    if whole <= MODULE_LINES_MAX:
        return whole
    silent = {"COMMENT", "NL", "NEWLINE", "INDENT", "DEDENT", "ENCODING", "ENDMARKER"}
    with path.open("rb") as file:
        spans = [(t.start[0], t.end[0]) for t in tokenize.tokenize(file.readline) if tokenize.tok_name[t.type] not in silent]
    told = {line for first, last in spans for line in range(first, last + 1)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            told -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(told)


def is_command(path: Path, function: Function) -> bool:
    """Typer turns every parameter into a flag, so a command has as many as it has flags."""
    if "cli" in path.relative_to(ROOT).parts and not function.name.startswith("_"):
        return True
    names = {ast.unparse(d.func if isinstance(d, ast.Call) else d) for d in function.decorator_list}
    return any(name.endswith((".command", ".callback")) for name in names)


@of_each(CODE)
def a_module_is_one_noun(path: Path, tree: ast.Module) -> object:
    lines = lines_of_code(path, tree)
    return lines if lines > MODULE_LINES_MAX else None


@of_each(CODE)
def a_function_fits_a_screen(path: Path, tree: ast.Module) -> object:
    lengths = {f.name: (f.end_lineno or f.lineno) - f.lineno + 1 for f in functions(tree)}
    return {name: lines for name, lines in lengths.items() if lines > FUNCTION_LINES_MAX}


@of_each(MODULES)
def a_function_takes_at_most_five_things(path: Path, tree: ast.Module) -> object:
    crowded = {}
    for function in functions(tree):
        a = function.args
        names = [p.arg for p in (*a.posonlyargs, *a.args, *a.kwonlyargs) if p.arg not in ("self", "cls")]
        hyperparameters = path.parent == ESTIMATORS and function.name == "__init__"
        if len(names) > PARAMETERS_MAX and not is_command(path, function) and not hyperparameters:
            crowded[function.name] = names
    return crowded


def is_participle(name: str) -> bool:
    first, _, rest = name.strip("_").partition("_")
    if rest and rest.split("_")[0] not in PREPOSITIONS:
        return False
    return first in IRREGULAR or (first.endswith(("ed", "ing")) and first not in NO_PARTICIPLES)


@of_each(MODULES)
def a_function_is_named_by_a_verb(path: Path, tree: ast.Module) -> object:
    plain = (f for f in functions(tree) if not any("property" in ast.unparse(d) for d in f.decorator_list))
    return [f.name for f in plain if is_participle(f.name) and f.name not in THE_FIELDS_OWN]


@of_each(MODULES)
def a_module_opens_with_a_docstring(path: Path, tree: ast.Module) -> object:
    return None if ast.get_docstring(tree) else "no docstring"


@of_each([path for path in MODULES if path.name != "__main__.py"])
def a_module_exports_what_it_has_and_that_once(path: Path, tree: ast.Module) -> object:
    module = importlib.import_module(name_of(path))
    exported = list(module.__all__)
    return [name for name in exported if not hasattr(module, name) or exported.count(name) > 1]


@of_each(CODE)
def a_name_says_what_a_module_is_of(path: Path, tree: ast.Module) -> object:
    return {word for part in name_of(path).split(".") for word in part.split("_")} & NAMES_OF_NOTHING


@of_each(TESTS)
def a_skip_says_why_in_a_sentence(path: Path, tree: ast.Module) -> object:
    return [(line, why) for line, why in reasons_of_skips(tree) if len(why.split()) < 4]


@pytest.fixture(scope="module")
def amiss() -> dict[Check, dict[str, object]]:
    """What each check finds, by the module's name."""
    found: dict[Check, dict[str, object]] = {check: {} for check in CHECKS}
    for path in CODE:
        tree = ast.parse(path.read_text("utf-8"))
        for check, paths in CHECKS.items():
            if path in paths and (wrong := check(path, tree)):
                found[check][name_of(path)] = wrong
    return found


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_of_every_module(check: Check, amiss: dict[Check, dict[str, object]]) -> None:
    assert len(CHECKS[check]) > 100, "or nothing was looked at"
    assert amiss[check] == {}


def test_a_module_imports_only_what_its_layer_allows() -> None:
    # A process of its own, for it would switch off the loggers of this one.
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))"]
    linted = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert linted.returncode == 0, linted.stdout + linted.stderr


def test_of_the_contract_only_what_asks_the_environment_is_not_held_to_purity() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    pure = set(next(contract for contract in contracts if contract["type"] == "forbidden")["source_modules"])
    modules = {name_of(path) for path in ROOT.glob("stream/contract/[a-z]*.py")}
    assert pure - modules == {"learners", "stream.home", "stream.fleet"}
    assert modules - pure == {"stream.contract.credentials", "stream.contract.settings"}


def test_there_are_at_most_ten_rooms() -> None:
    entries = {path.name for path in ROOT.glob("stream/*") if path.name not in ("__init__.py", "__pycache__", "py.typed")}
    assert len(entries) <= ROOMS_MAX, entries


def test_a_folder_has_at_most_ten_modules() -> None:
    counts = {str(folder.relative_to(ROOT)): len(list(folder.glob("[a-z]*.py"))) for folder in FOLDERS}
    assert {folder: count for folder, count in counts.items() if count > FOLDER_MODULES_MAX} == {}


def test_a_package_says_what_it_is_for_and_exports_at_most_eight_names() -> None:
    names = [name_of(folder / "__init__.py") for folder in FOLDERS if folder != ESTIMATORS]
    exported = {name: importlib.import_module(name).__all__ for name in names}
    assert {name: told for name, told in exported.items() if len(told) > PACKAGE_EXPORTS_MAX} == {}


def test_a_recognition_flows_through_few_modules_and_seldom_turns_back() -> None:
    flow = flow_of_a_recognition()
    assert len(flow.modules) <= FLOW_MODULES_MAX, flow.modules
    assert flow.changes <= FLOW_CHANGES_MAX, flow.entered


def files_of_ours() -> list[Path]:
    """Files that are, or would be, in the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, check=False
    )
    if listed.returncode:
        pytest.skip("This tree is no git clone, so its own files cannot be told from what stands among them.")
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


def test_nothing_names_a_machine_or_a_registry() -> None:
    machine = re.compile(r"(?<![\w.}])/(work|tmp|root|home|Users)/")
    registry = re.compile(r"pypi[.]org|python[h]osted|npmjs[.]|crates[.]io|artifactor[y]|[/.]nexus[.]|devp[i][./]")
    found = []
    for path in files_of_ours():
        raw = path.read_bytes()
        if b"\0" in raw:  # neither text nor ours to word
            continue
        for number, line in enumerate(raw.decode("utf-8").splitlines(), 1):
            if machine.search(line) or registry.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    assert found == []


def reasons_of_skips(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and reason of everything in a test module that may skip."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and re.search(r"(^|\.)(skip|skipif|importorskip|xfail)$", ast.unparse(node.func)):
            told = [k.value for k in node.keywords if k.arg == "reason"] or node.args[:1]
            yield node.lineno, ast.unparse(told[0]) if told else ""
