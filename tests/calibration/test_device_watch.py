"""What a driver counts for a process, and what others do meanwhile."""

from collections.abc import Sequence

from vram_advisor.calibration.device_watch import DeviceWatch, Usage
from vram_advisor.domain.gpu import GpuProcess, GpuSnapshot
from vram_advisor.units.bytes import GIB, MIB

OURS, THEIRS = 4711, 99


class Driver:
    """Stands in for a driver: one GPU on which processes hold memory."""

    def __init__(self, lists: bool = True) -> None:
        self.held = {THEIRS: 1 * GIB}
        self.lists = lists
        self.power: float | None = 200.0
        self.grows = 0
        """What one process takes between two questions [B]."""

    def look(self) -> Sequence[GpuSnapshot]:
        if self.grows:
            self.held[OURS] += self.grows
        listed = self.held if self.lists else {}
        return [
            GpuSnapshot(
                index=0, name="A card", vendor="NVIDIA", total_bytes=24 * GIB, free_bytes=24 * GIB - self.used,
                used_bytes=self.used, power_w=self.power,
                processes=tuple(GpuProcess(pid, None, nbytes) for pid, nbytes in listed.items()),
            )
        ]  # fmt: skip

    @property
    def used(self) -> int:
        return sum(self.held.values())


def watched(driver: Driver) -> DeviceWatch:
    watch = DeviceWatch(driver.look, interval=1000)
    watch.follow(OURS, 0)
    return watch


def test_the_most_that_is_listed_for_the_process_counts() -> None:
    driver = Driver()
    watch = watched(driver)
    for held in (2 * GIB, 5 * GIB, 3 * GIB):
        driver.held[OURS] = held
        watch.sample()
    assert watch.usage(OURS) == Usage(process_bytes=5 * GIB)


def test_another_process_that_takes_memory_is_noticed_though_it_gives_it_back() -> None:
    driver = Driver()
    watch = watched(driver)
    driver.held[OURS] = 2 * GIB
    for other in (1 * GIB, 4 * GIB, 1 * GIB):
        driver.held[THEIRS] = other
        watch.sample()
    assert watch.usage(OURS).disturbed_bytes == 3 * GIB


def test_memory_that_is_given_back_is_negative() -> None:
    driver = Driver()
    watch = watched(driver)
    driver.held[OURS] = 2 * GIB
    driver.held[THEIRS] = 256 * MIB
    watch.sample()
    assert watch.usage(OURS).disturbed_bytes == -768 * MIB


def test_growth_between_two_questions_is_not_taken_for_another_process() -> None:
    driver = Driver()
    watch = watched(driver)
    driver.held[OURS] = 1 * GIB
    driver.grows = 1 * GIB
    watch.sample()
    assert watch.usage(OURS).disturbed_bytes == 0


def test_where_no_process_is_listed_the_growth_of_the_whole_card_counts() -> None:
    """Containers and WSL."""
    driver = Driver(lists=False)
    watch = watched(driver)
    driver.held[OURS] = 6 * GIB
    watch.sample()
    del driver.held[OURS]
    driver.held[THEIRS] += 512 * MIB
    assert watch.usage(OURS) == Usage(process_bytes=6 * GIB, disturbed_bytes=512 * MIB)


def test_power_is_averaged_over_the_steps() -> None:
    driver = Driver()
    watch = watched(driver)
    for stepping, power in ((False, 50.0), (True, 300.0), (True, 340.0), (False, 60.0)):
        watch.stepping(stepping)
        driver.power = power
        watch.sample()
    assert watch.usage(OURS).watts == 320.0


def test_a_machine_without_a_gpu_says_nothing() -> None:
    with DeviceWatch(list) as watch:
        watch.follow(OURS, 0)
        watch.sample()
        assert watch.usage(OURS) == Usage()


def test_it_looks_by_itself_until_it_is_closed() -> None:
    driver = Driver()
    looks = []

    def look() -> Sequence[GpuSnapshot]:
        looks.append(1)
        return driver.look()

    with DeviceWatch(look, interval=0.01) as watch:
        while len(looks) < 5:
            pass
    count = len(looks)
    assert not watch._thread.is_alive()
    assert len(looks) == count
