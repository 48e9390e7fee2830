#!/usr/bin/env bash
# A site with the jobs of job-archive-demo.tar in the current directory, at http://localhost:8080, login demo/demo.
# Without that file `make demo` is the better demonstration: it has live data.
set -euo pipefail

software=$(cd "$(dirname "$0")" && pwd)
server=$software/.venv/bin/ccserver

if [ ! -d var ]; then
    [ -x "$server" ] || make -C "$software" setup
    if [ ! -f job-archive-demo.tar ]; then
        echo "job-archive-demo.tar is missing; put the archive here, or run: make demo" >&2
        exit 1
    fi
    "$server" -init
    tar -xf job-archive-demo.tar -C var
    "$server" -init-db -add-user demo:admin,api:demo
fi
exec "$server" -server -dev -loglevel info
