// Serves this folder, with LiteRT and libwavenet, and the models named, on this machine only.
//
// npm start -- [--port=8000] [model.wn | model.tflite ...]

import { accessSync, constants, createReadStream, statSync } from "node:fs";
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

/** Ends the program with one line. */
function fail(message) {
  console.error(`server.js: ${message}`);
  process.exit(1);
}

/** The port and the models' files by name, from the command line. */
function readCommandLine() {
  let parsed;
  try {
    parsed = parseArgs({
      options: { port: { type: "string", default: "8000" } },
      allowPositionals: true,
    });
  } catch (error) {
    fail(error.message.split("\n")[0]);
  }
  const { values, positionals } = parsed;
  if (!/^\d+$/.test(values.port) || Number(values.port) > 65535) {
    fail(`--port must be a whole number from 0 to 65535; received ${values.port}`);
  }
  const models = new Map();
  for (const file of positionals) {
    // npm changes the folder, and says where it was called.
    const place = path.resolve(process.env.INIT_CWD ?? process.cwd(), file);
    const name = path.basename(place);
    if (models.has(name)) {
      fail(`two models are named ${name}: ${models.get(name)} and ${place}`);
    }
    checkReadable(file, place);
    models.set(name, place);
  }
  return { port: Number(values.port), models };
}

function checkReadable(file, place) {
  let problem = null;
  try {
    accessSync(place, constants.R_OK);
    problem = statSync(place).isFile() ? null : "it is no file";
  } catch (error) {
    problem = error.code === "ENOENT" ? "no such file" : error.message;
  }
  if (problem) {
    fail(`cannot read the model ${file}: ${problem}`);
  }
}

const { port, models } = readCommandLine();

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
server.on("error", (error) => fail(`cannot listen on port ${port}: ${error.message}`));
server.listen(port, "127.0.0.1", () => {
  const page = `http://127.0.0.1:${server.address().port}/`;
  const [first] = models.keys();
  console.log(first ? `${page}?model=/models/${encodeURIComponent(first)}` : page);
});
