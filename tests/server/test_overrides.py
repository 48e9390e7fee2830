"""A site's own pages and pictures. Contract: spec/operations.md 6.1."""

from __future__ import annotations

from pathlib import Path

import pytest

from ccserver.rest.overrides import read_overrides
from ccserver.rest.static import StaticFiles
from ccserver.rest.templates import Templates
from tests.server.running import Server

LOGIN = '<form method="post" action="/login"><b>{{ alert }}</b><input name="redirect" value="{{ redirect }}">'
GO_IMPRINT = '{{define "content"}}\n<section><h2>Our centre</h2></section>\n{{end}}\n'


def test_pages_of_the_site_replace_ours(installation: Server) -> None:
    variable = installation.folder / "var"
    (variable / "login.tmpl").write_text(LOGIN)
    (variable / "imprint.tmpl").write_text(GO_IMPRINT)
    (variable / "img").mkdir()
    (variable / "img" / "logo.svg").write_text("<svg>ours</svg>")
    installation.start()
    with installation.client("") as client:
        page = client.get("/monitoring/jobs/?x=%22%3E")
        assert page.status_code == 401
        assert page.text.startswith('<form method="post" action="/login"><b></b>')
        assert 'value="/monitoring/jobs/?x=%22%3E"' in page.text
        refused = client.post("/login", data={"username": "<i>", "password": "x", "redirect": '/"><i>'})
        assert "<b>Login failed" in refused.text
        assert "<i>" not in refused.text
        imprint = client.get("/imprint").text
        assert "<section><h2>Our centre</h2></section>" in imprint
        assert "{{" not in imprint
        assert "not published" in client.get("/privacy").text
        assert client.get("/img/logo.svg").text == "<svg>ours</svg>"
        assert client.get("/img/../login.tmpl").status_code == 404
        assert client.get("/img/..%2flogin.tmpl").status_code == 404
    assert installation.stop() == 0


def test_what_cannot_be_used_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for text in (
        "{{if .MessageType}}<p>{{.Message}}</p>{{end}}",
        "{% if alert %}",
        '{{define "content"}}{{end}}',
    ):
        caplog.clear()
        (tmp_path / "login.tmpl").write_text(text)
        assert read_overrides(tmp_path).templates == {}
        assert "login.tmpl" in caplog.text
    (tmp_path / "privacy.tmpl").write_bytes(b"\xff")
    assert read_overrides(tmp_path).texts == {}
    assert read_overrides(tmp_path / "absent").images is None


def test_a_picture_that_leads_out_of_its_folder_is_none(tmp_path: Path) -> None:
    (tmp_path / "secret.svg").write_text("secret")
    images = tmp_path / "img"
    images.mkdir()
    (images / "logo.svg").symlink_to(tmp_path / "secret.svg")
    files = StaticFiles(tmp_path, images=images)
    assert files.read("img", "logo.svg") is None
    assert files.read("img", "../secret.svg") is None


def test_our_login_page_is_a_template_as_a_site_would_write_it(tmp_path: Path) -> None:
    """Whoever starts from a copy of ours gets what it was."""
    ours = Path(Templates()._environment.get_template("login.html").filename or "").read_text()
    (tmp_path / "login.tmpl").write_text(ours)
    overrides = read_overrides(tmp_path)
    values = {"title": "t", "alert": "<a>", "redirect": "/"}
    assert Templates(overrides.templates).render("login.html", **values) == Templates().render(
        "login.html", **values
    )
