#!/usr/bin/env python3
"""What a kill costs, as the client's host sees it: resume.py BENCH_DIR WORKLOAD REPEATS COMMAND JSON

Runs COMMAND (a template as the harness's README tells) once to its end, and then REPEATS times with a kill -9 at half
of the bytes and the same command again. Writes, for each, the bytes that the client's interface received up to the kill
and from the second start on, over those of the run without a kill: what was on its way at the kill reached nobody. What
lay in the system's receive buffers did, and counts."""
import json
import sys
import time

bench, workload, repeats, command, report = sys.argv[1], sys.argv[2], int(sys.argv[3]), *sys.argv[4:6]
sys.path.insert(0, bench)
import benchlib as lib  # noqa: E402

LINK = "wan"
lib.OWN["cmd"] = command
counters = lib.Counters(lib.CLIENT)


def received():
    return counters.read(LINK)["rx"]


def begin():
    context = lib.Ctx(workload, LINK)
    context.fresh()
    context.lists()
    return context


def run(context, until=None):
    """Runs the command, until so many bytes came if that is said; how many came, and its exit code."""
    before = received()
    process = lib.Proc(context, lib.PEERS["own"](context))
    while until and process.p.poll() is None and received() - before < until:
        time.sleep(0.001)
    if until:
        process.kill9()
    came = received() - before
    code = process.wait(300)["rc"]
    return (came if until else received() - before), code


plain, _ = run(begin())
runs = []
for _ in range(repeats):
    context = begin()
    first, _ = run(context, until=plain // 2)
    time.sleep(1)
    second, code = run(context)
    tree = lib.verify(context.out, context.files)
    runs.append(dict(kind="resume", peer="own", received=(first + second) / plain, rc=code, tree=tree,
                     nfiles=len(context.files)))
    print(f"{workload} received {runs[-1]['received']:.4f} of a plain run, {first / plain:.3f} before the kill; "
          f"rc {code}, tree {tree}", flush=True)
with open(report, "w") as file:
    json.dump(runs, file)
