"""Results as a run would make them."""

from ..metrics import Against, Group, Metric, at_least, at_most
from ..results import Entry, Results

BULK = Group("Bulk <TCP>", "iperf3 & friends.")
SIZES = Group("Loss-free rate", "A search.", x_label="frame size")
TCP = Metric(BULK, "TCP, 1 stream", "Gbit/s", goals=(at_least(0.85), at_least(3, Against.USER_SPACE)))
IDLE = Metric(BULK, "idle CPU", "%", is_rate=False, goals=(at_most(0.5, Against.NOTHING),))
RATES = [Metric(SIZES, f"{size} bytes", "kpps", x=size) for size in (64, 1518)]


def sample() -> Results:
    entries = [Entry("kernel bridge", False), Entry("Martlet", False), Entry("vde_switch", True, "2.3", ("slow",))]
    results = Results("l2", "two <hosts>", 3, 1.0, {"kernel": "6.18 & more"}, entries)
    for turn, (bridge, martlet, vde) in enumerate([(20, 19, 1), (10, 10, 0.5), (30, 24, 1)]):
        results.record(turn, "kernel bridge", {TCP: bridge, RATES[0]: 100, RATES[1]: 90})
        results.record(turn, "Martlet", {TCP: martlet, IDLE: 0.1 * turn, RATES[0]: 150, RATES[1]: 120})
        results.record(turn, "vde_switch", {TCP: vde})
    results.leave_out("vde_switch", "Loss-free rate", "it <ended>", for_good=True)
    return results
