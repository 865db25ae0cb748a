"""A user's own file of components: imported only with consent, proven like ours."""

from __future__ import annotations

import hashlib
import importlib.util
import re
import sys
from pathlib import Path

from gradtrain import registry
from gradtrain.problems import Place, Problem, quote


def components(path: Path, allow_code: bool) -> list[tuple[str, str, type[registry.Component]]]:
    """(family, `file.name`, class) of every component that a Python file defines, in its order.

    Importing runs the file's code: it is consent, not a sandbox. Raises `Problem`s: no file, no consent, a file that
    raises, no component in it.
    """
    if not path.is_file():
        raise Problem("config-missing", f"no file at {quote(str(path))}", help="check the path")
    if not allow_code:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        raise Problem(
            "code-not-allowed", f"{quote(str(path))} is Python: proving its components runs its code", Place(str(path)),
            f"its sha256 is {digest}", "read it, then repeat the command with --allow-code",
        )  # fmt: skip
    name = "gradtrain_plugin_" + re.sub(r"\W", "_", path.stem)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise Problem("plugin-broken", f"{quote(str(path))} is no Python file", help="its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # pydantic looks annotations up there
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        what = f"{quote(str(path))} cannot be imported: {type(error).__name__}: {error}"
        raise Problem("plugin-broken", what, Place(str(path)), help="run it with Python to see where") from None
    found = []
    for value in list(vars(module).values()):
        own = isinstance(value, type) and issubclass(value, registry.Component) and value.__module__ == name
        if own and not value.__name__.startswith("_"):
            spelled = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", value.__name__).lower()
            registry.register(f"{path.stem}.{spelled}", value)
            family = registry.family_of(value)
            shelf = next(shelf for shelf, known in registry.families().items() if known is family)
            found.append((shelf, f"{path.stem}.{spelled}", value))
    if not found:
        help = "define a class that derives from gradtrain.Loss, gradtrain.Layer, …"
        raise Problem("no-components", f"{quote(str(path))} defines no component", Place(str(path)), help=help)
    return found
