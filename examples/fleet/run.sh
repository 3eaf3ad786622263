#!/usr/bin/env bash
# Runs three routers with one PostgreSQL database on this machine, reads a task of the first one at the second one, kills
# the first one, and shows that the stream goes on. It needs bash, curl, Python 3 and a database:
#
#   CORTENSOR_STORAGE_URL=postgres://USER:PASSWORD@127.0.0.1/DATABASE examples/fleet/run.sh
set -euo pipefail

: "${CORTENSOR_STORAGE_URL:?the URL of a PostgreSQL database}"
export CORTENSOR_STORAGE_URL
router=${CORTENSOR_ROUTER:-cortensor-router}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
started=()
end() {
    kill "${started[@]}" 2>/dev/null || true
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap end EXIT

# Waits until a file has a line with that beginning, and prints the rest of the line.
line() {
    for _ in $(seq 200); do
        sed -n "s|^$2||p" "$1" | grep -m1 . && return
        sleep 0.1
    done
    echo "nothing came: $(cat "$1")" >&2
    return 1
}

python3 "$here/slow_model.py" >"$work/model" &
started+=($!)
model=$(line "$work/model" '')

for n in 1 2 3; do
    "$router" serve --port 0 --log-format json --set "name=router-$n" --set storage.lease_ms=2000 \
        --upstream "$model" >"$work/router-$n" 2>"$work/log-$n" &
    started+=($!)
    echo "router-$n is process $!"
done
for n in 1 2 3; do
    urls[n]=$(line "$work/router-$n" '' | grep -o 'http://127.0.0.1:[0-9]*' | head -n1)
done

echo; echo "== The three routers, once they are linked"
for _ in $(seq 100); do
    "$router" fleet --url "${urls[2]}" >"$work/fleet"
    [ "$(grep -c ' up .* ms ' "$work/fleet")" -ge 3 ] && ! grep -q ' down ' "$work/fleet" && break
    sleep 0.1
done
cat "$work/fleet"

token='Authorization: Bearer default-dev-token'
task=$(curl -sS "${urls[1]}/api/v1/completions" -H "$token" -H 'content-type: application/json' \
    -d '{"prompt": "Why?", "session_id": 0, "async": true, "stream": true, "on_failure": "restart"}' |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["task_id"])')
echo; echo "== Task $task of router-1, read at router-2"
curl -sSN "${urls[2]}/api/v1/tasks/0/$task/stream" -H "$token" >"$work/stream" &
reading=$!
for _ in $(seq 100); do
    [ "$(grep -c '^id:' "$work/stream")" -ge 3 ] && break
    sleep 0.1
done
echo "router-1 is killed"
kill -9 "${started[1]}"
wait "$reading"
cat "$work/stream"
echo; echo "== The task, as router-3 has it"
"$router" tasks show 0 "$task" --url "${urls[3]}"
