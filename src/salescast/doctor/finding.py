"""What one examination came to."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """`summary`: what was seen; `mend`: what to do about it, empty where all is well."""

    name: str
    summary: str
    mend: str = ""

    @property
    def well(self) -> bool:
        """True where nothing needs mending."""
        return not self.mend
