# Juncture. `make` lists what there is. Needs Go, a C compiler and make; the rest is fetched or built.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
GO_BUILD := CGO_ENABLED=1 go build -trimpath -ldflags "-X main.version=$(VERSION)"
TEST_TIME ?= 12m

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

.PHONY: build
build: ## Build bin/juncture
	$(GO_BUILD) -o bin/juncture ./cmd/juncture

.PHONY: run
run: build ## Start the demo store on 127.0.0.1:8080: console, sign-in and curls are printed
	bin/juncture demo

.PHONY: test
test: check browser axe ## Everything: checks, then all tests under the race detector
	CGO_ENABLED=1 go test -race -timeout $(TEST_TIME) ./...

.PHONY: check
check: ## Formatting, vet, and a go.mod that is in order
	@unformatted=$$(gofmt -l $$(git ls-files '*.go' 2>/dev/null || find . -name '*.go')); \
	  if [ -n "$$unformatted" ]; then echo "not gofmt-ed: $$unformatted"; exit 1; fi
	go vet ./...
	go mod tidy -diff

.PHONY: browser
browser: ## Install Chromium for the console's tests from the system's packages, where it is missing
	@scripts/need-chromium

.PHONY: axe
axe: ## Fetch axe-core, which looks at every page in those tests, where it is missing
	@scripts/need-axe

.PHONY: preview
preview: build ## Every page of the console over canned data, in every state, on 127.0.0.1:8081
	bin/juncture preview

.PHONY: bench
bench: ## Speed: /choose, /reward and /v1/batch as ratios, a million profiles, a refit, and the parts
	CGO_ENABLED=1 go test -run '^$$' -bench '^Benchmark(HTTP|Ingest)$$' -benchtime 1x -timeout 10m ./cmd/juncture
	JUNCTURE_EVALUATE=1 go test -run '^$$' -bench '^Benchmark(MillionProfiles|Refit)$$' -benchtime 1x -timeout 20m ./cmd/juncture ./layers/meaning
	CGO_ENABLED=1 go test -run '^$$' -bench . -benchmem ./policy ./policy/lattice ./engine ./intake ./experiments ./layers/...

.PHONY: bench-report
bench-report: ## Speed of a report on ten million decisions: it writes some gigabytes and takes a quarter of an hour
	JUNCTURE_EVALUATE=1 go test -run '^$$' -bench '^BenchmarkReport$$' -benchtime 5x -timeout 60m ./cmd/juncture

.PHONY: bench-pages
bench-pages: ## Speed of the console's pages at 10,000 intersections, and of a replay: it makes half a million decisions first
	JUNCTURE_EVALUATE=1 go test -run '^$$' -bench '^Benchmark(Pages|Replay)$$' -benchtime 1x -timeout 30m ./cmd/juncture ./engine

FUZZ_TIME ?= 20s
.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZ_TIME (20s each)
	@for pkg in $$(go list ./...); do \
	  for target in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "$$pkg $$target"; go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZ_TIME) -fuzzminimizetime 5x $$pkg; \
	  done; \
	done

.PHONY: screenshots
screenshots: browser ## Pictures of the console's pages, in every state, into ./screenshots, and the README's
	mkdir -p screenshots
	JUNCTURE_SCREENSHOTS=$(CURDIR)/screenshots go test -count=1 -timeout 20m -run Chromium ./console
	JUNCTURE_PICTURE=$(CURDIR)/docs/grid.png go test -count=1 -run DemoInChromium ./cmd/juncture

.PHONY: evaluate-layers
evaluate-layers: ## How well the layers foretell what shoppers do, on the data sets of the replays
	JUNCTURE_EVALUATE=1 go test -count=1 -timeout 60m -run 'Evaluate|Recall|CrossSells|Refit|OnRealData' -v ./layers ./layers/meaning ./layers/catalogue

SEED ?= 101
.PHONY: simulate
simulate: build ## Regret on every kind of simulated store, 200,000 decisions each, as docs/performance.md shows it
	@for kind in usual wide delays drift everything revenue nothing no-structure late; do \
	  bin/juncture simulate --store $$kind --seed $(SEED) --decisions 200000 --policy pooled,global,flat; echo; \
	done

.PHONY: validate
validate: ## The error rates, coverage and power of intervals, and what health checks find, as docs/statistics.md G and H show them; half an hour
	JUNCTURE_VALIDATE=1 go test -count=1 -timeout 60m -v ./experiments/interval -run 'AnytimeValid|Coverage|Power|CookieCats|ASOS'
	JUNCTURE_VALIDATE=1 go test -count=1 -timeout 60m -v ./experiments/health -run Validate

# Where the data sets of the replays lie; they are not part of the project.
DATA ?= ../shared/data
.PHONY: replay
replay: build ## The replays of docs/performance.md, on the data sets in DATA
	bin/juncture replay $(DATA)/hillstrom/hillstrom.csv.gz --arm segment --reward visit --layers moment=newbie,meaning=mens+womens,catalogue=channel
	bin/juncture replay $(DATA)/obd/random_women.csv.gz --arm item_id --reward click --propensity propensity_score --layers moment=position,meaning=user_feature_0+user_feature_1,trajectory=user_feature_2,catalogue=user_feature_3
