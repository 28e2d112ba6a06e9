"""browse.py PAGE: opens it in headless Chromium, moves a pointer over it, and says what happened."""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

# Moves over the first chart and the first strip, and leaves in the page what is shown.
PROBE = """<script>addEventListener('load', () => {
const tip = () => document.getElementById('tip').textContent.replace(/\\s+/g, ' ');
const over = (e, x) => { const b = e.getBoundingClientRect();
  e.dispatchEvent(new PointerEvent('pointermove', {clientX: b.left + b.width * x, clientY: b.top + 5})); return tip(); };
const chart = document.querySelector('figure.chart'), said = [];
said.push('pointer: ' + over(chart.querySelector('svg'), .6));
chart.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowRight', bubbles: true}));
said.push('keys: ' + tip(), 'strip: ' + over(document.querySelector('[data-v]'), .5));
said.push('wider than the window: ' + (document.documentElement.scrollWidth > innerWidth ? 'yes' : 'no'));
const out = document.createElement('pre'); out.id = 'said'; out.textContent = said.join('\\n'); document.body.append(out); });</script>"""

page = pathlib.Path(sys.argv[1]).read_text()
with tempfile.TemporaryDirectory() as folder:
    copy = pathlib.Path(folder, "page.html")
    copy.write_text(page.replace("</body>", PROBE + "</body>"))
    command = [shutil.which("chromium"), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}/profile"]
    command += ["--enable-logging=stderr", "--window-size=1200,1600", "--dump-dom", copy.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
print("console:", "; ".join(console) or "nothing")
print(re.search(r'<pre id="said">(.*?)</pre>', done.stdout, re.DOTALL).group(1))
