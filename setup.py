"""Native extensions; everything else is in pyproject.toml (setuptools builds cffi modules only here)."""

from setuptools import setup

setup(
    cffi_modules=[
        "hotpath/ingest/build_srt.py:ffibuilder",
        "hotpath/fanout/build_kernel.py:ffibuilder",
    ]
)
