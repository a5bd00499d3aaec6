# `make demo`, `make up` and `make test` work on a fresh checkout with Python 3.11 or newer; everything is installed in .venv.

PIP := .venv/bin/python -m pip --quiet --disable-pip-version-check
COMPILE := .venv/bin/uv pip compile pyproject.toml --group build --universal --generate-hashes \
	--python-version 3.11 --fork-strategy fewest --no-emit-index-url --quiet --custom-compile-command "make lock"

.PHONY: demo up wheel release docs test test-all chaos lint lock pin vendor screenshots bench clean

demo: $(if $(wildcard .venv/.dev),.venv/.dev,.venv/.demo)
	.venv/bin/clipzy demo

# The whole service, with its web page, until Ctrl-C; settings come from the environment and from .env.
up: $(if $(wildcard .venv/.dev),.venv/.dev,.venv/.demo)
	.venv/bin/clipzy up

# What a machine without a checkout is set up from, see docs/deploy.md.
DIST := dist

wheel: $(if $(wildcard .venv/.dev),.venv/.dev,.venv/.demo)
	.venv/bin/hatchling build --target wheel --directory "$(DIST)"

# What is published: `dist` with wheel, sdist and their digests, built twice and tried out. CONTRIBUTING.md explains it.
release: .venv/.dev
	@.ci/release "$(DIST)"

# The documents as a site, which asks no other server. A broken link, or a page outside of the navigation, ends it.
SITE := site

docs: .venv/.dev
	NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --strict --site-dir "$(SITE)"

# Six processes, also on two cores: most tests wait for other processes. In the order of their names, since otherwise
# the files with the fewest tests, which take longest, come last.
PYTEST := .venv/bin/pytest -n 6 --dist loadfile --no-loadscope-reorder

test: .venv/.dev
	$(PYTEST) -m "not long"

test-all: .venv/.dev
	$(PYTEST)

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

# The viewers of the page at /docs and of diagrams in the site, as published; git then shows whether anything has
# changed. Needs npm.
SWAGGER_UI := 5.35.0
MERMAID := 11.17.2
MERMAID_DIR := website/theme/assets/mermaid
VENDORED := swagger-ui-bundle.js swagger-ui-bundle.js.LICENSE.txt swagger-ui.css LICENSE NOTICE

# The libraries of the page at /, and the licences of what they contain: package@version:file:name here.
PAGE_LIBRARIES := \
	htm@3.1.1:preact/standalone.module.js:htm-preact.js \
	htm@3.1.1:LICENSE:htm-preact.LICENSE-htm.txt \
	preact@10.5.15:LICENSE:htm-preact.LICENSE-preact.txt \
	uplot@1.6.32:dist/uPlot.iife.min.js:uPlot.iife.min.js \
	uplot@1.6.32:dist/uPlot.min.css:uPlot.min.css \
	uplot@1.6.32:LICENSE:uPlot.LICENSE.txt \
	tus-js-client@4.3.1:dist/tus.min.js:tus.min.js \
	tus-js-client@4.3.1:LICENSE:tus.LICENSE.txt \
	js-base64@3.7.8:LICENSE.md:tus.LICENSE-js-base64.txt \
	url-parse@1.5.10:LICENSE:tus.LICENSE-url-parse.txt \
	querystringify@2.2.0:LICENSE:tus.LICENSE-querystringify.txt \
	requires-port@1.0.0:LICENSE:tus.LICENSE-requires-port.txt

vendor:
	@dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && \
	npm pack --silent --pack-destination "$$dir" swagger-ui-dist@$(SWAGGER_UI) && \
	tar -xzf "$$dir"/swagger-ui-dist-*.tgz --strip-components=1 --no-same-owner --directory clipzy_api/static/swagger-ui \
		$(VENDORED:%=package/%) && \
	(cd clipzy_api/static/swagger-ui && sha256sum $(VENDORED) > SHA256SUMS && cat SHA256SUMS) && \
	npm pack --silent --pack-destination "$$dir" @mermaid-js/tiny@$(MERMAID) && \
	tar -xzf "$$dir"/mermaid-js-tiny-*.tgz --strip-components=1 --no-same-owner --directory "$$dir" && \
	cp "$$dir/dist/mermaid.tiny.js" "$$dir/LICENSE" $(MERMAID_DIR) && \
	cd $(MERMAID_DIR) && sha256sum LICENSE mermaid.tiny.js > SHA256SUMS && cat SHA256SUMS
	@set -e; dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; cd clipzy_api/static/vendor; \
	for entry in $(PAGE_LIBRARIES); do \
		package=$${entry%%:*} rest=$${entry#*:}; \
		archive=$$(npm pack --silent --pack-destination "$$dir" "$$package"); \
		tar -xzOf "$$dir/$$archive" "package/$${rest%%:*}" > "$${rest#*:}"; \
	done; \
	LC_ALL=C; export LC_ALL; sha256sum *.js *.css *.txt > SHA256SUMS; cat SHA256SUMS

# The pictures of the web page in docs/page.md and the README. Needs chromium.
screenshots: .venv/.dev
	.venv/bin/python -m tests.page.screenshots docs/screenshots

bench: .venv/.dev
	.venv/bin/python -m bench

clean:
	rm -rf .venv dist site .demo .hypothesis .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

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
