# Every target makes .venv and installs what it needs by itself: a fresh machine needs Python 3.11+ and make.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed

.PHONY: demo test adapters test-lowest test-newest test-pythons package site check bench bench-quick mutants torture licences docs clean

demo: $(INSTALLED)            ## the paper's experiment on 10,000 bundled digits
	$(BIN)/oddlens demo --out demo-run --overwrite

test: $(INSTALLED)            ## all tests, a file on each core
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

adapters: $(INSTALLED)        ## the libraries whose data sets and formats are opened; without one, its tests are skipped
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --group adapters --group service

# uv, since pip has no resolution that takes the lowest versions. Each in an environment of its own. With the lowest,
# deprecations are no errors: faiss 1.9 imports numpy by an old name.
test-lowest:                  ## the tests with the lowest versions that pyproject.toml allows; TESTS="tests/test_cli.py" for some
	$(call fresh,lowest,lowest-direct,-W ignore::DeprecationWarning)

test-newest:                  ## the tests with the newest versions there are, whatever constraints.txt says
	$(call fresh,newest,highest)

test-pythons:                 ## the quick tests under every Python that pyproject.toml names and that is to be had
	$(PYTHON) tests/package/pythons.py

package: $(INSTALLED)         ## wheel and sdist in dist/: built, checked, installed where nothing else is, and used
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --group package
	$(BIN)/python tests/package/installed.py

site: $(INSTALLED)            ## the documentation as a site, in docs/_build/html; what Sphinx warns of is an error
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --group docs
	$(BIN)/python docs/make_method_pages.py
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going --builder html docs docs/_build/html

define fresh
	test -x .venv-$(1)/bin/uv || ($(PYTHON) -m venv .venv-$(1) && .venv-$(1)/bin/python -m pip install --quiet uv)
	.venv-$(1)/bin/uv pip install --quiet --python .venv-$(1)/bin/python --upgrade --resolution $(2) \
		--editable '.[evaluate,pandas,review]' --group dev
	.venv-$(1)/bin/python -m pytest $(3) $(TESTS)
endef

check: $(INSTALLED)           ## lint and types
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(INSTALLED)           ## side by side with the peers, in one run
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --group bench
	for name in forest neighbors one_class; do $(BIN)/python benchmarks/$$name.py || exit 1; done

bench-quick: $(INSTALLED)     ## what moved beyond its noise since results were kept, in under three minutes; KEEP=--keep
	$(BIN)/python benchmarks/quick.py $(KEEP)

mutants: $(INSTALLED)         ## what the tests of the core do not notice; FILES="decisions views", SAMPLE=0 for every change
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --group mutants
	$(BIN)/python benchmarks/mutants.py $(if $(SAMPLE),--sample $(SAMPLE)) $(FILES)

MINUTES ?= 60
torture: $(INSTALLED)         ## faults, then damaged inputs to every reader for MINUTES=60; what fails is kept in findings/
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --group torture
	$(BIN)/python tests/torture/faults.py
	$(BIN)/python tests/torture/fuzz.py --minutes $(MINUTES)
	$(BIN)/python tests/torture/fuzz.py --minutes $(MINUTES) --engine atheris

licences: $(INSTALLED)        ## the licences of all that oddlens needs, for docs/dependencies.md
	$(BIN)/python docs/make_licences.py

docs: $(INSTALLED)            ## write docs/reference.md and README's tables of methods anew from the code
	$(BIN)/python docs/make_reference.py

# pip 25.1 is the first that installs a dependency group; constraints.txt holds every version to what was tested.
$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable . --group dev
	touch $(INSTALLED)

clean:
	rm -rf .venv .venv-* dist docs/_build docs/methods findings demo-run oddlens-run
