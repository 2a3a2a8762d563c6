import json

from hypothesis import given
from hypothesis import strategies as st

from tilth.web.previews import notebook, pretty_json, sheet
from tilth.web.run_table import column_of
from tilth.web.side_by_side import number_of


@given(st.text())
def test_no_text_breaks_a_preview(text):
    sheet(text)
    pretty_json(text)
    notebook(text)


def test_a_long_table_says_that_there_is_more():
    found = sheet("name,value\n" + "a,1\n" * 500)
    assert found is not None
    assert (len(found.rows), found.more, found.numeric) == (200, True, [False, True])


def test_a_notebook_shows_text_pictures_and_errors_but_no_html_of_its_outputs():
    outputs = [
        {"output_type": "stream", "text": ["hello"]},
        {"output_type": "display_data", "data": {"image/png": "QUJD", "text/html": "<b>x</b>"}},
        {"output_type": "display_data", "data": {"image/png": 'QUJD" onerror=x', "text/plain": "plain"}},
        {"output_type": "error", "traceback": ["\x1b[31mValueError\x1b[0m"]},
    ]
    cells = [
        {"cell_type": "markdown", "source": "# Title <script>1</script>"},
        {"cell_type": "code", "source": "1 + 1", "execution_count": 3, "outputs": outputs},
    ]
    found = notebook(json.dumps({"cells": cells}))
    assert found is not None
    assert [cell.kind for cell in found] == ["prose", "code", "text", "picture", "text", "error"]
    assert "<script>" not in found[0].content
    assert (found[1].number, found[3].content, found[5].content) == ("3", "data:image/png;base64,QUJD", "ValueError")


def test_the_best_of_a_loss_is_its_least_value():
    best = column_of("metrics.val_loss:best")
    assert best is not None
    assert (best.label, best.name, best.figure, best.sorts) == ("best val_loss", "val_loss", "min", False)
    plain = column_of("metrics.odd:name")
    assert plain is not None
    assert (plain.name, plain.sorts) == ("odd:name", True)


def test_params_are_drawn_as_numbers_where_they_read_as_such():
    assert [number_of(value) for value in ("7", "adam", "nan", None, 0.1234567)] == [7.0, "adam", "nan", None, 0.123457]
