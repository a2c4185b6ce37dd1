"""Imports at first use: TensorFlow takes seconds to import, and a refused flag needs none of it."""

import ast
import importlib
import importlib.abc
import importlib.util
import pkgutil
import sys
from collections.abc import Callable
from typing import Any


def lazy_attributes(package: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Returns the functions `__getattr__` and `__dir__` of a package (PEP 562).

    The public names are those that the package's stub file, `__init__.pyi`, imports: type checkers
    read the same table. Submodules are attributes too.

    Args:
        package: full name of the package, whose `__init__.py` calls this function.

    Example:
    >>> __getattr__, __dir__ = lazy_attributes("wavenet_tf.audio")
    >>> __getattr__("STEPS_OF_16_BITS")
    32768
    """
    modules = _modules_of_names(package)

    def get_attribute(name: str) -> Any:
        if name in modules:
            value = getattr(importlib.import_module(modules[name]), name)
        elif not name.startswith("_") and importlib.util.find_spec(f"{package}.{name}"):
            value = importlib.import_module(f"{package}.{name}")
        else:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        setattr(sys.modules[package], name, value)
        return value

    def list_names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *modules})

    return get_attribute, list_names


def _modules_of_names(package: str) -> dict[str, str]:
    """Returns the module of each name that the stub file of a package imports."""
    stub = ast.parse(pkgutil.get_data(package, "__init__.pyi") or b"")
    return {
        alias.name: statement.module
        for statement in stub.body
        if isinstance(statement, ast.ImportFrom) and statement.module not in (None, package)
        for alias in statement.names
    }


class ImportWithKeras(importlib.abc.MetaPathFinder):
    """Imports a module as soon as Keras is imported.

    Keras finds the classes of a saved model only among those that are imported, and the user may
    import Keras after this package. The import waits until the outermost import of Keras or of a
    module of this package ends: a module that the imported one needs may be importing Keras.

    Args:
        module: full name of the module to import.
    """

    def __init__(self, module: str):
        self.module = module
        self.package = module.partition(".")[0]
        self.imports_under_way = 0

    def find_spec(self, name, path=None, target=None):
        if name != "keras" and not name.startswith(f"{self.package}."):
            return None
        others = [finder for finder in sys.meta_path if finder is not self]
        specs = (finder.find_spec(name, path, target) for finder in others)
        spec = next((spec for spec in specs if spec is not None), None)
        if spec is not None and spec.loader is not None:
            spec.loader.exec_module = self._counted(spec.loader.exec_module)
        return spec

    def _counted(self, execute: Callable[[Any], None]) -> Callable[[Any], None]:
        def exec_module(module) -> None:
            self.imports_under_way += 1
            try:
                execute(module)
            finally:
                self.imports_under_way -= 1
            if not self.imports_under_way and "keras" in sys.modules and self in sys.meta_path:
                sys.meta_path.remove(self)
                importlib.import_module(self.module)

        return exec_module
