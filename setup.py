"""Packages of the wheel: the library, and the programs as wavenet_tf.tools and wavenet_tf.export.

Everything else is in setup.cfg, which cannot add folders to packages that it finds.
"""

from setuptools import find_packages, setup

setup(
    packages=[
        *find_packages(include=["wavenet_tf", "wavenet_tf.*"]),
        "wavenet_tf.tools",
        "wavenet_tf.export",
    ],
    package_dir={"wavenet_tf.tools": "tools", "wavenet_tf.export": "export"},
)
