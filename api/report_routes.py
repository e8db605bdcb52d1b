"""The reports of the last runs, as pages over HTTP."""

from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from fastapi import Path as InPath
from fastapi.responses import FileResponse
from starlette.exceptions import HTTPException

from api.openapi import problems
from api.schemas import Reports

REPORTS = {  # name → file below build/, title
    "scorecard": ("scorecard.html", "Scorecard of the backtest"),
    "monitoring": ("report.html", "Monitoring report"),
    "dossier": ("dossier/dossier.html", "Dossier of the newest judged model"),
    "data-card": ("dossier/data_card.html", "Card of its training data"),
}
Name = Literal["scorecard", "monitoring", "dossier", "data-card"]
# A report has its style in the page and draws with inline SVG; it runs no script.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
}
router = APIRouter(tags=["reports"])


@router.get("/v1/reports", response_model=Reports)
def list_reports(request: Request) -> dict[str, Any]:
    """List the reports that exist, with their addresses."""
    build: Path = request.app.state.settings.build
    return {
        "reports": [
            {"title": title, "address": f"/reports/{name}"}
            for name, (file, title) in REPORTS.items()
            if (build / file).is_file()
        ]
    }


@router.get("/reports/{name}", include_in_schema=False, responses=problems(404))
def show_report(request: Request, name: Annotated[Name, InPath()]) -> FileResponse:
    """Return a report as HTML."""
    path: Path = request.app.state.settings.build / REPORTS[name][0]
    if not path.is_file():
        raise HTTPException(404)
    return FileResponse(path, media_type="text/html", headers=_HEADERS)
