"""What modules on the way of a start need of ``typing`` at run time, without its import.

Importing ``typing`` takes about as long as loading and attaching rtrace's programs.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import overload as overload
else:

    def overload(function: object) -> object:
        """Mark one of several signatures; the last definition is the function itself."""
        return function
