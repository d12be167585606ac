/**
 * Serves a character model to many clients over HTTP. Each client owns a session: the model
 * remembers all that the client has typed, and a further character costs one step, however long
 * the text has become.
 *
 *   npm run quickstart                                        makes whale.safetensors
 *   node examples/streaming-server.mjs whale.safetensors      serves it on port 8080
 *   node examples/streaming-server.mjs whale.safetensors --demo 200
 *
 *   curl -X POST localhost:8080/sessions                                  -> {"id":"…"}
 *   curl -X POST localhost:8080/sessions/ID --data "Call me Ish"          -> surprise, next characters
 *   curl -N localhost:8080/sessions/ID/continuation?length=200            -> text, as it is written
 *   curl -X DELETE localhost:8080/sessions/ID
 *
 * --demo N lets N clients (streaming-clients.mjs) type at the same time and prints the latencies.
 */
import { randomInt, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { load, text } from 'ostinato';

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: { port: { type: 'string', default: '8080' }, demo: { type: 'string' } },
});
const [file] = positionals;
if (file === undefined) {
  console.error('Expected a model: node examples/streaming-server.mjs whale.safetensors');
  process.exit(2);
}

const IDLE_MS = 5 * 60_000;
const MOST_SESSIONS = 10_000;
const MOST_CHARACTERS = 10_000;

const model = await load(file);
const vocab = text.CharVocab.fromJSON(model.metadata.vocab);

/** What the server keeps for a client: the state, and what the model expects next. */
class Client {
  session = model.session();
  /** The state before the last character, from which generation can go on. */
  before = null;
  last = null;
  logits = null;
  characters = 0;
  lastUse = Date.now();

  /** Reads characters; returns how many bits each of them cost on average. */
  read(ids) {
    let bits = 0;
    let counted = 0;
    for (const [i, id] of ids.entries()) {
      if (this.logits !== null) {
        bits -= logSoftmax(this.logits, id) / Math.LN2;
        counted++;
      }
      if (i === ids.length - 1) {
        this.before?.dispose();
        this.before = this.session.clone();
        this.last = id;
      }
      // Tens of microseconds: less than a hop to another thread would cost.
      this.logits = this.session.stepSync(id);
    }
    this.characters += ids.length;
    return counted === 0 ? null : bits / counted;
  }

  /** The most probable next characters. */
  next(count) {
    if (this.logits === null) return [];
    return Array.from(this.logits, (_logit, id) => ({
      character: vocab.decode([id]),
      probability: round(Math.exp(logSoftmax(this.logits, id))),
    }))
      .sort((a, b) => b.probability - a.probability)
      .slice(0, count);
  }

  /** Text that goes on from here; the client's own state stays where it is. */
  async *continuation(options) {
    const copy = this.before.clone();
    try {
      yield* text.generate(copy, vocab, { prompt: vocab.decode([this.last]), ...options });
    } finally {
      copy.dispose();
    }
  }

  dispose() {
    this.before?.dispose();
    this.session.dispose();
  }
}

const clients = new Map();
setInterval(() => {
  for (const [id, client] of clients) {
    if (Date.now() - client.lastUse > IDLE_MS) end(id);
  }
}, 30_000).unref();

function end(id) {
  clients.get(id)?.dispose();
  clients.delete(id);
}

const server = createServer((request, response) => {
  answer(request, response).catch((error) => {
    if (response.headersSent) response.destroy();
    else send(response, error.status ?? 500, { error: error.message });
  });
});

async function answer(request, response) {
  const url = new URL(request.url, 'http://localhost');
  const [, root, id, action] = url.pathname.split('/');
  if (root !== 'sessions') throw problem(404, 'Expected a path that begins with /sessions');
  if (id === undefined) {
    if (request.method !== 'POST') throw problem(405, 'POST makes a session');
    if (clients.size >= MOST_SESSIONS) throw problem(503, 'Too many sessions');
    const fresh = randomUUID();
    clients.set(fresh, new Client());
    return send(response, 201, { id: fresh });
  }
  const client = clients.get(id);
  if (client === undefined) throw problem(404, 'No such session; it may have been idle too long');
  client.lastUse = Date.now();
  if (request.method === 'DELETE' && action === undefined) {
    end(id);
    return send(response, 200, { characters: client.characters });
  }
  if (request.method === 'POST' && action === undefined) {
    const ids = encode(await bodyOf(request));
    const bitsPerCharacter = client.read(ids);
    return send(response, 200, {
      bitsPerCharacter: bitsPerCharacter === null ? null : round(bitsPerCharacter),
      next: client.next(5),
    });
  }
  if (request.method === 'GET' && action === 'continuation') {
    return sendContinuation(client, url.searchParams, response);
  }
  throw problem(405, `${request.method} is not possible here`);
}

/** Sends a continuation, character by character, until it is done or the client goes away. */
async function sendContinuation(client, parameters, response) {
  const length = Number(parameters.get('length') ?? 200);
  const temperature = Number(parameters.get('temperature') ?? 0.7);
  if (!Number.isInteger(length) || length < 1 || length > MOST_CHARACTERS) {
    throw problem(400, `Expected a length from 1 to ${MOST_CHARACTERS}`);
  }
  if (!(temperature >= 0)) throw problem(400, 'Expected a temperature of 0 or more');
  if (client.last === null) throw problem(409, 'The session has read nothing yet');
  const gone = new AbortController();
  response.on('close', () => gone.abort());
  response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' });
  const seed = randomInt(2 ** 31);
  try {
    const options = { length, temperature, seed, signal: gone.signal };
    for await (const character of client.continuation(options)) response.write(character);
    response.end('\n');
  } catch (error) {
    if (!gone.signal.aborted) throw error;
  }
}

function encode(body) {
  if (body.length > MOST_CHARACTERS) throw problem(413, `At most ${MOST_CHARACTERS} characters`);
  try {
    return vocab.encode(body);
  } catch (error) {
    throw problem(400, error.message);
  }
}

async function bodyOf(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > 4 * MOST_CHARACTERS) throw problem(413, `At most ${MOST_CHARACTERS} characters`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function send(response, status, value) {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(`${JSON.stringify(value)}\n`);
}

function problem(status, message) {
  return Object.assign(new Error(message), { status });
}

function logSoftmax(logits, id) {
  const highest = logits.reduce((most, logit) => Math.max(most, logit), -Infinity);
  const total = logits.reduce((sum, logit) => sum + Math.exp(logit - highest), 0);
  return logits[id] - highest - Math.log(total);
}

function round(value) {
  return Number(value.toFixed(4));
}

server.listen(flags.demo === undefined ? Number(flags.port) : 0, () => {
  const { port } = server.address();
  console.log(`Serving ${file} on http://localhost:${port}/sessions`);
  if (flags.demo !== undefined) demo(port, Number(flags.demo));
});

/** Lets clients on another thread type, and measures how this one keeps up. */
function demo(port, count) {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const workerData = { base: `http://localhost:${port}/sessions`, count };
  new Worker(new URL('streaming-clients.mjs', import.meta.url), { workerData })
    .on('error', (error) => {
      console.error(error);
      process.exitCode = 1;
    })
    .on('exit', () => {
      const p99 = (delay.percentile(99) / 1e6).toFixed(1);
      console.log(`server: loop_delay_p99_ms=${p99} sessions_left=${clients.size}`);
      stop();
    });
}

function stop() {
  server.close();
  server.closeAllConnections();
  for (const id of [...clients.keys()]) end(id);
  model.dispose();
}

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, stop);
