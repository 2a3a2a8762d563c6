"""The pages that ask a deployment and show what it answered, on a whole server."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import unescape

import httpx
import pytest
from tests.conftest import Server
from tests.journeys.steps import Done, wait_until

import tilth

PAGE = "/p/default/deployments/delay"


@pytest.fixture(scope="module")
def browser(tilth_server: Server) -> Iterator[httpx.Client]:
    """Signed in as the local owner, by the one-time link."""
    with httpx.Client(
        base_url=tilth_server.url, headers={"origin": tilth_server.url}, follow_redirects=True, timeout=30
    ) as client:
        owner = {"authorization": f"Bearer {tilth_server.token}"}
        link = client.post("/api/v1/login-links", headers=owner).json()["url"]
        client.get(link).raise_for_status()
        yield client


def test_the_form_is_filled_with_the_models_example_and_asks_the_deployment(delays: Done, browser: httpx.Client) -> None:
    page = browser.get(f"{PAGE}/try").text
    names = re.findall(r'<label for="(c\d+)"><span class="mono">(\w+)</span>', page)
    assert len(names) == 3
    values = {id_: _value(page, id_) for id_, _ in names}
    assert all(values.values())
    answer = browser.post(f"{PAGE}/try", data=values)
    assert answer.status_code == 200
    assert re.search(r'<dl class="kv answer"><dt class="mono">\w+</dt><dd><strong>[\d.e+-]+</strong>', answer.text)
    prediction = re.search(rf"{PAGE}/predictions/([0-9a-f]{{32}})", answer.text)
    assert prediction is not None
    shown = wait_until(lambda: _kept(browser, prediction[1]), "the prediction to be kept", 60)
    assert "Inputs as seen" in shown
    assert "page:" in shown
    assert "No label yet" in shown
    assert f"printf &#39;prediction_id,label\\n{prediction[1]}.0,1\\n&#39; &gt; labels.csv" in shown
    listed = browser.get(f"{PAGE}/predictions").text
    assert f"Tilth {tilth.__version__}<" in listed  # the corner tells the program's version, not the model's
    assert prediction[1] in listed
    assert "Ask version" in shown
    told = browser.get(f"{PAGE}/predictions/{prediction[1]}", params={"reasons": "1"}).text
    assert "what each input added, as " in told
    assert "an average row" in told
    assert all(f'<td class="mono">{name}</td>' in told for _, name in names)


def test_what_is_typed_wrongly_is_told_beside_the_form(delays: Done, browser: httpx.Client) -> None:
    answer = browser.post(f"{PAGE}/try", data={"c0": "far", "c1": "far", "c2": "far"})
    assert answer.status_code == 200
    assert "is no" in answer.text
    assert 'value="far"' in answer.text


def test_json_is_passed_on_as_it_is_and_the_model_servers_refusal_is_shown(delays: Done, browser: httpx.Client) -> None:
    answer = browser.post(f"{PAGE}/try", data={"json": '{"instances": [[1]]}'})
    assert answer.status_code == 200
    assert "the model takes 3" in answer.text


def test_a_request_of_several_rows_is_one_table(delays: Done, browser: httpx.Client) -> None:
    form = browser.get(f"{PAGE}/try").text
    body = json.loads(unescape(re.search(r'<textarea id="json"[^>]*>(.*?)</textarea>', form, re.DOTALL)[1]))  # type: ignore[index]
    (shape, rows), *_ = body.items()
    assert isinstance(rows, list), shape
    answer = browser.post(f"{PAGE}/try", data={"json": json.dumps({shape: rows * 3})})
    prediction = re.search(rf"{PAGE}/predictions/([0-9a-f]{{32}})", answer.text)
    assert prediction is not None
    shown = wait_until(lambda: _kept(browser, prediction[1]), "the prediction to be kept", 60)
    assert "3 rows of one request" in shown
    assert shown.count(f'title="{prediction[1]}.') == 3


def test_a_prediction_that_nobody_made_is_a_page_that_says_so(delays: Done, browser: httpx.Client) -> None:
    answer = browser.get(f"{PAGE}/predictions/{'0' * 32}")
    assert "is not kept (yet)" in answer.text


def test_the_pages_of_a_deployment_that_is_not_there_say_so(browser: httpx.Client) -> None:
    for part in ("try", "predictions", f"predictions/{'0' * 32}"):
        assert browser.get(f"/p/default/deployments/nobody-knows/{part}").status_code == 404


def _value(page: str, id_: str) -> str:
    typed = re.search(rf'<input id="{id_}"[^>]* value="([^"]*)"', page)
    if typed:
        return typed[1]
    chosen = re.search(rf'<select id="{id_}".*?<option selected>([^<]*)<', page, re.DOTALL)
    assert chosen is not None
    return chosen[1]


def _kept(browser: httpx.Client, prediction_id: str) -> str:
    page = browser.get(f"{PAGE}/predictions/{prediction_id}").text
    return "" if "is not kept (yet)" in page else page
