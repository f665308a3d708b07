"""Train every network of the protocol anew: python -m analysis.training.all_runs

One run per core, each with one thread: on two cores that is quicker than one run with two.
"""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from analysis.training import data

COMPARED = ("plain_network", "labels_alone")  # which the evaluation prints beside ours: never released


def planned() -> list[tuple[str, str, int]]:
    """(network, fold, seed) of each run; what is released first."""
    held_out, seeds = data.protocol()["held_out"], data.protocol()["seeds"]
    of_folds = [(network, fold, seed) for fold in data.folds() for network in seeds for seed in seeds[network]]
    (release,) = (fold for fold in held_out if fold not in data.folds())
    of_release = [(network, release, seeds[network][0]) for network in seeds if network not in COMPARED]
    # Not released: their slices that no lung U-Net learnt from tell how much one differs from the next
    others = [("lung_unet", release, seed) for seed in seeds["lung_unet"][1:]]
    return of_release + others + of_folds


def train(run: tuple[str, str, int]) -> None:
    network, fold, seed = run
    command = [sys.executable, "-m", f"analysis.training.{network}", "--fold", fold, "--seed", str(seed)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    with (data.RUNS / f"{network}-{fold}-{seed}.log").open("w") as log:
        finished = subprocess.run(command, cwd=data.ROOT, env=environment, stdout=log, stderr=log, check=False)
    outcome = f"failed, see {log.name}" if finished.returncode else "done"
    print(f"{network} {fold} seed {seed}: {outcome}", flush=True)
    finished.check_returncode()


def main() -> None:
    data.RUNS.mkdir(exist_ok=True)
    data.phantoms()  # made once, before the runs that share them
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for network in data.protocol()["seeds"]:  # each uses the fold's networks before it
            list(pool.map(train, [run for run in planned() if run[0] == network]))


if __name__ == "__main__":
    main()
