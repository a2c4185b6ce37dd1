"""Packages of the wheel: the library, and the programs as wavenet_tf.tools and wavenet_tf.export.

libwavenet is built where a C compiler is; without one, everything but `wavenet_tf.native` works.
Everything else is in setup.cfg, which cannot add folders to packages that it finds.
"""

from pathlib import Path

from setuptools import Extension, find_packages, setup

SOURCES = Path("wavenet_tf", "native", "src")
LIBWAVENET = Extension(
    "wavenet_tf.native._libwavenet",
    sources=sorted(map(str, SOURCES.glob("*.c"))),
    depends=sorted(map(str, SOURCES.glob("*.h"))),
    extra_compile_args=["-O3", "-g0", "-std=gnu99"],
    optional=True,
)

setup(
    packages=[
        *find_packages(include=["wavenet_tf", "wavenet_tf.*"]),
        "wavenet_tf.tools",
        "wavenet_tf.export",
    ],
    ext_modules=[LIBWAVENET] if LIBWAVENET.sources else [],
    package_dir={"wavenet_tf.tools": "tools", "wavenet_tf.export": "export"},
)
