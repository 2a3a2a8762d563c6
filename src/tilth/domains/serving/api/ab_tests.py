"""A/B tests over HTTP."""

from __future__ import annotations

from litestar.params import FromPath, JSONBody

from tilth.backends.sql import Tx
from tilth.core.clock import now
from tilth.domains.serving import queries
from tilth.domains.serving.actions import ab_tests as actions
from tilth.domains.serving.queries.ab_tests import ab_evidence, ab_test_named
from tilth.domains.serving.types.ab_tests import AbTest, UnknownAbTest, WrongAbState
from tilth.guard import Access, AccessTo, Permission, get, post
from tilth.wire.ab import AbEvidence, AbPage, AbView, ConcludeAb, CreateAb, StopAb

ALL = "/api/v1/p/{project:str}/deployments/{name:str}/ab"
ONE = ALL + "/{number:int}"
MOST = 1 << 31


@get(ALL, permission=Permission.DEPLOYMENT_READ)
async def list_ab_tests(access: AccessTo[None], name: FromPath[str]) -> AbPage:
    """Newest first, at most 200."""
    return AbPage(await access.read(lambda tx: queries.ab_test_rows(tx, access.project.id, name)))


@post(ALL, permission=Permission.DEPLOYMENT_CHANGE)
async def create_ab_test(access: AccessTo[None], name: FromPath[str], data: JSONBody[CreateAb]) -> AbView:
    """A draft, or with `start` one that runs."""

    def write(tx: Tx) -> AbTest:
        made = actions.create(tx, access.actor, access.project.id, name, data)
        return actions.start(tx, access.actor, access.project.id, name, made.number) if data.start else made

    made = await access.write(write)
    return await _view(access, name, made.number)


@get(ONE, permission=Permission.DEPLOYMENT_READ)
async def read_ab_test(access: AccessTo[None], name: FromPath[str], number: FromPath[int]) -> AbView:
    """With the evidence as it is now; of a concluded test as it was then."""
    return await _view(access, name, _known(name, number))


@post(ONE + "/start", permission=Permission.DEPLOYMENT_CHANGE, status_code=200)
async def start_ab_test(access: AccessTo[None], name: FromPath[str], number: FromPath[int]) -> AbView:
    """The arms share out the requests from now on."""
    _known(name, number)
    await access.write(lambda tx: actions.start(tx, access.actor, access.project.id, name, number))
    return await _view(access, name, number)


@post(ONE + "/stop", permission=Permission.DEPLOYMENT_CHANGE, status_code=200)
async def stop_ab_test(access: AccessTo[None], name: FromPath[str], number: FromPath[int], data: JSONBody[StopAb]) -> AbView:
    """What was served before is served again."""
    _known(name, number)
    await access.write(lambda tx: actions.stop(tx, access.actor, access.project.id, name, number, note=data.note))
    return await _view(access, name, number)


@post(ONE + "/conclude", permission=Permission.DEPLOYMENT_CHANGE, status_code=200)
async def conclude_ab_test(
    access: AccessTo[None], name: FromPath[str], number: FromPath[int], data: JSONBody[ConcludeAb]
) -> AbView:
    """The winner, by default the control, gets every request; the evidence of this moment is kept."""
    await conclude(access, name, _known(name, number), data)
    return await _view(access, name, number)


async def conclude(access: Access[None], name: str, number: int, wanted: ConcludeAb) -> None:
    """Counts first, outside of the transaction that decides: it may take a while. Raises what actions.conclude does."""
    project_id = access.project.id

    def read(tx: Tx) -> AbEvidence:
        found = queries.deployment_by_name(tx, project_id, name)
        test = ab_test_named(tx, project_id, found.id, name, number)
        evidence = ab_evidence(tx, project_id, test, now())
        if evidence is None:
            raise WrongAbState(number, test.state, "running or stopped")
        return evidence

    evidence = await access.read(read)
    await access.write(
        lambda tx: actions.conclude(tx, access.actor, project_id, name, number, evidence, winner=wanted.winner, note=wanted.note)
    )


async def _view(access: Access[None], name: str, number: int) -> AbView:
    return await access.read(lambda tx: queries.ab_test_detail(tx, access.project.id, name, number, now()))


def _known(name: str, number: int) -> int:
    """A number that a database can be asked for. Raises UnknownAbTest."""
    if not 0 < number < MOST:
        raise UnknownAbTest(name, number)
    return number


routes = [list_ab_tests, create_ab_test, read_ab_test, start_ab_test, stop_ab_test, conclude_ab_test]
