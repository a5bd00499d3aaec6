# `make demo` and `make test` work on a fresh checkout with Python 3.11 or newer; everything is installed in .venv.

PIP := .venv/bin/python -m pip --quiet --disable-pip-version-check
COMPILE := .venv/bin/uv pip compile pyproject.toml --group build --universal --generate-hashes \
	--python-version 3.11 --fork-strategy fewest --no-emit-index-url --quiet --custom-compile-command "make lock"

.PHONY: demo wheel test test-all chaos lint lock pin vendor bench clean

demo: $(if $(wildcard .venv/.dev),.venv/.dev,.venv/.demo)
	.venv/bin/clipzy demo

# What a machine without a checkout is set up from, see docs/deploy.md.
DIST := dist

wheel: $(if $(wildcard .venv/.dev),.venv/.dev,.venv/.demo)
	.venv/bin/hatchling build --target wheel --directory "$(DIST)"

# Three processes, also on two cores: most tests wait for other processes.
test: .venv/.dev
	.venv/bin/pytest -n 3 --dist loadfile -m "not long"

test-all: .venv/.dev
	.venv/bin/pytest -n 3 --dist loadfile

# For example `make chaos SECONDS=600 SEED=7 STORAGE=local`; default: 600 s, a new seed, and both storages in turn.
chaos: .venv/.dev
	.venv/bin/python -m tests.chaos $(if $(SECONDS),--seconds $(SECONDS)) $(if $(SEED),--seed $(SEED)) \
		$(if $(STORAGE),--storage $(STORAGE))

lint: .venv/.dev
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/lint-imports

lock: .venv/.dev
	$(COMPILE) --extra dev --output-file requirements/dev.txt
	$(COMPILE) --extra embedded --constraint requirements/dev.txt --output-file requirements/demo.txt
	$(COMPILE) --constraint requirements/dev.txt --output-file requirements/base.txt
	$(COMPILE) --extra flower --constraint requirements/dev.txt --output-file requirements/flower.txt

# Writes the digests that the images have in their registry now into compose.yaml and the Dockerfile. Needs docker.
pin:
	@compose/pin.sh

# The viewer of the page at /docs, as published; git then shows whether anything has changed. Needs npm.
SWAGGER_UI := 5.35.0
VENDORED := swagger-ui-bundle.js swagger-ui-bundle.js.LICENSE.txt swagger-ui.css LICENSE NOTICE

vendor:
	@dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && \
	npm pack --silent --pack-destination "$$dir" swagger-ui-dist@$(SWAGGER_UI) && \
	tar -xzf "$$dir"/*.tgz --strip-components=1 --no-same-owner --directory clipzy_api/static/swagger-ui \
		$(VENDORED:%=package/%) && \
	cd clipzy_api/static/swagger-ui && sha256sum $(VENDORED) > SHA256SUMS && cat SHA256SUMS

bench: .venv/.dev
	.venv/bin/python -m bench

clean:
	rm -rf .venv dist .demo .hypothesis .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

# Each stamp names the set that is in .venv; .dev includes .demo.
.venv/.demo .venv/.dev: .venv/.%: requirements/%.txt pyproject.toml | .venv/bin/python
	$(PIP) install --require-hashes --requirement $<
	$(PIP) install --no-deps --no-build-isolation --editable .
	touch $@

.venv/bin/python:
	@python=$$(for python in $(or $(PYTHON),python3.13 python3.12 python3.11 python3); do \
		"$$python" -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$python" && break; \
	done); \
	test -n "$$python" || { echo "Python 3.11 or newer with venv is needed. Install it (on Debian: python3-venv)," \
		"or name it: make PYTHON=/path/to/python3.12" >&2; exit 1; }; \
	echo "Setting up .venv with $$python (once)"; "$$python" -m venv .venv
