"""Figures of runs as text and as data: medians with their range, and whether targets are met."""
import statistics

from tests.bench.row import FIGURES

WIDTH = 120


def median(runs, figure):
    return statistics.median(run[figure] for run in runs)


def show_figure(runs, figure):
    label, form = FIGURES[figure]
    values = [run[figure] for run in runs]
    text = f"{label} {statistics.median(values):{form}}"
    return text if len(values) == 1 else f"{text} [{min(values):{form}}..{max(values):{form}}]"


def verdicts(targets, runs):
    """Each target with the median it is held against."""
    return [{"figure": t.figure, "target": f"{t.sign} {t.limit:g}", "median": median(runs, t.figure), "met": t.met(median(runs, t.figure))}
            for t in targets]


def show(row, targets, runs):
    """Print one row."""
    print(f"{row.name}: {row.what}")
    line = "   "
    for text in (show_figure(runs, figure) for figure in FIGURES if figure in runs[0]):
        if len(line) + len(text) > WIDTH:
            print(line)
            line = "   "
        line += " " + text + "  "
    print(line.rstrip())
    for v in verdicts(targets, runs):
        label, form = FIGURES[v["figure"]]
        print(f"    target {label} {v['target']}: {v['median']:{form}}, {'met' if v['met'] else 'NOT MET'}")
    print(flush=True)
