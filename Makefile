# `make demo` runs the demo, `make test` runs the tests; both set up .venv first.
PYTHON ?= python3
VENV := .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
# Some libraries read their files in the locale's encoding, which may be ASCII.
export PYTHONUTF8 := 1

.PHONY: setup demo demo-3d test lint docs lock bench clean

setup: $(VENV)/ready

$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,slurm,cluster-generic,export]'
	touch $@

demo: setup
	snakemake --cores all
	@echo "The report: $(CURDIR)/results/demo/report.html"

demo-3d: setup
	snakemake --cores all --configfile config/examples/demo-3d.yaml
	@echo "The report: $(CURDIR)/results/demo-3d/report.html"

# Three workers for two cores, with one compute thread each: a third of the time, they wait for other programs.
test: setup
	pytest --numprocesses 3 --dist loadscope --no-loadscope-reorder

lint: docs
	ruff check .
	ruff format --check .
	lint-imports
	snakefmt --check -l 120 Snakefile workflow
	snakemake --lint

# All pages are built anew, so that warnings such as dead links are errors each time.
docs: setup
	sphinx-build --quiet --fresh-env --fail-on-warning --keep-going --conf-dir docs . site
	@echo "The documentation: $(CURDIR)/site/index.html"

# Lock files with SHA-256: torch.lock for torch and its CUDA libraries, requirements.lock for all other packages.
LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --constraint constraints.txt \
	--custom-compile-command 'make lock' --no-emit-package colorama --no-emit-package pyreadline3
CUDA := 's/^\(torch\|triton\|nvidia[^=]*\|cuda[^=]*\)==.*/--no-emit-package \1/p'

lock: setup
	pip install --quiet --disable-pip-version-check --constraint constraints.txt uv
	echo torch | $(LOCK) --output-file torch.lock -
	$(LOCK) --extra slurm --extra cluster-generic --extra parquet $$(sed -n $(CUDA) torch.lock) \
		--output-file requirements.lock pyproject.toml

bench: setup
	pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[bench]'
	cd benchmarks && for script in weights deform training inference instances metrics memory intervals scale scale_plan accuracy_isbi; do python $$script.py; done

clean:
	rm -rf results logs site .snakemake
