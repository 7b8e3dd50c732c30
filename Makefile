# `make run` and `make test` do everything, from a fresh clone on.

SHELL := /bin/sh
BIN := .venv/bin
SPEC ?= specs/default.toml

# Packages are compiled on first use. Where byte code may not be kept, every process would do that again (5 s of CPU each).
unexport PYTHONDONTWRITEBYTECODE

# PYTHON=... picks the interpreter; without it the first of these that is 3.11 to 3.14 makes the environment.
define ENVIRONMENT
if [ -n "$$PYTHON" ]; then set -- "$$PYTHON"; else set -- python3 python3.11 python3.12 python3.13 python; fi; \
for python in "$$@"; do \
  if "$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' >/dev/null 2>&1; then \
    exec "$$python" tools/environment.py $(1); \
  fi; \
done; \
echo "No Python from 3.11 to 3.14 found (tried: $$*). Install one, or name it: make PYTHON=/path/to/python3 ..." >&2; exit 1
endef

.PHONY: help env run test slow lab docs bench fuzz validate lock clean

help:
	@echo 'make run       environment from the lock, then the main job: $(SPEC) to release and report (SPEC=... for another)'
	@echo 'make test      environment, lint, types, import floors, notebooks, and the tests that are not slow'
	@echo 'make slow      the tests that are slow: whole chains, many trials, notebooks, the documentation as a site'
	@echo 'make lab       JupyterLab on the notebooks'
	@echo 'make docs      the documentation as a site, into build/docs; needs no network once the environment is there'
	@echo 'make bench     speed and memory beside references, into docs/benchmarks.md; some minutes'
	@echo 'make fuzz      damaged files of every kind, 600 for each reader (NUANALYSIS_FUZZ=N, NUANALYSIS_FUZZ_SEED=S)'
	@echo 'make validate  slow comparisons with independent programs and published numbers; kills, a closed container'
	@echo 'make env       the environment alone;  PYTHON=... picks the interpreter'
	@echo 'make lock      the locks anew from pyproject.toml, versions kept where possible (needs uv)'
	@echo 'make clean     remove the environment and all caches; runs/ is kept'

env:
	@$(call ENVIRONMENT)
	@$(MAKE) --no-print-directory -s build/kernels

# Compiled code lies beside the sources; without this the first question would wait for it.
build/kernels: $(wildcard src/nuanalysis/*/_kernels.py)
	@$(BIN)/nuanalysis compile && touch $@

run: env
	@$(BIN)/nuanalysis run $(SPEC)

test: env
	@$(call ENVIRONMENT,--learn --docs --browser)
	@echo '== ruff'
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .
	@echo '== mypy'
	@$(BIN)/mypy --no-error-summary
	@echo '== import floors'
	@$(BIN)/lint-imports --no-logo >build/floors.log 2>&1 || { cat build/floors.log; exit 1; }
	@echo '== notebooks'
	@$(BIN)/nuanalysis notebooks check
	@echo '== pytest'
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile -m 'not slow'

slow: env
	@$(call ENVIRONMENT,--lab --learn --docs --browser)
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile -m slow

lab: env
	@$(call ENVIRONMENT,--lab)
	@$(BIN)/jupyter lab --notebook-dir=notebooks

docs: env
	@$(call ENVIRONMENT,--docs)
	@$(BIN)/python -m sphinx -q -W --keep-going -d build/doctrees docs build/docs && echo 'open build/docs/index.html'

bench: env
	@$(BIN)/python benchmarks/run.py --docs docs

fuzz: env
	@NUANALYSIS_FUZZ=$${NUANALYSIS_FUZZ:-600} $(BIN)/python -m pytest -q -n 2 tests/test_fuzz.py

validate: env
	@$(call ENVIRONMENT,--lab --browser)
	@$(BIN)/python -m pytest validation -q

COMPILE = PATH="$$PATH:build/uv/bin" uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-header --no-annotate --no-emit-index-url
lock: env
	$(COMPILE) pyproject.toml --extra test -o requirements.lock
	$(COMPILE) pyproject.toml --extra test --extra lab -c requirements.lock -o requirements-lab.lock
	$(COMPILE) pyproject.toml --extra test --extra learn -c requirements.lock -o requirements-learn.lock
	$(COMPILE) pyproject.toml --extra test --extra docs -c requirements-lab.lock -o requirements-docs.lock
	$(COMPILE) pyproject.toml --extra test --extra browser -c requirements-docs.lock -o requirements-browser.lock
	$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], "editables", sep="\n")' \
	  >build/build.in
	$(COMPILE) build/build.in -c requirements.lock -o tools/build.lock
	echo uv >build/bootstrap.in
	$(COMPILE) build/bootstrap.in -o tools/bootstrap.lock

clean:
	rm -rf .venv build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find src tests benchmarks validation -name __pycache__ -prune -exec rm -rf {} +
