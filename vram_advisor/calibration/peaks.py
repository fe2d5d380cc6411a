"""The largest value of each phase, while a run passes its borders."""

from vram_advisor.calibration.phases import by_phase


class Peaks:
    """Peaks by border."""

    def __init__(self) -> None:
        self.most = 0
        """Largest since the beginning, whatever was forgotten [B]."""
        self._by_border: dict[str, int] = {}
        self._border: str | None = None

    def enter(self, border: str | None, peak: int) -> None:
        """What was entered before ends with this peak [B]; None: nothing follows for now."""
        self.most = max(self.most, peak)
        if self._border is not None:
            self._by_border[self._border] = max(peak, self._by_border.get(self._border, 0))
        self._border = border

    def restart(self) -> None:
        """Forget the phases so far."""
        self._by_border.clear()

    def phases(self) -> dict[str, int]:
        """Peaks by phase [B]."""
        return by_phase(self._by_border)
