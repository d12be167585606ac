/**
 * A file that grows by lines, and that a resumed run goes on with from the place where it was when
 * the checkpoint was saved: what a killed run wrote after that is written once more, not twice.
 */
import { appendFile, mkdir, stat, truncate, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ioError } from '../atomic-file';

export class LogFile {
  readonly #path: string;
  #pending: Uint8Array[] = [];
  #bytes = 0;

  constructor(path: string) {
    this.#path = path;
  }

  /** Bytes of the file, those that wait included. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Opens the file.
   *
   * @param bytes what stays of it: 0 for a new one; all of it where it is shorter
   * @throws OstinatoError `ERR_IO`
   */
  async begin(bytes: number): Promise<void> {
    this.#pending = [];
    await this.#guard(async () => {
      await mkdir(dirname(this.#path), { recursive: true });
      const there = await stat(this.#path).catch(() => undefined);
      if (there === undefined || bytes === 0) await writeFile(this.#path, '');
      else if (there.size > bytes) await truncate(this.#path, bytes);
      this.#bytes = Math.min(bytes, there?.size ?? 0);
    });
  }

  /** How large the file is on the disk; 0 where there is none. */
  async size(): Promise<number> {
    return (await stat(this.#path).catch(() => undefined))?.size ?? 0;
  }

  /** Adds to the end; {@link flush} writes it. */
  add(bytes: string | Uint8Array): void {
    const piece = typeof bytes === 'string' ? Buffer.from(bytes) : bytes;
    this.#pending.push(piece);
    this.#bytes += piece.length;
  }

  /** @throws OstinatoError `ERR_IO` */
  async flush(): Promise<void> {
    if (this.#pending.length === 0) return;
    const piece = Buffer.concat(this.#pending.splice(0));
    await this.#guard(() => appendFile(this.#path, piece));
  }

  async #guard(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      throw ioError('write', this.#path, error);
    }
  }
}
