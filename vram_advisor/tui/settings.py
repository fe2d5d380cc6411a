"""What a user has set for the app: a theme, plain characters, keys.

The file ``tui.toml`` lies in the folder of the program's data:

    theme = "okabe-ito"
    plain = false
    [keys]
    copy = "c"
    calibrate = "ctrl+k"
"""

from dataclasses import dataclass, field

from vram_advisor.sources.user_data import data_directory
from vram_advisor.units.errors import AdvisorError
from vram_advisor.units.record import check, read_record

FILE = "tui.toml"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The file."""

    theme: str | None = None
    plain: bool = False
    """ASCII only."""
    keys: dict[str, object] = field(default_factory=dict)
    """Key by the name of what it does."""

    def __post_init__(self) -> None:
        check(self)


def read_settings() -> tuple[Settings, str | None]:
    """The settings, and a sentence where the file cannot be used."""
    folder = data_directory()
    if folder is None or not (folder / FILE).is_file():
        return Settings(), None
    import tomllib

    path = folder / FILE
    try:
        return read_record(Settings, tomllib.loads(path.read_text(encoding="utf-8")), str(path)), None
    except tomllib.TOMLDecodeError as error:
        return Settings(), f"{path} is no TOML: {error}."
    except AdvisorError as error:
        return Settings(), str(error)
    except (OSError, UnicodeDecodeError) as error:
        return Settings(), f"{path} cannot be read: {error}."
