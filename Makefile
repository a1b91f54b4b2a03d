# Every target makes .venv and installs what it needs by itself: a fresh machine needs Python 3.11+ and make.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed

.PHONY: demo test check bench mutants docs clean

demo: $(INSTALLED)            ## the paper's experiment on 10,000 bundled digits
	$(BIN)/oddlens demo --out demo-run --overwrite

test: $(INSTALLED)            ## all tests
	$(BIN)/python -m pytest

check: $(INSTALLED)           ## lint and types
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(INSTALLED)           ## side by side with the peers, in one run
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --group bench
	for name in forest neighbors one_class; do $(BIN)/python benchmarks/$$name.py || exit 1; done

mutants: $(INSTALLED)         ## what the tests of the core do not notice; FILES="decisions views", SAMPLE=0 for every change
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --group mutants
	$(BIN)/python benchmarks/mutants.py $(if $(SAMPLE),--sample $(SAMPLE)) $(FILES)

docs: $(INSTALLED)            ## write docs/reference.md and README's tables of methods anew from the code
	$(BIN)/python docs/make_reference.py

# pip 25.1 is the first that installs a dependency group; constraints.txt holds every version to what was tested.
$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable . --group dev
	touch $(INSTALLED)

clean:
	rm -rf .venv demo-run oddlens-run
