"""A client of ChromeDriver in a few lines: pages, elements, scripts, screenshots and the browser's log."""

import base64
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # key of an element in the protocol


def missing():
    """Say what a test in a browser lacks here; "" when all is there."""
    absent = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    return f"no {' and no '.join(absent)} (Debian: apt-get install chromium chromium-driver)" if absent else ""


class Browser:
    """Headless Chromium that resolves no host name, so that nothing outside this machine can be reached."""

    def __init__(self, folder):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"
        self.log = (Path(folder) / "chromedriver.log").open("w")
        self.process = subprocess.Popen(["chromedriver", f"--port={port}"], stdout=self.log, stderr=self.log)
        switches = (
            "headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "disable-quic", "no-first-run",
            "disable-sync", "disable-background-networking", "disable-component-update", "window-size=1280,900",
        )  # fmt: skip
        rules = "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"
        options = {
            "args": [*(f"--{switch}" for switch in switches), rules, f"--user-data-dir={Path(folder) / 'profile'}"]
        }
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
        deadline = time.monotonic() + 60
        while True:
            try:
                self.call("GET", "/status")
                break
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise
                time.sleep(0.05)
        answer = self.call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self.session = f"/session/{answer['sessionId']}"
        self.open("about:blank")  # leaves the page with which Chromium starts, which asks for things of its own

    def call(self, method, path, content=None):
        body = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(self.address + path, body, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(json.load(error)["value"]["message"]) from None

    def open(self, url):
        self.call("POST", f"{self.session}/url", {"url": url})

    def run(self, script, *arguments):
        return self.call("POST", f"{self.session}/execute/sync", {"script": script, "args": list(arguments)})

    def wait(self, script, *arguments, seconds=60):
        """Wait until a script returns something true, and return that."""
        deadline = time.monotonic() + seconds
        while not (found := self.run(script, *arguments)):
            assert time.monotonic() < deadline, f"never true: {script}"
            time.sleep(0.05)
        return found

    def type(self, selector, text):
        found = self.call("POST", f"{self.session}/element", {"using": "css selector", "value": selector})
        self.call("POST", f"{self.session}/element/{found[ELEMENT]}/value", {"text": text})

    def screenshot(self, path):
        Path(path).write_bytes(base64.b64decode(self.call("GET", f"{self.session}/screenshot")))

    def read(self, kind):
        """Return the entries of a log since the last call."""
        return self.call("POST", f"{self.session}/se/log", {"type": kind})

    def errors(self):
        return [entry["message"] for entry in self.read("browser") if entry["level"] == "SEVERE"]

    def requests(self):
        """Return the addresses that pages, other than Chromium's own, asked for since the last call."""
        events = [json.loads(entry["message"])["message"] for entry in self.read("performance")]
        sent = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
        return [one["request"]["url"] for one in sent if not one["documentURL"].startswith(("chrome:", "chrome-"))]

    def close(self):
        try:
            self.call("DELETE", self.session)
        finally:
            self.process.terminate()
            self.process.wait(timeout=60)
            self.log.close()
