"""compile: make the compiled kernels now instead of with the first question."""

from __future__ import annotations

from nuanalysis.cli._face import JsonFlag, answer, say


def compile_kernels(json: JsonFlag = False) -> None:
    """Compile every kernel once; 'make env' does so, after 'pip install' it is up to you."""
    from nuanalysis.library.kernels import compile_kernels as work

    seconds = work(say)
    answer({"seconds": seconds}, as_json=json, text=f"kernels ready after {seconds:.1f} s")
