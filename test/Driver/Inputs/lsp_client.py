"""lsp_client.py SERVER: an editor's conversation with a language server (LSP 3.17), as far as the test needs it."""

import json
import subprocess
import sys

server = subprocess.Popen([sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
URI = "file:///model.mlir"


def send(method, params=None, number=None):
    message = {"jsonrpc": "2.0", "method": method}
    if params is not None:
        message["params"] = params
    if number is not None:
        message["id"] = number
    body = json.dumps(message).encode()
    server.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
    server.stdin.flush()


def receive(accept):
    """The next message that `accept` takes."""
    while True:
        size = 0
        while line := server.stdout.readline().strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                size = int(value)
        if not size:
            sys.exit("the server ended")
        message = json.loads(server.stdout.read(size))
        if accept(message):
            return message


def diagnostics(what):
    found = receive(lambda m: m.get("method") == "textDocument/publishDiagnostics")["params"]["diagnostics"]
    texts = [
        f"{d['range']['start']['line'] + 1}:{d['range']['start']['character'] + 1}: {d['message'].splitlines()[0]}" for d in found
    ]
    print(f"{what}: {'; '.join(texts) or 'nothing'}")


def call(method, params, number):
    send(method, params, number)
    return receive(lambda m: m.get("id") == number).get("result")


def text(width):
    return f"""// a product whose inner dimensions do, or do not, fit
func.func @f(%a: tensor<4x7xf32>, %b: tensor<9x{width}xf32>) -> tensor<4x9xf32> {{
  %0 = nn.matmul %a, %b {{layer = "fc", transpose_b}} : (tensor<4x7xf32>, tensor<9x{width}xf32>) -> tensor<4x9xf32>
  return %0 : tensor<4x9xf32>
}}
"""


call("initialize", {"processId": None, "rootUri": None, "capabilities": {}}, 1)
send("initialized", {})
document = {"uri": URI, "languageId": "mlir", "version": 1, "text": text(8)}
send("textDocument/didOpen", {"textDocument": document})
diagnostics("opened")
for version, (what, content) in enumerate((("corrected", text(7)), ("unknown op", "%0 = nn.nothing : f32\n")), 2):
    change = {"textDocument": {"uri": URI, "version": version}, "contentChanges": [{"text": content}]}
    send("textDocument/didChange", change)
    diagnostics(what)
    if what == "corrected":
        hover = call("textDocument/hover", {"textDocument": {"uri": URI}, "position": {"line": 2, "character": 9}}, 2)
        print("hover:", " ".join(hover["contents"]["value"].split()))
call("shutdown", None, 3)
send("exit")
print("exit code", server.wait(10))
