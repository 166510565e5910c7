"""Native extensions, which setuptools builds only here; everything else is in pyproject.toml."""

from setuptools import setup

setup(
    cffi_modules=[
        "hotpath/ingest/build_srt.py:ffibuilder",
        "hotpath/fanout/build_kernel.py:ffibuilder",
    ]
)
