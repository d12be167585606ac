// A driver's process: requests and replies as JSON lines, stopped while it is not its turn.
import { spawn } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

const KEPT_LINES = 20;
const CAN_STOP = process.platform !== 'win32';

/** The driver ended, or did not answer in time. */
export class DriverDied extends Error {}

export class Driver {
  #child;
  #waiting = [];
  #stderr = [];
  #ended;

  /** @param command { file, args, env } */
  constructor(name, command) {
    this.name = name;
    this.#child = spawn(command.file, command.args, {
      env: { ...process.env, ...command.env },
      cwd: command.cwd,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.#receive(line));
    createInterface({ input: this.#child.stderr }).on('line', (line) => {
      this.#stderr.push(line);
      if (this.#stderr.length > KEPT_LINES) this.#stderr.shift();
    });
    this.#child.stdin.on('error', () => {}); // the exit tells
    this.#child.on('error', (error) => this.#end(error.message));
    this.#child.on('close', (code, signal) =>
      this.#end(signal === null ? `it exited with code ${code}` : `it was ended by ${signal}`),
    );
  }

  get alive() {
    return this.#ended === undefined;
  }

  get pid() {
    return this.#child.pid;
  }

  /** What it last wrote to its standard error. */
  get lastWords() {
    return this.#stderr.join('\n');
  }

  /**
   * One request and its reply, with the process running only meanwhile.
   *
   * @throws DriverDied; Error with the driver's own message for a request that it could not do
   */
  async request(message, timeoutMs) {
    if (!this.alive) throw this.#death();
    const reply = new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
    this.#signal('SIGCONT');
    this.#child.stdin.write(`${JSON.stringify(message)}\n`);
    const timer = setTimeout(() => {
      this.#end(`it did not answer "${message.op}" within ${timeoutMs / 1000} s`);
      this.kill();
    }, timeoutMs);
    try {
      return await reply;
    } finally {
      clearTimeout(timer);
      await this.#pause();
    }
  }

  /** Lets the peak of the resident set begin anew, where the system can (Linux). */
  async forgetPeakMemory() {
    const RESET_PEAK = '5';
    await writeFile(`/proc/${this.pid}/clear_refs`, RESET_PEAK).catch(() => {});
  }

  /** The peak of the resident set since then in MB, undefined where the system does not tell. */
  async peakMemoryMB() {
    const status = await readFile(`/proc/${this.pid}/status`, 'utf8').catch(() => '');
    const kilobytes = /^VmHWM:\s*(\d+)/m.exec(status)?.[1];
    return kilobytes === undefined ? undefined : Math.round(Number(kilobytes) / 1024);
  }

  /** Ends the process. */
  kill() {
    this.#child.kill('SIGKILL');
  }

  #receive(line) {
    let reply;
    try {
      reply = JSON.parse(line);
    } catch {
      this.#stderr.push(line); // a library that prints to standard output
      return;
    }
    this.#waiting.shift()?.resolve(reply);
  }

  #death() {
    return new DriverDied(`${this.name}: ${this.#ended}`);
  }

  #end(reason) {
    this.#ended ??= reason;
    this.#waiting.splice(0).forEach(({ reject }) => reject(this.#death()));
  }

  #signal(name) {
    if (CAN_STOP && this.alive) this.#child.kill(name);
  }

  /** Its threads may spin after the work is done; stopped, they take nothing from the next turn. */
  async #pause() {
    this.#signal('SIGSTOP');
    if (process.platform !== 'linux') return;
    for (let tries = 0; this.alive && tries < 100; ++tries) {
      const stat = await readFile(`/proc/${this.pid}/stat`, 'utf8').catch(() => '');
      const state = stat.slice(stat.lastIndexOf(')') + 2)[0];
      if (state === 'T' || state === undefined) return;
      await sleep(1);
    }
  }
}
