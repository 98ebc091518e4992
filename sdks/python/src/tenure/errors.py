"""Why something is refused: one exception, told apart by its stable code."""


class TenureError(Exception):
    """``code`` is stable and for programs; the text is for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class TransportError(TenureError):
    """Agent or server gave no answer, or refused. ``status`` is ``None`` when nobody answered."""

    def __init__(self, message: str, status: "int | None" = None) -> None:
        super().__init__("unreachable" if status is None else "refused", message)
        self.status = status

    @property
    def worth_retrying(self) -> bool:
        """Whether the very same request may succeed later."""
        return self.status is None or self.status in (401, 403, 408, 429) or self.status >= 500
