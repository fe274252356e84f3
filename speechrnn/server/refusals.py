"""How the server says no: with a status, and a reason in the shape that clients of OpenAI's API read."""

from collections.abc import Mapping

from starlette.responses import JSONResponse


class RefusedError(Exception):
    """A request that is not answered."""

    def __init__(
        self, status: int, message: str, *, parameter: str | None = None, headers: Mapping[str, str] = {}
    ) -> None:
        """Say why.

        Args:
            status: Of HTTP, from 400.
            message: What is wrong and how to mend it.
            parameter: The field of the request that is wrong.
            headers: More headers of the answer.
        """
        super().__init__(message)
        self.status, self.message, self.parameter, self.headers = status, message, parameter, dict(headers)

    def response(self) -> JSONResponse:
        """Make the answer."""
        kind = "invalid_request_error" if self.status < 500 else "server_error"
        error = {"message": self.message, "type": kind, "param": self.parameter, "code": self.status}
        return JSONResponse({"error": error}, status_code=self.status, headers=self.headers)
