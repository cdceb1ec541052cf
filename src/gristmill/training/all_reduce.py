"""Task 0a: how long an all-reduce takes, by the size of what is reduced."""

from time import perf_counter

from gristmill.training.ranks import arguments_of, place_of
from gristmill.training.ring import Ring
from gristmill.training.tracker import Tracker
from gristmill.training.vectors import filled

SIZES = 80
REPEATS = 100
MOST_NUMBERS = 2_000_000
"""Numbers reduced at one size, over all its repeats: the largest sizes are repeated less."""

CHECKED = (1, 10, 1_000, 10_000)
DOUBLE_BITS = 64


def main() -> int:
    """Run the task; return the exit code."""
    parser = arguments_of(__doc__ or "")
    parser.add_argument("--check", action="store_true", help="a few sizes: does it work at all?")
    parser.add_argument("--largest", type=float, default=1e6, help="numbers of the largest vector")
    options = parser.parse_args()
    place = place_of()
    tracker = Tracker(options.run_id, place)
    with Ring(place) as ring:
        for size in CHECKED if options.check else sizes(options.largest):
            seconds = measure(ring, size, repeats_of(size))
            if place.rank == 0:
                print(f"{size} numbers: {seconds * 1e6:.1f} µs", flush=True)
                tracker.point("val_tensor_size", size)
                tracker.point("val_dtype", DOUBLE_BITS)
                tracker.point("val_cuda", 0)
                tracker.point("val_avg_time", seconds)
        ring.barrier()
    tracker.post()
    if place.rank == 0:
        print(f"All-reduce over {place.size} ranks works", flush=True)
    return 0


def sizes(largest: float) -> list[int]:
    """Return the sizes from 1 to the largest, in even steps of their logarithm."""
    return [round(largest ** (number / (SIZES - 1))) for number in range(SIZES)]


def repeats_of(size: int) -> int:
    """Return how often a size is reduced."""
    return max(1, min(REPEATS, MOST_NUMBERS // size))


def measure(ring: Ring, size: int, repeats: int) -> float:
    """Return the mean seconds of an all-reduce. Raises ArithmeticError if a sum is wrong."""
    place = ring.place
    values = filled(size, place.rank + 1.0)
    expected = place.size * (place.size + 1) / 2
    ring.barrier()
    began = perf_counter()
    for _ in range(repeats):
        total = ring.sum(values)
    seconds = (perf_counter() - began) / repeats
    if len(total) != size or total[0] != expected or total[-1] != expected:
        raise ArithmeticError(f"rank {place.rank}: {total[0]} is not {expected}")
    return seconds


if __name__ == "__main__":
    raise SystemExit(main())
