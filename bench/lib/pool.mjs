// Drivers that run, one process for each peer and number of threads, and what is known of each.
import { CallHistory } from './call-history.mjs';
import { Driver, DriverDied } from './driver.mjs';
import { commandOf } from './peers.mjs';

const START_TIMEOUT_MS = 120_000;
const RESTARTS = 3;

export class Pool {
  #drivers = new Map();
  #restarts = new Map();
  /** Held to this instruction set; undefined: each takes the best. */
  isa;
  /** What calls have taken so far, to tell what others will take. */
  history = new CallHistory();
  /** name -> { version, settings } of those that have started. */
  versions = {};
  /** name -> { reason, install } of those that cannot start here. */
  missing = {};

  /** @param options { isa } a name of ISAS in peers.mjs */
  constructor({ isa } = {}) {
    this.isa = isa;
  }

  /**
   * A running driver, or undefined when it cannot run here; a driver that died is started again,
   * a few times.
   */
  async get(peer, threads) {
    const key = `${peer.name} ${threads}`;
    const known = this.#drivers.get(key);
    if (known?.alive) return known;
    if (this.missing[peer.name]) return undefined;
    const restarts = this.#restarts.get(peer.name) ?? 0;
    if (known && restarts >= RESTARTS) return undefined;
    if (known) this.#restarts.set(peer.name, restarts + 1);
    const driver = new Driver(peer.name, commandOf(peer, threads, this.isa));
    try {
      this.versions[peer.name] = await driver.request({ op: 'describe' }, START_TIMEOUT_MS);
    } catch (error) {
      if (!(error instanceof DriverDied)) throw error;
      const reason = driver.lastWords.trim().split('\n').at(-1) || error.message;
      this.missing[peer.name] = { reason, install: peer.install };
      driver.kill();
      return undefined;
    }
    this.#drivers.set(key, driver);
    return driver;
  }

  /** Ends the drivers with another number of threads: each keeps memory of its own. */
  keepOnly(threads) {
    for (const [key, driver] of this.#drivers) {
      if (key.endsWith(` ${threads}`)) continue;
      driver.kill();
      this.#drivers.delete(key);
    }
  }

  /** Ends all. */
  close() {
    for (const driver of this.#drivers.values()) driver.kill();
    this.#drivers.clear();
  }
}
