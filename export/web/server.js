// Serves this folder, LiteRT among it, and the models named, on this machine only.
//
// npm start -- [--port=8000] [model.tflite ...]

import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer } from "node:http";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const ROOT = path.dirname(fileURLToPath(import.meta.url));
const TYPES = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json",
  ".tflite": "application/octet-stream",
  ".wasm": "application/wasm",
};

const { values, positionals } = parseArgs({
  options: { port: { type: "string", default: "8000" } },
  allowPositionals: true,
});
// Of `/models/name`; npm changes the folder, and tells where it was called.
const models = new Map(
  positionals.map((file) => [
    path.basename(file),
    path.resolve(process.env.INIT_CWD ?? process.cwd(), file),
  ]),
);

/** The file of an address, or null. */
function fileOf(address) {
  const place = decodeURIComponent(new URL(address, "http://localhost").pathname);
  if (place.startsWith("/models/")) {
    return models.get(place.slice("/models/".length)) ?? null;
  }
  const file = path.join(ROOT, place === "/" ? "index.html" : place);
  return file.startsWith(ROOT + path.sep) && path.extname(file) in TYPES ? file : null;
}

async function answer(request, response) {
  let file = null;
  let size = 0;
  try {
    file = fileOf(request.url);
    const facts = file && (await stat(file));
    size = facts?.size;
    if (!facts?.isFile()) {
      file = null;
    }
  } catch {
    file = null; // no such file, or no such address
  }
  if (!file || !["GET", "HEAD"].includes(request.method)) {
    response.writeHead(404, { "Content-Type": "text/plain" }).end("not found\n");
    return;
  }
  response.writeHead(200, {
    "Content-Type": TYPES[path.extname(file)] ?? "application/octet-stream",
    "Content-Length": size,
    "Cache-Control": "no-cache",
  });
  if (request.method === "HEAD") {
    response.end();
  } else {
    createReadStream(file).on("error", () => response.destroy()).pipe(response);
  }
}

const server = createServer(answer);
server.on("error", (error) => {
  console.error(`cannot listen on port ${values.port}: ${error.message}`);
  process.exit(1);
});
server.listen(Number(values.port), "127.0.0.1", () => {
  const page = `http://127.0.0.1:${server.address().port}/`;
  const [first] = models.keys();
  console.log(first ? `${page}?model=/models/${encodeURIComponent(first)}` : page);
});
