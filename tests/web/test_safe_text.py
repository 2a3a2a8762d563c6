import hashlib
import json

from tilth.web.difference import coloured
from tilth.web.markdown import to_html
from tilth.web.statics import FILES, FOLDER, TAG, static_url


def test_markdown_of_a_person_cannot_carry_a_script():
    shown = to_html("**bold** <script>alert(1)</script> [x](javascript:alert(1)) ![y](https://elsewhere/z.png)\n\n- one")
    assert "<strong>bold</strong>" in shown
    assert "<li>one</li>" in shown
    for bad in ("<script", 'href="javascript', "<img"):
        assert bad not in shown


def test_a_diff_is_coloured_and_escaped():
    shown = coloured("--- a/t.py\n+++ b/t.py\n@@ -1 +1 @@\n-x < 1\n+x < 2\n same")
    assert '<span class="del">-x &lt; 1</span>' in shown
    assert '<span class="add">+x &lt; 2</span>' in shown


def test_a_diff_that_is_too_long_says_so():
    assert "500 more lines" in coloured("+x\n" * 2500)


def test_vendored_files_are_those_of_the_list():
    listed = {entry["file"]: entry for entry in json.loads(FILES["vendor/vendored.json"].plain)}
    vendored = {name.removeprefix("vendor/") for name in FILES if name.startswith("vendor/")} - {"vendored.json"}
    assert {name for name in vendored if not name.startswith("LICENSE")} == set(listed)
    for name, entry in listed.items():
        assert hashlib.sha256((FOLDER / "vendor" / name).read_bytes()).hexdigest() == entry["sha256"]
        assert entry["licence_file"] in vendored


def test_addresses_of_static_files_change_with_their_content():
    assert static_url("tilth.css") == f"/static/{TAG}/tilth.css"


def test_no_template_carries_inline_script_or_style():
    for template in (FOLDER.parent / "templates").rglob("*.html"):
        text = template.read_text()
        assert "style=" not in text, template
        assert "onclick" not in text, template
        assert "<script>" not in text, template
        assert "<style" not in text, template
