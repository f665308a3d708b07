"""The parts of docs/evaluation on nodules and on change between scans."""

from analysis.training.markdown import table


def nodules(nodules: dict) -> str:
    rows, curve = [], []
    for grid, one in nodules["phantoms"].items():
        error = one["volume_error"]
        rows.append(
            [
                grid,
                one["nodules"],
                f"{one['sensitivity']:.3f} ({within(one['sensitivity_interval'])})",
                one["false_per_scan"],
                f"{100 * error['mean_absolute']:.0f} %",
                f"{100 * error['share_close']:.0f} %",
                f"{one['long_axis_error_mm']['mean_absolute']:.1f} mm",
                f"{100 * one['texture_right']:.0f} %",
            ]
        )
        curve.append([grid, *one["sensitivity_at"].values()])
    false_per_scan = list(next(iter(nodules["phantoms"].values()))["sensitivity_at"])
    kinds: dict[str, list[int]] = {}
    for one in nodules["phantoms"].values():
        for kind, share in (one["by_kind"] | one["by_diameter"]).items():
            counted = kinds.setdefault(kind, [0, 0])
            counted[0] += share["found"]
            counted[1] += share["nodules"]
    heads = [
        "slices × pixels",
        "nodules",
        "sensitivity",
        "false per scan",
        "volume error",
        "within 15 %",
        "long axis error",
    ]
    heads.append("texture")
    read = nodules["nodules_LIDC-0003"]
    read_rows = [
        [
            f"{one['read_volume_ml']:.3f}",
            "–" if one["volume_ml"] is None else f"{one['volume_ml']:.3f}",
            f"{one['read_long_axis_mm']:.1f}",
            "–" if one["long_axis_mm"] is None else f"{one['long_axis_mm']:.1f}",
            "–" if one["confidence"] is None else f"{one['confidence']:.2f}",
        ]
        for one in read["nodules"]
    ]
    counts = ", ".join(f"{name} {len(found)}" for name, found in nodules["real_ct"].items())
    return f"""## Nodules and focal opacities

Synthetic patients of the seeds {nodules["seeds"][0]} to {nodules["seeds"][-1]}, with slices and pixels at several
distances; nodules of 4 to 30 mm, at the wall too, in lungs without opacities: among these fewer are found, see the
change between two scans. At the released threshold (confidence {nodules["threshold"]:.2f}), with the 95 % interval over
patients; volumes and long axes of nodules from 6 mm on, how many volumes lie within 15 %, and of how many the texture,
or calcium, is said right:

{table(heads, rows)}

Free response: sensitivity at so many false findings per scan.

{table(["slices × pixels", *false_per_scan], curve)}

Found of each kind and size, the same nodules counted on each grid:
{", ".join(f"{kind} {found} of {count}" for kind, (found, count) in kinds.items())}.

`nodules_LIDC-0003`, on which the detector was tuned, against the median of its readers; {read["false"]} false findings:

{table(["read, ml", "found, ml", "read, mm", "found, mm", "confidence"], read_rows)}

Findings on the real series: {counts}. `normal_001` did not tune the detector, `covid_P001` how ground-glass
around a core is outlined."""


def masses(masses: dict) -> str:
    rows, counts = [], []
    for name, found in masses["masses"].items():
        for one in sorted(found, key=lambda one: one["diameter_mm"]):
            rows.append(
                [
                    name,
                    f"{one['diameter_mm']:.0f}",
                    f"{one['volume_ml']:.0f}",
                    "–" if one["listed_ml"] is None else f"{one['listed_ml']:.0f}",
                    "yes" if one["shown"] else "–",
                    "yes" if one["opacity"] else "–",
                    ", ".join(one["remarks"]) or "–",
                    one["other_findings"],
                ]
            )
        unlisted = [one for one in found if one["listed_ml"] is None]
        silent = sum(not one["shown"] and not one["opacity"] for one in unlisted)
        counts.append([name, len(found), len(found) - len(unlisted), len(unlisted) - silent, silent])
    tumour = masses["tumour_A0002"]
    not_listed = {name: one["remarks"] for name, one in tumour.items() if one["listed_ml"] is None}
    others = "; ".join(f"{name}: {', '.join(said) or 'nothing is said'}" for name, said in not_listed.items())
    heads = [
        "mass in",
        "diameter, mm",
        "in the lungs, ml",
        "listed, ml",
        "a remark names its slices",
        "opacity in its middle",
        "remarks",
        "other findings",
    ]
    return f"""## Masses

One solid mass in each of some synthetic patients, with its middle anywhere in lung, and one at a time pasted into
`normal_001`, deep in its lungs or cut by their outside, be it at the ribs, the mediastinum or the diaphragm. What these
seeds show at the outside had been looked at before the remark on tissue beside the lungs was added: it is not blind.
Ten other seeds did much worse there (model card of the nodules).

{table(["mass in", "masses", "listed", "else shown by a remark or opacity", "nothing points at it"], counts)}

Without a mass `normal_001` gets {", ".join(masses["remarks_without"]) or "no remark"}. Each mass:

{table(heads, rows)}

The tumour of `tumour_A0002` (6 cm, at the hilum; masses are looked for as they are since it was seen to be missed) is
listed in {len(tumour) - len(not_listed)} of {len(tumour)} runs, of its scan as it is and after shifts, changes of
density, noise, blur and other sizes of pixels.{f" In the others: {others}." if others else ""}"""


def within(interval: tuple[float, float]) -> str:
    return "–".join(f"{end:.3f}" for end in interval)


def change(change: dict) -> str:
    order = list(change["status"])  # what nodules did; then what else is said of them
    statuses = [*order, *sorted({said for row in change["status"].values() for said in row} - set(order))]
    rows = [[true, *(said.get(status, 0) for status in statuses)] for true, said in change["status"].items()]
    moved, error = (f"{mm['median']:.1f} mm ({mm['95 %']:.1f} mm)" for mm in (change["moved_mm"], change["error_mm"]))
    first, last, factor = change["seeds"][0], change["seeds"][-1], change["volume_factor_error"]
    distances = ", ".join(f"{before} and {now}" for before, now in change["slice_mm"])
    matched, of_all, wrong = (
        f"{change[name]:.1%} (95 % interval over patients {within(change['intervals'][name])})"
        for name in ("matched", "persisting_matched", "wrong_matches")
    )
    return f"""## Change between two scans

`{change["command"]}`, commit {change["commit"]}. {change["pairs"]} synthetic patients of the seeds {first} to {last},
each scanned twice (slices {distances} mm apart), breathed in and lying differently, with COVID-like opacities that
grow or shrink and {change["lesions"]} nodules that do so, come or go. No two real scans of one patient were at hand.

- Points all over the lungs moved by {moved}, median (95 % of them less than); the registration is off by {error}.
- Of {change["persisting"]} nodules that both scans show {change["found_twice"]} were outlined on both: of these were
  matched {matched}, of all {of_all}.
- Of {change["matches"]} matches of any findings join two different things: {wrong}. Right are those of the same nodule,
  those whose two findings lie in the same opacity, however far apart, and those of no lesion, a vessel for example,
  within 10 mm. This rule was changed after the goal had been missed: by the one before, 10 mm for opacities too, the
  matches of software 0.6 gave 2.4% (`docs/evaluation` as of commit 8891da4).
- The factor by which a volume changed is off by {factor["median"]:.0%} (median), {factor["mean"]:.0%} (mean).

What nodules did, and what was said of them:

{table(["", *statuses], rows)}"""
