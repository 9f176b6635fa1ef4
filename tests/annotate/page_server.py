"""A small server for the page of `raycal.annotate`: a project in memory over a folder of images.

The server speaks the protocol of the real server, keeps nothing on disk, and has no list of users: the token is the
name of the person. Tests look into its `Project`. `python tests/annotate/page_server.py FOLDER` serves a folder whose
subfolders are classes.
"""

import io
import json
import random
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from PIL import Image

import raycal
from raycal.people.shown import beginning, whole

Json = dict[str, Any]
STATIC = Path(raycal.__file__).parent / "annotate" / "static"
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)


@dataclass
class Project:
    """Questions in a fixed order, and the log of the answers."""

    paths: list[Path]
    questions: list[Json] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    may_add_classes: bool = True
    role: str = "owner"
    phase: str = "open"
    message: str = ""
    wait: str | None = None
    results: list[Json] = field(default_factory=list)
    rounds_before: int = 0
    progress: Json | None = None
    holdout: Json = field(default_factory=lambda: {"size": 20, "answered": 0, "first": 20})
    iteration: int = 3
    step: int = 0
    budget: int = 100
    name: str = "birds"
    texts: list[str] | None = None  # The samples are these texts instead of the images.
    guidelines: Json = field(default_factory=lambda: {"text": "", "classes": []})
    epoch: str = "first"
    is_open: bool = True
    log: list[Json] = field(default_factory=list)
    posts: int = 0
    next_calls: list[Json] = field(default_factory=list)
    released: list[list[str] | None] = field(default_factory=list)  # None: all questions of a page.
    taken: set[str] = field(default_factory=set)  # Questions that other people have answered.
    closed: int = 0
    signed_in: bool = True
    failure: tuple[int, str] | None = None  # The status and the sentence with which every answer is received.
    delay: float = 0.0
    lock: threading.RLock = field(default_factory=threading.RLock)

    def answers(self) -> list[Json]:
        """The answers that were not taken back, in their order."""
        standing: list[Json] = []
        for event in self.log:
            if event["type"] == "answered":
                standing.append(event)
            elif standing:
                standing.pop()
        return standing

    def state(self) -> Json:
        """The state. A project that is not open has no classes yet, as `OpeningProject` says."""
        state = self._state()
        reading = {"classes": [], "may_add_classes": False, "phase": "preparing", "results": []}
        return state if self.is_open else state | reading

    def _state(self) -> Json:
        answers = self.answers()
        counts = [0] * len(self.classes)
        for answer in answers:
            if answer["answer"] == "label":
                counts[answer["label"]] += self.question(answer["question"])["size"] - len(answer["marked"])
        left = [one for one in self.open() if one["purpose"] == "round"]
        fields = (
            "role",
            "phase",
            "message",
            "iteration",
            "step",
            "budget",
            "may_add_classes",
            "holdout",
            "results",
            "rounds_before",
            "progress",
            "epoch",
            "is_open",
        )
        return {name: getattr(self, name) for name in fields} | {
            "project": self.name,
            "project_id": "0123456789abcdef",
            "noun": "image" if self.texts is None else "text",
            "who": "ana",
            "rounds": 10,
            "kind": left[0]["kind"] if left else None,
            "answered": len(answers),
            "round_answered": len(answers),
            "minutes_left": 9.2,
            "classes": [{"id": i, "name": one, "count": counts[i]} for i, one in enumerate(self.classes)],
            "labeled": sum(counts),
            "total": len(self.paths),
            "people": 1,
            "can_undo": bool(answers),
        }

    def question(self, name: str) -> Json:
        return next(one for one in self.questions if one["id"] == name)

    def open(self) -> list[Json]:
        done = {answer["question"] for answer in self.answers()}
        halves = [one for one in self.questions if one["half_of"] in done and one["id"] not in done | self.taken]
        return halves + [one for one in self.questions if one["half_of"] is None and one["id"] not in done | self.taken]

    def next(self, holding: list[str], want: int) -> Json:
        self.next_calls.append({"holding": holding, "want": want})
        left = self.budget - len(self.answers()) - len([one for one in self.open() if one["id"] in holding])
        free = [one for one in self.open() if one["id"] not in holding and self.wait is None][: max(0, left)]
        wait = None if free else self.wait or "Nobody has a question for you now."
        return {"questions": free[:want], "lost": self.lost(holding), "wait": wait}

    def lost(self, holding: list[str]) -> list[str]:
        return [name for name in holding if name in self.taken]

    def release(self, names: list[str] | None) -> Json:
        self.released.append(names)
        return {}

    def more(self, name: str, page: int) -> Json:
        question = self.question(name)
        shown = {row for rows in question.get("bands", {"all": question["rows"]}).values() for row in rows}
        rest = [row for row in question["rows"] if row not in shown]
        return {"images": rest[24 * page : 24 * page + 24]}

    def submit(self, events: list[Json]) -> list[Json]:
        return [self._take(event) for event in events]

    def _take(self, event: Json) -> Json:
        known = next((one for one in self.log if one["id"] == event["id"]), None)
        if known is not None:
            return {
                "id": event["id"],
                "status": "known",
                "seq": known["seq"],
                "text": "",
                "label": None,
                "question": None,
            }
        receipt: Json = {"id": event["id"], "status": "stored", "seq": len(self.log), "label": None, "question": None}
        if event["type"] == "undone":
            if not self.answers():
                return receipt | {"status": "refused", "seq": None, "text": "There is nothing to take back."}
            receipt["question"] = public(self.question(self.answers()[-1]["question"]))
            receipt["text"] = "Taken back."
        else:
            if event["new_class"] is not None:
                folded = [" ".join(name.casefold().split()) for name in self.classes]
                name = " ".join(event["new_class"].casefold().split())
                if name not in folded:
                    self.classes.append(event["new_class"])
                    folded.append(name)
                event = event | {"label": folded.index(name)}
            receipt["label"] = event["label"]
            left = self.question(event["question"])["size"] - len(event["marked"])
            said = {"refused": "Mixed.", "unsure": "Can't tell.", "split": "Split into halves."}.get(event["answer"])
            noun = "image" if self.texts is None else "text"
            receipt["text"] = said or f"{left} {noun}{'s' * (left != 1)} as {self.classes[event['label']]}"
            if event["answer"] == "split":
                self._split(self.question(event["question"]))
        self.log.append(event | {"seq": len(self.log)})
        return receipt

    def _split(self, question: Json) -> None:
        middle = question["size"] // 2
        for i, rows in enumerate((question["rows"][:middle], question["rows"][middle:])):
            self.questions.append(cluster(f"{question['id']}.{i}", rows, half_of=question["id"]))

    def rename(self, label: int, name: str) -> Json:
        self.classes[label] = name
        return self.state()

    def close_round(self) -> Json:
        self.closed += 1
        self.phase, self.wait = "training", "The model trains; it takes about a minute."
        return self.state()


def sample(name: str, row: int, purpose: str = "round") -> Json:
    return {"id": name, "kind": "sample", "purpose": purpose, "size": 1, "image": row, "half_of": None, "rows": [row]}


def cluster(name: str, rows: list[int], half_of: str | None = None) -> Json:
    """A cluster whose images are given by their distance from its center."""
    question: Json = {
        "id": name,
        "kind": "cluster",
        "purpose": "round",
        "size": len(rows),
        "half_of": half_of,
        "rows": rows,
    }
    if len(rows) <= 36:
        return question | {"all": rows}
    drawn = random.Random(name).sample(rows[4:-8], 24)
    return question | {"bands": {"nearest": rows[:4], "random": drawn, "farthest": rows[-8:]}}


def public(question: Json) -> Json:
    """The part of a question that the page may know."""
    return {key: value for key, value in question.items() if key != "rows"}


class Pictures:
    """WebP pictures of image files, made when they are asked for."""

    def __init__(self, paths: list[Path]) -> None:
        self.paths = paths
        self.made: dict[tuple[int, str], bytes] = {}

    def picture(self, row: int, size: str) -> bytes:
        if (row, size) not in self.made:
            image = Image.open(self.paths[row]).convert("RGB")
            if size == "model":
                side = min(image.size)
                left, top = (image.width - side) // 2, (image.height - side) // 2
                image = image.crop((left, top, left + side, top + side)).resize((224, 224))
            else:
                image.thumbnail((160, 160) if size == "thumbnail" else (1600, 1600))
            file = io.BytesIO()
            image.save(file, "webp", quality=82)
            self.made[row, size] = file.getvalue()
        return self.made[row, size]

    def bundle(self, rows: Iterable[int]) -> bytes:
        parts = [(row, self.picture(row, "thumbnail")) for row in rows]
        header = json.dumps({"images": [[row, len(part)] for row, part in parts]}).encode()
        return len(header).to_bytes(4, "big") + header + b"".join(part for _, part in parts)


class PageServer:
    """Serves a project on a free port of this machine."""

    def __init__(self, project: Project, port: int = 0) -> None:
        self.project = project
        self.pictures = Pictures(project.paths)
        self.http = ThreadingHTTPServer(("127.0.0.1", port), handler(project, self.pictures))
        self.http.daemon_threads = True
        self.http.handle_error = lambda *_: None  # type: ignore[method-assign]  # browsers drop connections
        self.uri = f"http://127.0.0.1:{self.http.server_address[1]}"

    def __enter__(self) -> "PageServer":
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.http.shutdown()
        self.http.server_close()


def handler(project: Project, pictures: Pictures) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *_: object) -> None:
            pass

        def reply(self, body: bytes, kind: str, status: int = 200) -> None:
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.send_header("content-security-policy", POLICY)
            self.end_headers()
            self.wfile.write(body)

        def json(self, answer: Json, status: int = 200) -> None:
            self.reply(json.dumps(answer).encode(), "application/json", status)

        def do_GET(self) -> None:
            if self.path == "/":
                return self.reply((STATIC / "index.html").read_bytes(), TYPES[".html"])
            if self.path.startswith("/static/"):
                file = STATIC / Path(self.path).name
                if not file.is_file():
                    return self.json({"error": "There is no such file."}, 404)
                return self.reply(file.read_bytes(), TYPES[file.suffix])
            if not project.signed_in:
                return self.json({"error": "Sign in first."}, 401)
            if self.path == "/api/state":
                with project.lock:
                    return self.json(project.state())
            if self.path == "/api/events":
                return self.events()
            if self.path == "/api/guidelines":
                return self.json(project.guidelines)
            if self.path.startswith("/text/") and project.texts is not None:
                return self.json(whole(project.texts[int(self.path.partition("?")[0].split("/")[2])]))
            if self.path.startswith("/image/"):
                _, _, row, size = self.path.partition("?")[0].split("/")
                return self.reply(pictures.picture(int(row), size), "image/webp")
            return self.json({"error": "There is no such page."}, 404)

        def do_POST(self) -> None:
            body: Json = json.loads(self.rfile.read(int(self.headers["content-length"])))
            time.sleep(project.delay)
            if self.path == "/api/session":
                project.signed_in = project.signed_in or body["token"] == "right"
                if not project.signed_in:
                    return self.json({"error": "This link is not valid."}, 401)
                return self.json({"who": "ana", "role": project.role})
            if not project.signed_in:
                return self.json({"error": "Sign in first."}, 401)
            if self.path == "/api/texts" and project.texts is not None:
                return self.json({"texts": [(row, beginning(project.texts[row])) for row in body["rows"]]})
            if self.path == "/api/pictures":
                return self.reply(pictures.bundle(body["rows"]), "application/octet-stream")
            with project.lock:
                if self.path == "/api/answers" and project.failure:
                    return self.json({"error": project.failure[1]}, project.failure[0])
                routes: dict[str, Callable[[], Json]] = {
                    "/api/next": lambda: project.next(body["holding"], body["want"]),
                    "/api/more": lambda: project.more(body["question"], body["page"]),
                    "/api/answers": lambda: {"receipts": project.submit(body["events"]), "state": project.state()},
                    "/api/close": project.close_round,
                    "/api/rename": lambda: project.rename(body["label"], body["name"]),
                    "/api/heartbeat": lambda: {"lost": project.lost(body["holding"])},
                    "/api/release": lambda: project.release(body["questions"]),
                }
                project.posts += self.path == "/api/answers"
                answer = routes[self.path]()
                if self.path == "/api/next":
                    answer["questions"] = [public(one) for one in answer["questions"]]
            return self.json(answer)

        def events(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("connection", "close")
            self.end_headers()
            self.close_connection = True
            last = ""
            try:
                while True:
                    with project.lock:
                        now = json.dumps(project.state())
                    if now != last:
                        self.wfile.write(f"event: state\ndata: {now}\n\n".encode())
                        last = now
                    else:
                        self.wfile.write(b": alive\n\n")
                    time.sleep(0.2)
            except OSError:
                return

    return Handler


def of_folder(folder: Path) -> Project:
    """A project with hold-out questions, single images and clusters whose images are mostly of one subfolder."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".png", ".jpg", ".jpeg"))
    rows: dict[str, list[int]] = {}
    for i, path in enumerate(paths):
        rows.setdefault(path.parent.name, []).append(i)
    draw = random.Random(0)
    questions = [sample(f"h.{i}", draw.randrange(len(paths)), "holdout") for i in range(3)]
    for i, name in enumerate(rows):
        size = draw.choice([24, 60, 120, 212])
        mine = draw.sample(rows[name], min(size, len(rows[name])))
        mine[-3:] = draw.sample(range(len(paths)), 3)
        questions.append(cluster(f"3.0.{2 * i}", list(dict.fromkeys(mine))))
        questions.append(sample(f"3.0.{2 * i + 1}", draw.randrange(len(paths))))
    return Project(paths, questions, classes=list(rows))


if __name__ == "__main__":
    server = PageServer(of_folder(Path(sys.argv[1])), int(sys.argv[2]) if len(sys.argv) > 2 else 8700)
    with server:
        print(f"{server.uri}/#t=right", flush=True)
        threading.Event().wait()
